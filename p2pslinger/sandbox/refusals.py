"""What is added to an error of a task that has failed because of where it ran.

What works at home can fail in a slot for others' work. The kernel's word for that is
"Operation not permitted", which says nothing about slots: so the error gets a note. It
travels with the exception, and is shown with its traceback. In a slot for the machine's
own work, one thing is not as in the program: the folder that a task starts in.
"""

from __future__ import annotations

import errno

#: What the kernel says when a means of confinement refuses something. Inside namespaces
#: most files do not exist at all.
REFUSALS = frozenset(
    {errno.EPERM, errno.EACCES, errno.EROFS, errno.ENOSYS, errno.ENOENT, errno.ENOSPC}
)

#: Errors that are looked at behind the last one: libraries wrap what the kernel says,
#: urllib once, others a few times.
DEPTH = 8

_NOTE = (
    "This task ran for another machine's owner, or with sandbox=True, in a slot that "
    "can't open the host's files, connect to anything or start programs{folder}. Give "
    "it what it needs as arguments or in its modules, and let it return what it makes; "
    "or run it on your own machine, where tasks without sandbox=True may use files and "
    "network."
)

_SCRATCH = "; it may write to a small scratch folder, where it starts"
_NO_SCRATCH = ", and has no folder to write to"

_RELATIVE = (
    "A task starts in an empty folder of its own, not in its program's: give it whole "
    "paths (os.path.abspath, in the program), and let it return what it makes."
)

_notes: list[str] = []  # the one note of this process, if it is such a slot


def expect_refusals(*, scratch: bool) -> None:
    """Have errors explained from now on, in this process.

    Args:
        scratch: Tasks have a folder to write to.
    """
    _notes[:] = [_NOTE.format(folder=_SCRATCH if scratch else _NO_SCRATCH)]


def remark_on(error: BaseException) -> None:
    """Add the note to an error if it may be a refusal, or was raised because of one."""
    try:
        note = _note_for(error)
        if note and note not in getattr(error, "__notes__", ()):
            error.add_note(note)
    except Exception:  # noqa: BLE001 - a stranger's class may refuse that too
        pass


def _note_for(error: BaseException) -> str:
    if _notes:
        return _notes[0] if _is_refusal(error) else ""
    return _RELATIVE if _is_lost(error) else ""


def _is_lost(error: BaseException) -> bool:
    """Tell whether a file was not found that may well be in the program's folder."""
    if not isinstance(error, FileNotFoundError):
        return False
    name, frame = error.filename, error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = "" if frame is None else frame.tb_frame.f_code.co_filename
    if where.endswith("subprocess.py"):
        return False  # it is a program that was not found
    return isinstance(name, str) and bool(name) and not name.startswith("/")


def _is_refusal(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in REFUSALS:
        return True
    before: BaseException | None = error
    for _ in range(DEPTH):
        if before is None:
            break
        before = before.__cause__ or before.__context__
        # That a file does not exist is often expected, and dealt with.
        if isinstance(before, PermissionError):
            return True
    return False
