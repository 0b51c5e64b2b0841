"""When somebody last used the desktop, as desktop and session service tell.

    GNOME   org.gnome.Mutter.IdleMonitor        milliseconds, on the session's bus
    logind  IdleHint, IdleSinceHint             microseconds, on the system's bus

Asked by `busctl`, which belongs to systemd. A hint of logind is believed only if it
says that nobody is there: many desktops never set it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence

#: Seconds that a bus may take to answer.
PATIENCE = 2.0

_MUTTER = [
    *("busctl", "--user", "call", "org.gnome.Mutter.IdleMonitor"),
    "/org/gnome/Mutter/IdleMonitor/Core",
    "org.gnome.Mutter.IdleMonitor",
    "GetIdletime",
]

_LOGIND = [
    *("busctl", "get-property", "org.freedesktop.login1"),
    "/org/freedesktop/login1",
    "org.freedesktop.login1.Manager",
    "IdleHint",
    "IdleSinceHint",
]

_HINT = re.compile(r"b (true|false)\s+t (\d+)")


def idle_in_gnome(environ: Mapping[str, str]) -> float | None:
    """Return the seconds without input, as GNOME's compositor says; else None."""
    return read_mutter(_said(_MUTTER, environ))


def idle_by_logind(environ: Mapping[str, str], wall: float) -> float | None:
    """Return for how many seconds nobody has been there, if logind says so."""
    return read_logind(_said(_LOGIND, environ), wall)


def read_mutter(text: str) -> float | None:
    """Read what `busctl` prints of an idle time: "t 61234"."""
    match = re.fullmatch(r"t (\d+)\s*", text)
    return int(match[1]) / 1000 if match else None


def read_logind(text: str, wall: float) -> float | None:
    """Read what `busctl` prints of both hints: "b true", "t 1732000000000000"."""
    match = _HINT.fullmatch(text.strip())
    if match is None or match[1] == "false":
        return None
    since = int(match[2]) / 1e6
    return max(0.0, wall - since) if since else None


def _said(command: Sequence[str], environ: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace")
