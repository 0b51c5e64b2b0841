"""Whether two values are alike: the same, or as near to it as a job allows.

Two values with the same bytes are alike. Others may be: a pickle says the same thing in
several ways, and machines round differently. So pictures of both are compared, part by
part. Types must be the same, and all that is no floating-point number; those must be as
near to each other as `math.isclose` has it. NaN is like NaN.

`UNCLEAR` is what nobody can tell: both are too large, or none that slots write. It
never speaks for anybody, nor against.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from p2pslinger.limits import SAME_HASH
from p2pslinger.rules.picture import Made, UnreadableError, parts_of, picture

#: Numbers of an array, all arrays of a value together, that are compared one by one.
NUMBERS = 1_000_000

#: What comparing two values may cost: a pair of parts counts as `PAIR`, and so does a
#: key; each KiB of texts, bytes and whole numbers as one. Values that slots write stay
#: far below it. Two that are made for it could have the same block compared many
#: thousand times, or every part of one with every part of the other.
COST, PAIR = 1 << 22, 8

#: What comparing all values of a range may cost: a range is about a second's work.
RANGE_COST = 4 * COST

#: Struct codes of NumPy's types of floating-point numbers, and numbers in each.
_FLOATS = {"f2": "e", "f4": "f", "f8": "d", "c8": "f", "c16": "d"}

Block = bytes | memoryview

_SCALARS = (int, float, str, bytes, bool, type(None))


class Likeness(Enum):
    """What comparing two values has shown."""

    ALIKE = auto()
    DIFFERENT = auto()
    UNCLEAR = auto()


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far two floating-point numbers may be apart: as in `math.isclose`."""

    relative: float = 0.0
    absolute: float = 0.0

    def allows(self, one: float, other: float) -> bool:
        """Tell whether two numbers count as the same."""
        if one == other or (math.isnan(one) and math.isnan(other)):
            return True
        return math.isclose(one, other, rel_tol=self.relative, abs_tol=self.absolute)


EXACT = Tolerance()


@dataclass(slots=True)
class Effort:
    """What comparing the values of one range has cost so far."""

    cost: int = 0


def alike(
    one: bytes | memoryview,
    other: bytes | memoryview,
    tolerance: Tolerance = EXACT,
    effort: Effort | None = None,
) -> Likeness:
    """Compare two values as slots encode them, one task's each."""
    if one == other:
        return Likeness.ALIKE
    mine, theirs = _picture(one), _picture(other)
    readable = not isinstance(mine, UnreadableError)
    if readable == isinstance(theirs, UnreadableError):
        return Likeness.DIFFERENT  # only one of them is a value
    if not readable:
        return Likeness.UNCLEAR
    return alike_pictures(mine, theirs, tolerance, effort)


def alike_pictures(
    one: object,
    other: object,
    tolerance: Tolerance = EXACT,
    effort: Effort | None = None,
) -> Likeness:
    """Compare the pictures of two values."""
    effort = effort or Effort()
    comparison = _Comparison(tolerance, min(COST, RANGE_COST - effort.cost))
    same = comparison.run(one, other)
    effort.cost += comparison.cost
    if comparison.is_too_much:
        return Likeness.UNCLEAR
    return Likeness.ALIKE if same else Likeness.DIFFERENT


def _picture(data: bytes | memoryview) -> object:
    try:
        first, *buffers = parts_of(data)
        return picture(first, buffers)
    except UnreadableError as error:
        return error


class _Comparison:
    """One comparison; without recursion, for values may be nested as deep as they like.

    Attributes:
        numbers: How many numbers of arrays were compared.
        cost: What everything has cost so far.
    """

    def __init__(self, tolerance: Tolerance, most: int) -> None:
        self._tolerance = tolerance
        self._most = most
        self._crowded = False
        self._seen: set[tuple[int, int]] = set()
        self._left: list[tuple[object, object]] = []
        self.numbers = 0
        self.cost = 0

    @property
    def is_too_much(self) -> bool:
        """Whether there is more to compare than anyone should."""
        return self.numbers > NUMBERS or self.cost > self._most or self._crowded

    def run(self, one: object, other: object) -> bool:
        self._left.append((one, other))
        while self._left:
            if not self._same(*self._left.pop()) or self.is_too_much:
                return False
        return True

    def _same(self, one: object, other: object) -> bool:
        self.cost += PAIR
        if type(one) is not type(other) or _size(one) != _size(other):
            return False
        self.cost += _size(one) // 1024
        if isinstance(one, float) and isinstance(other, float):
            return self._tolerance.allows(one, other)
        if not isinstance(one, Made) or not isinstance(other, Made):
            return one == other
        if (id(one), id(other)) in self._seen:
            return True  # compared already, or being compared
        self._seen.add((id(one), id(other)))
        if one.kind != other.kind or len(one.parts) != len(other.parts):
            return False
        if self._is_one_array(one, other):
            return self._same_arrays(one, other)
        pairs = self._pairs(one, other)
        if pairs is None:
            return False
        self._left += pairs
        return True

    def _pairs(self, one: Made, other: Made) -> Iterator[tuple[object, object]] | None:
        """Return what has to be the same for two containers to be."""
        mine, theirs = one.parts, other.parts
        if one.kind not in {"dict", "set", "frozenset"}:
            return zip(mine, theirs, strict=True)
        step = 2 if one.kind == "dict" else 1
        keys, others = mine[::step], theirs[::step]
        if len(mine) % step or not _plain(keys) or not _plain(others):
            return zip(mine, theirs, strict=True)
        size = sum(map(_size, keys))
        self.cost += PAIR * len(keys) + size // 1024
        unlike = size != sum(map(_size, others))
        if unlike or self.is_too_much or self._are_crowded(keys, others):
            return None
        if step == 1:
            same = {_tagged(x) for x in keys} == {_tagged(x) for x in others}
            return iter(()) if same else zip(mine, theirs, strict=True)
        values = dict(zip(map(_tagged, keys), mine[1::2], strict=True))
        others_values = dict(zip(map(_tagged, others), theirs[1::2], strict=True))
        if values.keys() != others_values.keys():
            return None
        return ((value, others_values[key]) for key, value in values.items())

    def _are_crowded(self, keys: list[object], others: list[object]) -> bool:
        """Tell whether keys collide: nobody can compare both, and one is unlike any."""
        crowded = [_most_of_one_hash(one) > SAME_HASH for one in (keys, others)]
        self._crowded = all(crowded)
        return any(crowded)

    # --- NumPy's arrays and numbers -------------------------------------------------

    def _is_one_array(self, one: Made, other: Made) -> bool:
        return one.kind == "tuple" and all(
            _array_type(made) and len(_blocks(made)) == 1 for made in (one, other)
        )

    def _same_arrays(self, one: Made, other: Made) -> bool:
        """Compare the arguments of what makes an array: bytes, type, and the rest."""
        if _array_type(one) != _array_type(other):
            return False
        for mine, theirs in zip(one.parts, other.parts, strict=True):
            if _is_block(mine) and _is_block(theirs):
                if not self._same_numbers(
                    _array_type(one), _bytes(mine), _bytes(theirs)
                ):
                    return False
            else:
                self._left.append((mine, theirs))
        return True

    def _same_numbers(self, kind: str, one: Block, other: Block) -> bool:
        self.cost += len(one) // 1024
        if one == other:
            return True
        code = _FLOATS.get(kind[1:])
        if code is None or len(one) != len(other) or len(one) % struct.calcsize(code):
            return False
        self.numbers += len(one) // struct.calcsize(code)
        if self.numbers > NUMBERS:
            return False
        order = ">" if kind[0] == ">" else "<"
        allows = self._tolerance.allows
        numbers = struct.iter_unpack(order + code, one)
        others = struct.iter_unpack(order + code, other)
        return all(allows(a, b) for (a,), (b,) in zip(numbers, others, strict=True))


def _size(part: object) -> int:
    if isinstance(part, int):
        return part.bit_length() // 8
    return len(part) if isinstance(part, str | Block) else 0


def _most_of_one_hash(keys: list[object]) -> int:
    return max(Counter(map(hash, keys)).values(), default=0)


def _plain(parts: list[object]) -> bool:
    return all(isinstance(part, _SCALARS) for part in parts)


def _tagged(part: object) -> tuple[str, object]:
    return type(part).__name__, part


def _is_block(part: object) -> bool:
    return isinstance(part, bytes | memoryview) or (
        isinstance(part, Made) and part.kind == "bytearray"
    )


def _bytes(part: object) -> Block:
    found = part.parts[0] if isinstance(part, Made) else part
    assert isinstance(found, bytes | memoryview)
    return found


def _blocks(made: Made) -> list[object]:
    return [part for part in made.parts if _is_block(part)]


def _array_type(made: Made) -> str:
    """Return order and type if these arguments make an array, as "<f8"; else ""."""
    found = [kind for kind in map(_type_of, made.parts) if kind]
    return found[0] if len(found) == 1 else ""


def _type_of(part: object) -> str:
    """Return byte order and type if this is NumPy's picture of a type, else ""."""
    if not isinstance(part, Made) or part.kind != "call" or len(part.parts) < 2:
        return ""
    name, arguments, *added = part.parts
    named = isinstance(name, Made) and name.parts == ["numpy.dtype"]
    if not named or not isinstance(arguments, Made) or not arguments.parts:
        return ""
    type_name = arguments.parts[0]
    if not isinstance(type_name, str):
        return ""  # and what it looks like may be without end
    order = "|"
    for state in added:
        if isinstance(state, Made) and state.kind == "state":
            order = _order_of(state.parts[0])
    return f"{order}{type_name}"


def _order_of(state: object) -> str:
    if isinstance(state, Made) and len(state.parts) > 1:
        said = state.parts[1]
        return said if isinstance(said, str) and said else "|"
    return "|"
