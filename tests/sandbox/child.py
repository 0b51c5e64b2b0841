"""A process just forked, which a test may confine."""

from __future__ import annotations

import os
import pickle
import traceback
from collections.abc import Callable


def in_a_child(task: Callable[[], object]) -> object:
    """Return what a function returns in a child, or raise what it raises there.

    Raises:
        AssertionError: The child has not come back: the text says how it ended.
    """
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        _answer(task, tell)
    os.close(tell)
    with os.fdopen(told, "rb") as answer:
        data = answer.read()
    _, status = os.waitpid(child, 0)
    assert data, f"the child has ended with {os.waitstatus_to_exitcode(status)}"
    worked, value = pickle.loads(data)
    if not worked:
        raise value
    return value


def _answer(task: Callable[[], object], tell: int) -> None:
    """Send the outcome, and leave without a trace; never returns."""
    try:
        try:
            word = pickle.dumps((True, task()))
        except BaseException as error:  # noqa: BLE001 - it is the answer
            error.add_note(traceback.format_exc())
            word = pickle.dumps((False, error))
        os.write(tell, word)
    finally:
        os._exit(0)
