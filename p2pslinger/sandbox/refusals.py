"""What is added to an error of a task that was refused something abroad.

What works at home can fail in a slot for others' work. The kernel's word for that is
"Operation not permitted", which says nothing about slots: so the error gets a note. It
travels with the exception, and is shown with its traceback.
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
    "This task ran for another machine's owner, in a slot that can't open the host's "
    "files, connect to anything or start programs{folder}. Give it what it needs as "
    "arguments or in its modules, and let it return what it makes; or run it on your "
    "own machine, where tasks may use files and network."
)

_SCRATCH = "; it may write to a small scratch folder, where it starts"
_NO_SCRATCH = ", and has no folder to write to"

_notes: list[str] = []  # the one note of this process, if it is such a slot


def expect_refusals(*, scratch: bool) -> None:
    """Have errors explained from now on, in this process.

    Args:
        scratch: Tasks have a folder to write to.
    """
    _notes[:] = [_NOTE.format(folder=_SCRATCH if scratch else _NO_SCRATCH)]


def remark_on(error: BaseException) -> None:
    """Add the note to an error if it may be a refusal, or was raised because of one."""
    if not _notes:
        return
    try:
        if _is_refusal(error) and _notes[0] not in getattr(error, "__notes__", ()):
            error.add_note(_notes[0])
    except Exception:  # noqa: BLE001 - a stranger's class may refuse that too
        pass


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
