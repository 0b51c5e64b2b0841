"""Walks through a value that has been read, before anybody else does.

What is in it once may be referred to a million times, and what refers to that again: a
few hundred bytes, and more than the memory holds once somebody writes it out. So the
size is computed as if it were written out, each part once. A part inside of itself has
no such size.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator

from p2pslinger import limits
from p2pslinger.client.symbols import Inert, Symbol, refusal
from p2pslinger.errors import PeerError

#: Bytes that anything counts at least: a comma and a digit.
LEAST = 2


def survey(value: object, most: int) -> None:
    """Check how large and deep a value is, and that nothing inert is left in it.

    Args:
        value: It.
        most: Bytes that it may have when it is written out.

    Raises:
        PeerError: it is larger or deeper, or contains itself.
        UntrustedValueError: something is inert.
    """
    if size_of(value) > most:
        raise PeerError("sent a value that repeats itself without end")


def size_of(value: object) -> int:
    """Return the bytes of a value written out, without following its parts twice.

    Raises:
        PeerError: it is too deep, or contains itself.
        UntrustedValueError: something is inert.
    """
    parts = _parts(value)
    if parts is None:
        return _plain(value)
    sizes: dict[int, int] = {}
    kept: list[object] = []  # so that no id is used twice
    path = [_Step(value, iter(parts))]
    open_ = {id(value)}
    while path:
        step = path[-1]
        part = _next_unknown(step, sizes)
        if part is not _NOTHING:
            _check_way(part, open_)
            open_.add(id(part))
            path.append(_Step(part, iter(_parts(part) or ())))
            continue
        path.pop()
        open_.discard(id(step.whole))
        sizes[id(step.whole)] = step.size
        kept.append(step.whole)
        if path:
            path[-1].size += step.size
    return sizes[id(value)]


@dataclasses.dataclass(slots=True)
class _Step:
    """A container on the way, what is left of it, and its size so far."""

    whole: object
    rest: Iterator[object]
    size: int = LEAST


_NOTHING = object()


def _next_unknown(step: _Step, sizes: dict[int, int]) -> object:
    """Add up parts until one comes whose size is not known; return it."""
    for part in step.rest:
        known = sizes.get(id(part))
        if known is None and _parts(part) is not None:
            return part
        step.size += _plain(part) if known is None else known
    return _NOTHING


def _check_way(part: object, open_: set[int]) -> None:
    if id(part) in open_:
        raise PeerError("sent a value that contains itself")
    if len(open_) >= limits.VALUE_DEPTH:
        raise PeerError(
            f"sent a value of more than {limits.VALUE_DEPTH} containers inside each "
            "other"
        )


def _parts(value: object) -> Iterable[object] | None:
    """Return what is in a container, or None for what is none."""
    match value:
        case list() | tuple() | set() | frozenset() | deque():
            return value
        case dict() | OrderedDict():
            return [*value.keys(), *value.values()]
        case BaseException():
            return value.args
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            names = [field.name for field in dataclasses.fields(value)]
            return [_held(value, name) for name in names]
    return None


def _held(value: object, name: str) -> object:
    """Return a field without asking the class, whose properties may do anything."""
    try:
        return object.__getattribute__(value, "__dict__")[name]
    except (AttributeError, KeyError):
        return getattr(value, name, None)


def _plain(value: object) -> int:
    if isinstance(value, Inert | Symbol):
        raise refusal(str(value.what if isinstance(value, Inert) else value))
    if isinstance(value, str | bytes | bytearray | memoryview):
        return len(value) + LEAST
    if isinstance(value, int):
        return value.bit_length() // 3 + LEAST
    return LEAST
