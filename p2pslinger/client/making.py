"""Values that are more than plain data, made from plain data alone.

Every maker checks its arguments, because whoever sent them may have written them by
hand, and calls nothing but the standard library's own constructors with plain numbers
and texts. What a program's own types are made of is in `p2pslinger.client.named`, and
arrays are in `p2pslinger.client.arrays`.
"""

from __future__ import annotations

import datetime
import decimal
import os
import pathlib
import re
import uuid
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from p2pslinger import limits
from p2pslinger.client import arrays
from p2pslinger.client.named import Named
from p2pslinger.client.symbols import Draft, Inert, Symbol

if TYPE_CHECKING:
    import fractions
    import zoneinfo

Arguments = tuple[object, ...]

#: A time zone's name: it becomes the name of a file.
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,3}")

#: What cloudpickle calls to make a class that came along: from what it makes its name.
_SKELETONS = {
    "_make_skeleton_class": (1, 3),
    "_make_skeleton_enum": (1, 4),
}

_ENUM_MODULE = 4


class Making:
    """Makes what a pickle asks for.

    Args:
        named: The types that the program has named.
    """

    def __init__(self, named: Named) -> None:
        self._named = named
        self._unbuilt: dict[int, object] = {}

    def call(self, symbol: Symbol, arguments: Arguments) -> object:
        """Return what calling something gives, or something inert."""
        make = _MAKERS.get((symbol.module, symbol.name))
        if make is not None:
            return make(*arguments)
        if (symbol.module, symbol.name) == ("builtins", "getattr"):
            return _attribute(symbol, arguments)
        if symbol.module == "cloudpickle.cloudpickle" and symbol.name in _SKELETONS:
            return _class_sent_along(symbol, arguments)
        if arrays.knows(symbol):
            return arrays.call(symbol, arguments)
        kind = self._named.find(symbol)
        if kind is not None:
            return self._named.call(kind, arguments)
        return Inert(symbol)

    def new(self, symbol: Symbol, arguments: Arguments) -> object:
        """Return a new instance of a class, or something inert."""
        if (symbol.module, symbol.name) == ("uuid", "UUID") and not arguments:
            return Draft(symbol, ())
        kind = self._named.find(symbol)
        if kind is None:
            return Inert(symbol)
        made = self._named.new(kind, arguments)
        if self._named.needs_state(made):
            self._unbuilt[id(made)] = made
        return made

    def build(self, made: object, state: object) -> object:
        """Return an instance with its state."""
        if isinstance(made, Draft):
            if made.what.module == "uuid":
                return _uuid(state)
            return arrays.build(made, state)
        if id(made) not in self._unbuilt:
            raise ValueError(f"a {type(made).__name__} is given a state")
        del self._unbuilt[id(made)]
        self._named.fill(made, state)
        return made

    def unfinished(self) -> str:
        """Return the name of a type of which an instance has got no state, or ""."""
        return next((type(one).__name__ for one in self._unbuilt.values()), "")


def _attribute(symbol: Symbol, arguments: Arguments) -> Symbol | Inert:
    """Return the one attribute that is known: how a time zone is written."""
    of, name = arguments
    if (
        isinstance(of, Symbol)
        and str(of) == "zoneinfo.ZoneInfo"
        and name == "_unpickle"
    ):
        return Symbol(of.module, f"{of.name}.{name}")
    return Inert(symbol)


def _class_sent_along(symbol: Symbol, arguments: Arguments) -> Symbol:
    """Return the name of a class whose definition has come with the value."""
    at, where = _SKELETONS[symbol.name]
    name, said = arguments[at], arguments[where]
    if isinstance(said, dict):
        said = said.get("__module__")
    if not isinstance(name, str) or not isinstance(said, str):
        raise ValueError("a class without a name")
    return Symbol(said, name)


# --- dates and times ------------------------------------------------------------------


def _datetime(raw: object, zone: object = None) -> datetime.datetime:
    data = _bytes(raw, 10)
    year, month, day = int.from_bytes(data[:2]), data[2] & 0x7F, data[3]
    hour, minute, second = data[4:7]
    return datetime.datetime(
        year,
        month,
        day,
        hour,
        minute,
        second,
        int.from_bytes(data[7:10]),
        tzinfo=_zone_or_none(zone),
        fold=data[2] >> 7,
    )


def _date(raw: object) -> datetime.date:
    data = _bytes(raw, 4)
    return datetime.date(int.from_bytes(data[:2]), data[2], data[3])


def _time(raw: object, zone: object = None) -> datetime.time:
    data = _bytes(raw, 6)
    micro = int.from_bytes(data[3:6])
    hour, fold = data[0] & 0x7F, data[0] >> 7
    return datetime.time(
        hour, data[1], data[2], micro, tzinfo=_zone_or_none(zone), fold=fold
    )


def _timedelta(*parts: object) -> datetime.timedelta:
    return datetime.timedelta(*(_integer(part) for part in parts))


def _timezone(offset: object, *name: object) -> datetime.timezone:
    if not isinstance(offset, datetime.timedelta):
        raise ValueError("a time zone without an offset")
    if not name:
        return datetime.timezone(offset)
    return datetime.timezone(offset, _text(name[0]))


def _zone(key: object, _: object = True) -> zoneinfo.ZoneInfo:
    import zoneinfo  # looks for the system's time zones as it is loaded

    text = _text(key)
    if not _ZONE.fullmatch(text) or len(text) > limits.NAME:
        raise ValueError(f"no time zone is called {text!r:.80}")
    try:
        return zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, OSError):
        raise ValueError(f"the time zone {text} is not known here") from None


def _zone_or_none(zone: object) -> datetime.tzinfo | None:
    import zoneinfo

    if zone is None or isinstance(zone, datetime.timezone | zoneinfo.ZoneInfo):
        return zone
    raise ValueError("a time zone that is none")


# --- numbers --------------------------------------------------------------------------


def _decimal(text: object) -> decimal.Decimal:
    said = _text(text)
    if len(said) > limits.DIGITS:
        raise ValueError("a decimal of too many digits")
    try:
        return decimal.Decimal(said)
    except decimal.DecimalException:
        raise ValueError(f"{said!r:.80} is no decimal") from None


def _fraction(upper: object, lower: object = 1) -> fractions.Fraction:
    import fractions  # few programs have any

    if isinstance(upper, str):
        upper, _, below = upper.partition("/")
        if max(len(upper), len(below)) > limits.DIGITS:
            raise ValueError("a fraction of too many digits")
        return fractions.Fraction(int(upper), int(below or "1"))
    numbers = _integer(upper), _integer(lower)
    if max(one.bit_length() for one in numbers) > 4 * limits.DIGITS:
        raise ValueError("a fraction of too many digits")
    return fractions.Fraction(*numbers)


def _complex(real: object, imaginary: object) -> complex:
    return complex(float(cast(float, real)), float(cast(float, imaginary)))


def _range(*parts: object) -> range:
    return range(*(_integer(part) for part in parts))


def _slice(*parts: object) -> slice:
    if len(parts) != 3 or any(type(one) not in {int, type(None)} for one in parts):
        raise ValueError("a slice of something else than numbers")
    return slice(*parts)


# --- the rest -------------------------------------------------------------------------


def _path(of: type[pathlib.PurePath]) -> Callable[..., pathlib.PurePath]:
    def make(*parts: object) -> pathlib.PurePath:
        return of(*(_text(part) for part in parts))

    return make


def _uuid(state: object) -> uuid.UUID:
    if not isinstance(state, dict) or not state.keys() <= {"int", "is_safe"}:
        raise ValueError("a UUID that is none")
    return uuid.UUID(int=_integer(state["int"]))


def _ordered() -> OrderedDict[object, object]:
    return OrderedDict()


def _deque(items: object = (), most: object = None) -> deque[object]:
    if items not in ((), []) or not (most is None or type(most) is int):
        raise ValueError("a deque that is none")
    return deque(maxlen=most)


def _counter(counts: object = None) -> Counter[object]:
    if counts is not None and type(counts) is not dict:
        raise ValueError("a counter that is none")
    made: Counter[object] = Counter()
    dict.update(made, counts or {})
    return made


def _text(value: object) -> str:
    if type(value) is not str:
        raise ValueError(f"a {type(value).__name__} where a text belongs")
    return value


def _integer(value: object) -> int:
    if type(value) is not int:
        raise ValueError(f"a {type(value).__name__} where a whole number belongs")
    return value


def _bytes(value: object, size: int) -> bytes:
    if type(value) is not bytes or len(value) != size:
        raise ValueError("a date or time that is none")
    return value


_POSIX = pathlib.PosixPath if os.name != "nt" else pathlib.PurePosixPath
_WINDOWS = pathlib.WindowsPath if os.name == "nt" else pathlib.PureWindowsPath

#: What is made, by what a pickle calls it.
_MAKERS: dict[tuple[str, str], Callable[..., object]] = {
    ("datetime", "datetime"): _datetime,
    ("datetime", "date"): _date,
    ("datetime", "time"): _time,
    ("datetime", "timedelta"): _timedelta,
    ("datetime", "timezone"): _timezone,
    ("zoneinfo", "ZoneInfo._unpickle"): _zone,
    ("decimal", "Decimal"): _decimal,
    ("fractions", "Fraction"): _fraction,
    ("builtins", "complex"): _complex,
    ("builtins", "range"): _range,
    ("builtins", "slice"): _slice,
    ("collections", "OrderedDict"): _ordered,
    ("collections", "deque"): _deque,
    ("collections", "Counter"): _counter,
    **{
        (module, name): _path(of)
        for module in ("pathlib", "pathlib._local")
        for name, of in (
            ("PosixPath", _POSIX),
            ("WindowsPath", _WINDOWS),
            ("PurePosixPath", pathlib.PurePosixPath),
            ("PureWindowsPath", pathlib.PureWindowsPath),
        )
    },
}
