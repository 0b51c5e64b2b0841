"""What a peer's settings are called, and what each of them may be.

A row reads a value from wherever it comes: text of the environment, a TOML value, or
what the command line has parsed already. Reading raises ValueError; the words for the
user are made in `p2pslinger.peer.config`, which knows where the value came from.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path

from p2pslinger import limits
from p2pslinger.sandbox.level import Level
from p2pslinger.wire.records import Address

#: Most slots of one peer: more than the largest machine has cores.
SLOTS = 4096

#: Bootstrap addresses: each costs a dial at every attempt to join.
BOOTSTRAPS = 64

LOG_LEVELS = ("debug", "info", "warning", "error")

_ADDRESS = re.compile(
    r"(?:\[(?P<six>[^\]\s]+)\]|(?P<host>[^:\s\[\]/]+))(?::(?P<port>\d{1,5}))?"
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One row: how a value is read, and what is allowed, to finish a sentence."""

    read: Callable[[object], object]
    allowed: str


def read_address(value: object) -> Address:
    """Read "host", "host:port", "::1" or "[::1]:port"; an `Address` stays one.

    Raises:
        ValueError: it is none of them.
    """
    if isinstance(value, Address):
        return value
    text = _text(value)
    match = _ADDRESS.fullmatch(text)
    host = (match["six"] or match["host"]) if match else text
    if not match or match["six"]:
        IPv6Address(host)
    port = int(match["port"] or limits.PORT) if match else limits.PORT
    if not 1 <= port <= 65535 or len(host) > 255:
        raise ValueError(text)
    return Address(host, port)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(value)
    return value.strip()


def _path(value: object) -> Path:
    path = value if isinstance(value, Path) else Path(_text(value))
    return path.expanduser().absolute()


def _paths(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.split(os.pathsep)
    if not isinstance(value, list | tuple) or len(value) > limits.PYTHONS:
        raise ValueError(value)
    return tuple(str(_path(one)) for one in value)


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = _text(value).lower()
    if word not in {"1", "0", "true", "false", "yes", "no", "on", "off"}:
        raise ValueError(value)
    return word in {"1", "true", "yes", "on"}


def _whole(low: int, high: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError(value)
        number = int(value)
        if not low <= number <= high:
            raise ValueError(value)
        return number

    return read


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(value)
    text = str(value).strip()
    number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 < number <= 1:
        raise ValueError(value)
    return number


def _addresses(value: object) -> tuple[Address, ...]:
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    if not isinstance(value, list | tuple) or len(value) > BOOTSTRAPS:
        raise ValueError(value)
    return tuple(read_address(one) for one in value)


def _name(value: object) -> str:
    name = _text(value)
    if len(name) > limits.NAME or not name.isprintable():
        raise ValueError(value)
    return name


def _host(value: object) -> str:
    if isinstance(value, str) and value.strip() in {"", "*"}:
        return ""
    return _text(value)


def _level(value: object) -> str:
    level = _text(value).lower()
    if level not in LOG_LEVELS:
        raise ValueError(value)
    return level


def _sandbox(value: object) -> Level:
    level = Level(_text(value).lower())
    if level is Level.NONE:
        raise ValueError(value)
    return level


#: Every setting, by the name of its field in `Config`.
SETTINGS: dict[str, Setting] = {
    "data": Setting(_path, "the path of a folder"),
    "port": Setting(_whole(0, 65535), "a port from 1 to 65535, or 0 for any free one"),
    "port_fixed": Setting(_flag, "true or false"),
    "host": Setting(_host, "an address of this machine, or * for all of them"),
    "bootstrap": Setting(
        _addresses, f"at most {BOOTSTRAPS} addresses such as 192.168.1.5 or host:8468"
    ),
    "slots": Setting(_whole(0, SLOTS), f"a whole number from 0 to {SLOTS}"),
    "pythons": Setting(_paths, "a list of paths of Python interpreters"),
    "memory_share": Setting(_share, "a part such as 0.5 or 50%"),
    "trust_members": Setting(_flag, "true or false"),
    "require": Setting(_sandbox, "one of strong, good, weak"),
    "strangers": Setting(_flag, "true or false"),
    "polite": Setting(_flag, "true or false"),
    "keep": Setting(_flag, "true or false"),
    "every_id_counts": Setting(_flag, "true or false"),
    "mdns": Setting(_flag, "true or false"),
    "name": Setting(_name, f"a name of 1 to {limits.NAME} characters on one line"),
    "program_bound": Setting(_flag, "true or false"),
    "throw_away": Setting(_flag, "true or false"),
    "log_level": Setting(_level, f"one of {', '.join(LOG_LEVELS)}"),
}

#: Settings that only the caller may give: they make no sense for every peer at once.
CALLERS_ONLY = frozenset(
    {
        "polite",
        "port_fixed",
        "program_bound",
        "strangers",
        "throw_away",
        "every_id_counts",
    }
)
