"""Hostile answers: what a task returns, raises or prints to hurt whoever reads it.

They travel with their module, so it imports what slots have.
"""

# An attack names the system call that it is about.

from __future__ import annotations

import gc
import os
import socket
import sys
import threading
from typing import NoReturn


class Bomb:
    """A value whose unpickling runs a function of its maker's choice."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.mark,)


class LoadedError(Exception):
    """An error whose unpickling does."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self),)


class EndlessError(Exception):
    """An error whose text is long, and whose other text can't be had."""

    def __str__(self) -> str:
        return "x" * 50_000_000

    def __repr__(self) -> str:
        raise SystemExit("no repr")


class Argument:
    """A value that can't be shown."""

    def __repr__(self) -> str:
        raise KeyboardInterrupt


def answer_with_a_bomb(mark: str) -> Bomb:
    return Bomb(mark)


def fail_with_a_bomb(mark: str) -> NoReturn:
    raise LoadedError(mark)


def fail_endlessly() -> NoReturn:
    def deeper(left: int, argument: Argument) -> None:
        if left:
            deeper(left - 1, argument)
        raise EndlessError

    deeper(500, Argument())
    raise AssertionError


def answer_at_length(size: int) -> bytes:
    return bytes(size)


def answer_deeply(levels: int) -> list[object]:
    value: list[object] = []
    for _ in range(levels):
        value = [value]
    return value


def answer_folded() -> list[object]:
    """Return what is small only when packed: unfolded it has 10**30 elements."""
    value: list[object] = [0]
    for _ in range(30):
        value = [value] * 10
    return value


def talk(size: int) -> int:
    for _ in range(size // 1_000_000):
        sys.stdout.write("x" * 1_000_000)
    return size


def take(value: object) -> object:
    return value


def answer_with(data: bytes, form: int) -> None:
    """Have the runner send these bytes as the values: it is in this very process."""
    run = sys.modules["p2pslinger.sandbox.calls"].Run
    honest = run.values

    def values(self: object) -> list[bytes]:
        run.values = honest
        self.form = form  # type: ignore[attr-defined]
        return [data]

    run.values = values


def say(data: bytes) -> None:
    """Say something to the daemon on every socket that there is, and wait."""
    for sock in [o for o in gc.get_objects() if isinstance(o, socket.socket)]:
        if sock.fileno() >= 0:
            sock.sendall(data)
    threading.Event().wait()
