"""Arguments into shards: many tasks in one piece of bytes.

| form | data | a slot calls |
|---|---|---|
| PLAIN | the pickle of a list of scalars | `f(x)` |
| STAR | the pickle of a list of tuples of scalars | `f(*t)` |
| CALLS | packed items, each the pickle of (args, kwargs) | `f(*args, **kwargs)` |
| ITEMS | packed items, each the pickle of one argument | `f(x)` |

Scalars (int, float, str, bytes, bool, None, and nothing derived from them) are encoded
by the thousand at C speed. Anything else is pickled item by item, so that no two tasks
share an object and a task that changes its argument changes nobody else's.

Classes go by name where the other side can import them. It can't import `__main__`, nor
local modules that did not travel with the function: those go by value.
"""

from __future__ import annotations

import io
import pickle
import sys
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import chain, count, islice

from p2pslinger.errors import PackingError
from p2pslinger.limits import INLINE, SHARD_TASKS
from p2pslinger.wire.packed import WORD, pack_head, pack_items

PROTOCOL = 5

#: Types that hold no other object and can't be changed: what PLAIN and STAR carry.
SCALARS = frozenset({int, float, str, bytes, bool, type(None)})

#: Scalars of a few bytes each, which can be taken by the thousand without a look.
_SMALL = frozenset({int, float, bool, type(None)})

#: Tasks in the first shard: enough to keep the slots of one machine busy while the
#: next one is made, few enough to leave at once.
FIRST = 64

#: How much larger than the last one the next shard may be.
GROWTH = 8

#: How full a shard is planned: tasks vary, and one byte too many makes two halves.
FILL = 0.9

#: Bytes of memory of tasks that surely make a shard, so that no more are taken: a
#: small string occupies several times its encoded size.
_SHARDFUL = 4 * INLINE

#: Parts of a tuple that are looked at one by one for its size.
_FEW = 16

#: Nobody travels by name from here, and the bytes do not show whether that worked.
_MAIN = frozenset({"__main__"})

_by_value = threading.RLock()


class Form(IntEnum):
    """How the tasks of a shard are encoded."""

    PLAIN = 0
    STAR = 1
    CALLS = 2
    ITEMS = 3


@dataclass(frozen=True, slots=True)
class Shard:
    """Tasks, encoded.

    Attributes:
        form: How.
        count: How many.
        data: At most `limits.INLINE` bytes, unless one task alone is larger.
    """

    form: Form
    count: int
    data: bytes


def shards_of(
    iterable: Iterable[object],
    *,
    star: bool = False,
    shipped: Collection[str] | None = None,
) -> Iterator[Shard]:
    """Encode arguments shard by shard, reading `iterable` no further than needed.

    Args:
        iterable: One argument for each task.
        star: Each argument is a tuple (or list) of positional arguments.
        shipped: Local modules that travel with the function: the `modules` of its
            package. Classes of others then go by value. None: all go by name.

    Raises:
        PackingError: An argument can't be sent; the text says which and why.
    """
    source = iter(iterable)
    most, start, quick = FIRST, 0, False
    while tasks := list(islice(source, most)) if quick else _pull(source, most):
        if star:
            tuples = list(map(_as_tuple, tasks, count(start)))
            kinds = set(map(type, chain.from_iterable(tuples)))
            tasks = list[object](tuples)
        else:
            kinds = set(map(type, tasks))
        if kinds <= SCALARS:
            shards = _split(Form.STAR if star else Form.PLAIN, tasks)
        else:
            shards = _encode_items(tasks, start, _absent(shipped), star=star)
        size = 0
        for shard in shards:
            size += len(shard.data)
            yield shard
        start += len(tasks)
        fitting = int(FILL * INLINE * len(tasks)) // max(size, 1)
        most = max(1, min(most * GROWTH, fitting, SHARD_TASKS))
        quick = kinds <= _SMALL


def calls_shard(
    calls: Sequence[tuple[tuple[object, ...], Mapping[str, object]]],
    *,
    shipped: Collection[str] | None = None,
) -> tuple[Shard, list[tuple[int, PackingError]]]:
    """Encode a batch of single calls as one shard, whatever its size.

    Returns:
        The shard of those that can be sent, in order, and for each that can't its
        position in `calls` and why.
    """
    if not any(kwargs for _, kwargs in calls):
        tuples = [args for args, _ in calls]
        if SCALARS.issuperset(map(type, chain.from_iterable(tuples))):
            return Shard(Form.STAR, len(tuples), pickle.dumps(tuples, PROTOCOL)), []
    absent = _absent(shipped)
    items: list[bytes] = []
    failures: list[tuple[int, PackingError]] = []
    for position, (args, kwargs) in enumerate(calls):
        try:
            items.append(_dumps((args, dict(kwargs)), "the call's arguments", absent))
        except PackingError as error:
            failures.append((position, error))
    return Shard(Form.CALLS, len(items), pack_items(items)), failures


def _pull(source: Iterator[object], most: int) -> list[object]:
    """Take up to `most` tasks, and stop once those taken are surely a shardful."""
    taken: list[object] = []
    size = 0
    for item in islice(source, most):
        taken.append(item)
        size += _size(item)
        if size > _SHARDFUL:
            break
    return taken


def _size(item: object) -> int:
    """Estimate the bytes of memory that `item` occupies; never more than it does."""
    size = sys.getsizeof(item, 0)
    if isinstance(item, tuple | list) and len(item) <= _FEW:
        size += sum(sys.getsizeof(part, 0) for part in item)
    return size


def _as_tuple(task: object, index: int) -> tuple[object, ...]:
    if type(task) is tuple:
        return task
    if not isinstance(task, Iterable) or isinstance(task, str | bytes | dict | set):
        raise PackingError(
            f"argument {index} is {task!r:.60}, not a tuple of the function's "
            "arguments; put a single argument into a tuple: (x,)"
        )
    return tuple(task)


def _split(form: Form, tasks: Sequence[object]) -> Iterator[Shard]:
    """Pickle a list of scalars; halve it as long as it is too large."""
    try:
        data = pickle.dumps(tasks, PROTOCOL)
    except MemoryError as error:
        raise PackingError(
            f"{len(tasks)} arguments are too large for this machine's memory; "
            "send less at once"
        ) from error
    if len(data) <= INLINE or len(tasks) == 1:
        yield Shard(form, len(tasks), data)
        return
    half = len(tasks) // 2
    yield from _split(form, tasks[:half])
    yield from _split(form, tasks[half:])


def _encode_items(
    tasks: Iterable[object], start: int, absent: frozenset[str], *, star: bool
) -> Iterator[Shard]:
    form = Form.CALLS if star else Form.ITEMS
    items: list[bytes] = []
    size = WORD
    for index, task in enumerate(tasks, start):
        value = (task, {}) if star else task
        large = _size(task) > INLINE
        item = b"" if large else _dumps(value, f"argument {index}", absent)
        if items and (large or size + WORD + len(item) > INLINE):
            yield Shard(form, len(items), pack_items(items))
            items, size = [], WORD
        if large:
            yield Shard(form, 1, _dumps_large(value, f"argument {index}", absent))
            continue
        items.append(item)
        size += WORD + len(item)
    if items:
        yield Shard(form, len(items), pack_items(items))


# --- one argument -------------------------------------------------------------------


def _dumps(value: object, subject: str, absent: frozenset[str]) -> bytes:
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


def _dumps_large(value: object, subject: str, absent: frozenset[str]) -> bytes:
    """Pack one argument as a single item: written once, not searched, not copied."""
    from p2pslinger.client.pickling import NotingPickler

    file = io.BytesIO()
    file.write(pack_head([0]))
    head = file.tell()
    pickler = NotingPickler(file)
    try:
        pickler.dump(value)
    except Exception as error:  # pickling runs the objects' own code
        raise _refusal(subject, value, error) from error
    if pickler.modules & absent:
        return pack_items([_dumps_by_value(value, subject, absent)])
    size = file.tell() - head
    file.seek(0)
    file.write(pack_head([size]))
    return file.getvalue()


def _absent(shipped: Collection[str] | None) -> frozenset[str]:
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
    # Imported when first needed: scalars and plain containers do without.
    import cloudpickle

    from p2pslinger.client.pickling import dump

    modules = [sys.modules[name] for name in absent - _MAIN if name in sys.modules]
    with _by_value:  # cloudpickle's list of such modules is one for all threads
        for module in modules:
            cloudpickle.register_pickle_by_value(module)
        try:
            data, _ = dump(value)
        except Exception as error:
            raise _refusal(subject, value, error) from error
        finally:
            for module in modules:
                cloudpickle.unregister_pickle_by_value(module)
    return data


def _refusal(subject: str, value: object, error: Exception) -> PackingError:
    from p2pslinger.client.blame import blame

    remedy = "send what it is made from, and make it inside the function"
    return PackingError(blame(subject, value, error, remedy=remedy))
