"""One value into bytes, as its place in a shard needs it.

Classes go by name where the other side can import them. It can't import `__main__`, nor
local modules that did not travel with the function: those go by value.
"""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from functools import lru_cache
from typing import cast

from p2pslinger.client.memory import LEAST, BytesFile, MemoryFile, has_room
from p2pslinger.errors import PackingError
from p2pslinger.wire.packed import pack_head, pack_items

PROTOCOL = 5

#: Nobody travels by name from here, and the bytes do not show whether that worked.
_MAIN = frozenset({"__main__"})

_by_value = threading.RLock()


def dumps(value: object, subject: str, absent: frozenset[str]) -> bytes:
    """Pickle one argument, by value where a name would mean nothing elsewhere."""
    try:
        data = pickle.dumps(value, PROTOCOL)
    except Exception:  # noqa: BLE001  # a lambda or a local class: the rest may know
        return _dumps_by_value(value, subject, absent)
    # A name in a pickle is a short string: opcode, length, characters. A false alarm
    # (a string that is called the same) costs time and nothing else.
    for needle in _needles(absent):
        if needle in data:
            return _dumps_by_value(value, subject, absent)
    return data


def dumps_scalars(tasks: Sequence[object], size: int) -> bytes:
    """Pickle a list of what can't refer to anything.

    Args:
        tasks: The list.
        size: About how many bytes it has.

    Raises:
        PackingError: they are too many for this machine.
    """
    try:
        if size < LEAST:
            return pickle.dumps(tasks, PROTOCOL)
        with closing(file_of(size)) as file:
            pickle.Pickler(file, PROTOCOL).dump(tasks)
            return cast(bytes, file.seal())
    except (MemoryError, OSError) as error:
        raise PackingError(
            f"{len(tasks)} arguments are too large for this machine's memory; "
            "send less at once"
        ) from error


def dumps_large(
    value: object, subject: str, absent: frozenset[str], size: int
) -> bytes:
    """Pack one argument as a single item: written once, not searched, not copied."""
    from p2pslinger.client.pickling import NotingPickler

    with closing(file_of(size)) as file:
        file.write(pack_head([0]))
        head = file.size
        pickler = NotingPickler(file)
        try:
            pickler.dump(value)
        except Exception as error:  # pickling runs the objects' own code
            raise refusal(subject, value, error) from error
        if pickler.modules & absent:
            return pack_items([_dumps_by_value(value, subject, absent)])
        file.rewrite(pack_head([file.size - head]))
        return cast(bytes, file.seal())


def file_of(size: int) -> MemoryFile | BytesFile:
    """Return something to pickle about so many bytes into."""
    return MemoryFile() if size >= LEAST and has_room() else BytesFile()


def absent_modules(shipped: Collection[str] | None) -> frozenset[str]:
    """Name the modules of this program that other machines will not have."""
    if shipped is None:
        return _MAIN
    from p2pslinger.client.modules import loaded_local_modules

    return _MAIN | loaded_local_modules().difference(shipped)


@lru_cache(maxsize=8)
def _needles(names: frozenset[str]) -> tuple[bytes, ...]:
    encoded = (name.encode() for name in names)
    return tuple(b"\x8c" + bytes([len(name)]) + name for name in encoded)


def _dumps_by_value(value: object, subject: str, absent: frozenset[str]) -> bytes:
    from p2pslinger.client.pickling import dump

    try:
        with _going_by_value(absent):
            data, _ = dump(value)
    except Exception as error:
        raise refusal(subject, value, error) from error
    return data


def by_value(shipped: Collection[str]) -> AbstractContextManager[None]:
    """Have classes of local modules go by value, but of those that are shipped."""
    return _going_by_value(absent_modules(shipped))


@contextmanager
def _going_by_value(absent: frozenset[str]) -> Iterator[None]:
    # Imported when first needed: scalars and plain containers do without.
    import cloudpickle

    modules = [sys.modules[name] for name in absent - _MAIN if name in sys.modules]
    with _by_value:  # cloudpickle's list of such modules is one for all threads
        for module in modules:
            cloudpickle.register_pickle_by_value(module)
        try:
            yield
        finally:
            for module in modules:
                cloudpickle.unregister_pickle_by_value(module)


def refusal(subject: str, value: object, error: Exception) -> PackingError:
    """Return the error that says what in a value can't be sent, and why."""
    from p2pslinger.client.blame import blame

    remedy = "send what it is made from, and make it inside the function"
    return PackingError(blame(subject, value, error, remedy=remedy))
