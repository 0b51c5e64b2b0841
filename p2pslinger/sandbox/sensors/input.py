"""When a key or a mouse was last touched, by whatever this machine can say.

    a Wayland desktop   GNOME says it; for others logind's hint, if it has one
    an X display        it says it itself
    neither             terminals

Terminals count beside a display, never instead of it. Where nothing can be known, the
answer is None, and the source says so.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from typing import NamedTuple

from p2pslinger.sandbox.sensors import desktop, display, terminals

#: What is said where nothing says when the machine was used.
NOTHING = "nothing: this system does not say when it was last used"


class Idle(NamedTuple):
    """Seconds since the last input, or None; and who says so."""

    seconds: float | None
    source: str


def idle(
    wall: float,
    environ: Mapping[str, str] = os.environ,
    sockets: str = "/tmp/.X11-unix",
    runtime: str = "/run/user",
    devices: str = terminals.DEVICES,
) -> Idle:
    """Return when a key or a mouse was last touched."""
    typed = terminals.idle(wall, devices)
    if glob.glob(f"{runtime}/*/wayland-[0-9]*"):
        seen = _on_wayland(environ, wall)
    elif glob.glob(f"{sockets}/X[0-9]*"):
        seen = _on_x(environ, sockets, wall)
    elif typed is None:
        return Idle(None, NOTHING)
    else:
        return Idle(typed, "terminals")
    if seen.seconds is None or typed is None:
        return seen
    return Idle(min(seen.seconds, typed), f"{seen.source} and terminals")


def _on_wayland(environ: Mapping[str, str], wall: float) -> Idle:
    seconds = desktop.idle_in_gnome(environ)
    return Idle(seconds, "GNOME") if seconds is not None else _hint(environ, wall)


def _on_x(environ: Mapping[str, str], sockets: str, wall: float) -> Idle:
    try:
        return Idle(display.idle(environ, sockets), "the X display")
    except OSError:
        return _hint(environ, wall)


def _hint(environ: Mapping[str, str], wall: float) -> Idle:
    seconds = desktop.idle_by_logind(environ, wall)
    return Idle(seconds, NOTHING if seconds is None else "logind")
