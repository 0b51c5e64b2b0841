"""Facts in words: times, shares and ids as people read them.

Names come from other machines. A control character in one could rewrite the reader's
terminal, so whatever is shown passes through `printable`.
"""

from __future__ import annotations

import time

#: Seconds of the units of time, largest first.
UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))


def printable(text: str, *, lines: bool = False) -> str:
    """Return `text` with every control character, or all but line ends, as "?"."""
    return "".join(c if c.isprintable() or (lines and c == "\n") else "?" for c in text)


def printable_json(text: str) -> str:
    """Return JSON that means the same, with every control character spelled out.

    They occur in its strings only.
    """
    if text.isascii():
        return text
    return "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text)


def _escaped(one: str) -> str:
    units = one.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def duration(seconds: float) -> str:
    """Return a time span with the unit that suits it: "0.4 s", "12 s", "3.5 h"."""
    for size, unit in UNITS:
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def amount(size: int) -> str:
    """Return a number of bytes with the unit that suits it: "12 kB", "1.5 GB"."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"


def when(wall: float) -> str:
    """Return a wall time as the clock here shows it, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(wall))


def percent(share: float) -> str:
    """Return a part of 1 as a percentage."""
    return f"{100 * share:.1f} %"


def how_far(newer: int, known: int, ends: str) -> str:
    """Return how many neighbours use the newest authkey, and how long they may not."""
    verb = "uses" if known == 1 else "use"
    used = f"{newer:,} of {counted(known, 'neighbour')} {verb} the newest authkey"
    return f"{used}; the older one ends on {ends}"


def of_id(text: str, *, whole: bool = False) -> str:
    """Return an id's text form, or its first group: enough for a few dozen."""
    return printable(text if whole else text.partition("-")[0])


def counted(count: int, one: str, many: str = "") -> str:
    """Return "1 slot", "2 slots"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
