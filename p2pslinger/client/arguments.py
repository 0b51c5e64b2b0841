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
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import chain, count, islice

from p2pslinger.client.encoding import (
    absent_modules,
    dumps,
    dumps_large,
    dumps_scalars,
)
from p2pslinger.client.memory import LEAST
from p2pslinger.client.sharing import Shared, check_few, noting
from p2pslinger.errors import PackingError
from p2pslinger.limits import INLINE, SHARD_TASKS, SHARED
from p2pslinger.wire.packed import WORD, pack_items

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
        shared: The handles that they hold: alive until the shard has been sent.
    """

    form: Form
    count: int
    data: bytes
    shared: frozenset[Shared[object]] = frozenset()


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
            form = Form.STAR if star else Form.PLAIN
            shards = _split(form, tasks, _size_of_all(tasks, kinds))
        else:
            absent = absent_modules(shipped)
            shards = _encode_items(tasks, start, absent, star=star)
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

    It ends early, before a call with which it would refer to too many shared values.

    Returns:
        The shard of those that can be sent, in order, and for each that can't its
        position in `calls` and why.
    """
    if not any(kwargs for _, kwargs in calls):
        tuples = [args for args, _ in calls]
        kinds = set(map(type, chain.from_iterable(tuples)))
        if kinds <= SCALARS:
            data = dumps_scalars(tuples, _size_of_all(tuples, kinds))
            return Shard(Form.STAR, len(tuples), data), []
    absent, subject = absent_modules(shipped), "the call"
    items = _Items(Form.CALLS)
    failures: list[tuple[int, PackingError]] = []
    for position, (args, kwargs) in enumerate(calls):
        call, size = (args, dict(kwargs)), _size(args)
        if size >= LEAST and items.items:
            break  # it is a shard by itself
        try:
            if size >= LEAST:
                data, met = noting(dumps_large, call, subject, absent, size)
                check_few(subject, met)
                return Shard(Form.CALLS, 1, data, frozenset(met)), failures
            item, met = noting(dumps, call, subject, absent)
            check_few(subject, met)
        except PackingError as error:
            failures.append((position, error))
            continue
        if met and not items.may_refer_to(met):
            break
        items.add(item, met)
    return items.shard(), failures


@dataclass
class _Items:
    """A shard of items in the making."""

    form: Form
    items: list[bytes] = field(default_factory=list)
    size: int = WORD
    shared: set[Shared[object]] = field(default_factory=set)

    def may_refer_to(self, met: Collection[Shared[object]]) -> bool:
        """Whether there is room for what one more item refers to."""
        return len(self.shared.union(met)) <= SHARED

    def add(self, item: bytes, met: Collection[Shared[object]]) -> None:
        """Add an item, and what it refers to."""
        self.items.append(item)
        self.size += WORD + len(item)
        if met:
            self.shared.update(met)

    def shard(self) -> Shard:
        """Return the shard."""
        data = pack_items(self.items)
        return Shard(self.form, len(self.items), data, frozenset(self.shared))


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


def _size_of_all(items: Sequence[object], kinds: set[type]) -> int:
    """Estimate the bytes of many items; 0 if they are small ones, which are many."""
    return 0 if kinds <= _SMALL else sum(map(_size, items))


def _as_tuple(task: object, index: int) -> tuple[object, ...]:
    if type(task) is tuple:
        return task
    if not isinstance(task, Iterable) or isinstance(task, str | bytes | dict | set):
        raise PackingError(
            f"argument {index} is {task!r:.60}, not a tuple of the function's "
            "arguments; put a single argument into a tuple: (x,)"
        )
    return tuple(task)


def _split(form: Form, tasks: Sequence[object], size: int) -> Iterator[Shard]:
    """Pickle a list of scalars; halve it as long as it is too large."""
    data = dumps_scalars(tasks, size)
    if len(data) <= INLINE or len(tasks) == 1:
        yield Shard(form, len(tasks), data)
        return
    half = len(tasks) // 2
    yield from _split(form, tasks[:half], size // 2)
    yield from _split(form, tasks[half:], size // 2)


def _encode_items(
    tasks: Iterable[object], start: int, absent: frozenset[str], *, star: bool
) -> Iterator[Shard]:
    form = Form.CALLS if star else Form.ITEMS
    items = _Items(form)
    for index, task in enumerate(tasks, start):
        value, subject = (task, {}) if star else task, f"argument {index}"
        if (large := _size(task)) > INLINE:
            if items.items:
                yield items.shard()
                items = _Items(form)
            data, met = noting(dumps_large, value, subject, absent, large)
            check_few(subject, met)
            yield Shard(form, 1, data, frozenset(met))
            continue
        item, met = noting(dumps, value, subject, absent)
        check_few(subject, met)
        full = items.size + WORD + len(item) > INLINE or not items.may_refer_to(met)
        if full and items.items:
            yield items.shard()
            items = _Items(form)
        items.add(item, met)
    if items.items:
        yield items.shard()
