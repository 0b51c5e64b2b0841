"""What is said of a task that failed.

An exception is a stranger's object: its text, its repr and its pickle run its maker's
code, may fail, and may be endless. So each is asked for once, guarded and cut. What
hangs here hangs like the task itself, and ends like it.
"""

from __future__ import annotations

import pickle
import reprlib
import traceback
from collections.abc import Callable
from types import TracebackType

import cloudpickle

from p2pslinger.sandbox.frames import TEXT_BYTES
from p2pslinger.sandbox.refusals import remark_on
from p2pslinger.sandbox.slot import Failure

#: Characters of each text (limits.MESSAGE_TEXT and TRACEBACK_TEXT, which this process
#: does not import).
MESSAGE, TRACEBACK, ARGUMENTS = 4000, 20_000, 400

#: Frames of a traceback that are shown: the last ones.
FRAMES = 100

#: Where our own code lies: its frames are left out of tracebacks.
_OURS = __file__.removesuffix("failures.py")

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


class UnsendableError(Exception):
    """A task's value can't go back; the text says why."""


def failure_of(index: int, error: BaseException, arguments: str) -> Failure:
    """Describe what a task raised."""
    remark_on(error)
    return Failure(
        index=index,
        type=type_name(error),
        message=_cut(_message(error), MESSAGE),
        traceback=_cut(_guarded(lambda: _traceback(error)), TRACEBACK),
        arguments=arguments,
        pickled=_pickled(error),
    )


def type_name(error: BaseException) -> str:
    """Return the name of an exception's class, with its module unless built in."""
    if isinstance(error, UnsendableError):
        return "PackingError"
    kind = type(error)
    name = _guarded(lambda: str(kind.__qualname__))
    module = _guarded(lambda: str(kind.__module__))
    return name if module in {"builtins", "__main__"} else f"{module}.{name}"


def shortened(args: tuple[object, ...], kwargs: dict[str, object]) -> str:
    """Return a call's arguments as they could be written, shortened."""
    words = [_guarded(lambda a=a: _SHORT.repr(a)) for a in args[:6]]  # type: ignore[misc]
    words += ["..."] * (len(args) > len(words))
    for name, value in list(kwargs.items())[:6]:
        words.append(f"{name}=" + _guarded(lambda v=value: _SHORT.repr(v)))  # type: ignore[misc]
    return _cut(", ".join(words), ARGUMENTS)


def _message(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return _guarded(
            lambda: f"exited with {0 if error.code is None else error.code}"
        )
    return _guarded(lambda: str(error))


def _traceback(error: BaseException) -> str:
    frames = _of_the_task(error.__traceback__)
    return "".join(traceback.format_exception(type(error), error, frames, -FRAMES))


def _of_the_task(frames: TracebackType | None) -> TracebackType | None:
    """Leave out the frames that lead to the task."""
    while frames and frames.tb_frame.f_code.co_filename.startswith(_OURS):
        frames = frames.tb_next
    return frames


def _pickled(error: BaseException) -> bytes:
    """Return an exception's pickle if it comes back from it, else nothing.

    Only `Exception`s: nobody wants a SystemExit raised in the submitter's program.
    """
    if not isinstance(error, Exception) or isinstance(error, UnsendableError):
        return b""
    try:
        data = _dumps(error)
        again = pickle.loads(data)
    except BaseException:  # noqa: BLE001 - a stranger's __reduce__ and __init__
        return b""
    return data if type(again) is type(error) and len(data) <= TEXT_BYTES[-1] else b""


def _dumps(error: Exception) -> bytes:
    try:
        return pickle.dumps(error, 5)
    except Exception:  # noqa: BLE001 - whatever it is, cloudpickle may do better
        data: bytes = cloudpickle.dumps(error, 5)
        return data


def _guarded(ask: Callable[[], str]) -> str:
    """Ask a stranger's object for a text."""
    try:
        return ask()
    except BaseException as error:  # noqa: BLE001 - a stranger's __str__ or __repr__
        return f"<not printable: {type(error).__name__}>"


def _cut(text: str, most: int) -> str:
    """Shorten a text in its middle."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters ...]\n{text[-half:]}"
