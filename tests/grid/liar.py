"""A peer whose owner has changed it, so that it lies about what it has computed.

What it says is in the file that is its argument: a name of `LIES`, read anew for every
result, so that one peer tells them all.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from p2pslinger.peer.computing import outcomes, volunteer
from p2pslinger.peer.computing.outcomes import Finished
from p2pslinger.peer.config import load
from p2pslinger.peer.run import run
from p2pslinger.wire.packed import pack_items
from p2pslinger.wire.records import Failure, RangeResult

#: What it calls itself: clears the screen, and looks like somebody else's petname.
NAME = "\x1b[2J@grandma"

#: What moves a terminal's cursor, changes its title and turns its text around.
ESCAPES = "\x1b]0;owned\x07\x1b[2J\u202e\x9b1m"


class Command:
    """Runs a command where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


def items(result: RangeResult, item: bytes, more: int = 0) -> RangeResult:
    """Return a result whose values are all the same item."""
    values = pack_items([item] * (result.stop - result.start + more))
    return msgspec.structs.replace(result, form=1, values=values, size=len(values))


def failing(result: RangeResult, type_: str, pickled: bytes) -> RangeResult:
    """Return a result in which every task has failed like this."""
    failures = tuple(
        Failure(
            index=index,
            kind="error",
            type=type_,
            message=ESCAPES,
            traceback=f"Traceback\n{ESCAPES}",
            arguments=ESCAPES,
            host=ESCAPES,
            pickled=pickled,
        )
        for index in range(result.start, result.stop)
    )
    return msgspec.structs.replace(items(result, b""), failures=failures)


def mark(file: Path) -> bytes:
    return pickle.dumps(Command(file.with_name("owned")), 5)


LIES: dict[str, Callable[[RangeResult, Path], RangeResult]] = {
    "nothing": lambda result, file: result,
    "code": lambda result, file: items(result, mark(file)),
    "laughs": lambda result, file: items(
        result,
        b"\x80\x05]\x94"
        + b"".join(b"0](h%ch%ce\x94" % (n, n) for n in range(60))
        + b".",
    ),
    "deep": lambda result, file: items(result, b"\x80\x05)" + b"\x85" * 20_000 + b"."),
    "huge": lambda result, file: items(result, b"\x80\x05\x8e" + b"\xff" * 8 + b"."),
    "more": lambda result, file: items(result, pickle.dumps(1), more=3),
    "garbage": lambda result, file: msgspec.structs.replace(
        result, values=b"\xff" * 40, size=40
    ),
    "error": lambda result, file: failing(result, "ValueError", mark(file)),
    "strange error": lambda result, file: failing(result, f"x{ESCAPES}", mark(file)),
    "output": lambda result, file: msgspec.structs.replace(
        result, output=ESCAPES.encode()
    ),
    "others": lambda result, file: msgspec.structs.replace(
        result, start=result.start + 1000, stop=result.stop + 1000
    ),
    "digest": lambda result, file: msgspec.structs.replace(
        result, digest=b"d" * 32, values=b"", size=1 << 30
    ),
}


def lying(file: Path) -> Callable[..., Finished]:
    """Return what stands in for the function that makes results."""
    honest = outcomes.finished

    def finished(*args: Any, **kwargs: Any) -> Finished:
        told = honest(*args, **kwargs)
        lie = LIES[file.read_text()]
        return replace(told, result=lie(told.result, file), blob=None)

    return finished


if __name__ == "__main__":
    volunteer.finished = lying(Path(sys.argv[1]))  # type: ignore[attr-defined]
    config = load(bootstrap=sys.argv[2], slots=1, port=0, trust_members=True)
    run(
        replace(config, name=NAME),
        ready=lambda address: print(f"listening on {address}", flush=True),
    )
