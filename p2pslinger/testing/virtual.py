"""Whole runs in virtual time: seeded, and nothing that goes wrong gets lost.

1. The same seed gives the same run: the loop's order is fixed and `random` is seeded.
   Across processes it takes a fixed hash seed as well: see the module `hashseed`.
2. A run fails when everybody waits for ever, when it does not end, and when a task died
   with an exception that nobody looked at.
"""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Callable, Coroutine, Mapping
from typing import TypeVar

from p2pslinger.errors import UsageError
from p2pslinger.testing.loop import LIMIT, VirtualLoop

__all__ = ["LIMIT", "VirtualLoop", "current", "run"]

#: Objects made before the collector looks at the young ones, and so on up. A simulated
#: world is one large graph that lives: to walk it again and again took a quarter of a
#: run with 1,000 peers.
_COLLECT = (20_000, 20, 50)

_T = TypeVar("_T")


def current() -> VirtualLoop:
    """The virtual loop that this code runs on."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        raise UsageError("this runs in virtual time only: start it by virtual.run()")
    return loop


def run(
    main: Callable[[], Coroutine[object, object, _T]],
    *,
    seed: int = 0,
    limit: float = LIMIT,
) -> _T:
    """Run `main()` in virtual time and return its result.

    What it left running is cancelled. Raises UsageError for a deadlock or a run past
    `limit` virtual seconds, an ExceptionGroup if tasks or callbacks failed unseen.
    """
    strays: list[Exception] = []
    loop = VirtualLoop(seed=seed, limit=limit)
    loop.set_exception_handler(lambda _, context: strays.append(_stray(context)))
    chance = random.getstate()
    collect = gc.get_threshold()
    random.seed(seed)
    gc.set_threshold(*_COLLECT)
    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            result = runner.run(main())
        gc.collect()  # a failed task tells of itself when it is collected
        if strays:
            raise ExceptionGroup("failed, and nobody looked", strays)
    except BaseException as error:
        error.add_note(f"in a simulation with seed={seed}, after {loop.time():.3f} s")
        if not isinstance(error, ExceptionGroup):
            for stray in strays:
                error.add_note(f"meanwhile failed, and nobody looked: {stray!r}")
        raise
    finally:
        random.setstate(chance)
        gc.set_threshold(*collect)
    return result


def _stray(context: Mapping[str, object]) -> Exception:
    """The exception in what a loop tells its exception handler."""
    error = context.get("exception")
    if isinstance(error, Exception):
        error.add_note(str(context.get("message")))
        return error
    return RuntimeError(f"{context.get('message')}: {error or context}")
