"""When somebody last typed at a terminal: what `w` calls idle.

The kernel notes when a terminal was last read from, to eight seconds or so. Terminals
on the console and those of windows and of ssh count alike.
"""

from __future__ import annotations

import os

DEVICES = "/dev"

#: Consoles: tty1 and so on; tty0 and tty are names for another one.
_CONSOLES = 63


def idle(wall: float, devices: str = DEVICES) -> float | None:
    """Return the seconds since a terminal was last typed at; None without any."""
    names = [f"{devices}/tty{number}" for number in range(1, _CONSOLES + 1)]
    try:
        windows = [name for name in os.listdir(f"{devices}/pts") if name.isdigit()]
    except OSError:
        windows = []
    names += [f"{devices}/pts/{name}" for name in windows]
    times = []
    for name in names:
        try:
            times.append(os.stat(name).st_atime)
        except OSError:
            continue
    return max(0.0, wall - max(times)) if times else None
