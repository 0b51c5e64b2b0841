"""What `slinger doctor` sees from outside, without a peer."""

from __future__ import annotations

import platform
import shutil
import socket
import sys
import tempfile
from pathlib import Path

from p2pslinger.errors import AuthkeyError, DiskError
from p2pslinger.ids import short
from p2pslinger.peer.config import Config
from p2pslinger.store.keyfile import AUTHKEY
from p2pslinger.wire.ownfacts import CheckFacts

#: Free bytes on the data folder's disk below which jobs with big payloads soon fail.
LEAST_FREE = 1_000_000_000

#: Oldest and newest minor version of Python 3 with which the project is tested.
TESTED = (11, 13)


def fine(name: str, text: str) -> CheckFacts:
    """Return a check's good outcome."""
    return CheckFacts(name, ok=True, text=text, advice="")


def problem(name: str, text: str, advice: str = "") -> CheckFacts:
    """Return a check's bad outcome."""
    return CheckFacts(name, ok=False, text=text, advice=advice)


def python() -> CheckFacts:
    """Check the Python that runs slinger."""
    text = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info.minor > TESTED[1]:
        text += f"; slinger is tested with 3.{TESTED[0]} to 3.{TESTED[1]}"
    return fine("python", text)


def settings(file: Path) -> CheckFacts:
    """Say which settings file was read without an error."""
    found = f"read from {file}" if file.exists() else f"all by default: no {file}"
    return fine("settings", found)


def authkey(config: Config) -> CheckFacts:
    """Check that there is an authkey, and that nobody else can read it."""
    try:
        key = config.find_authkey()
    except (AuthkeyError, DiskError) as error:
        return problem("authkey", str(error))
    if key is None:
        return problem(
            "authkey",
            "there is none: this machine is in no grid",
            "`slinger init` makes a grid, `slinger init --join` joins one",
        )
    file = config.data / AUTHKEY
    where = "settings or environment" if config.authkey else f"{file}, yours alone"
    return fine("authkey", f"of grid {short(key.grid)}, from {where}")


def data_folder(data: Path) -> CheckFacts:
    """Check that the data folder, or where it would be made, can be written."""
    if data.exists() and not data.is_dir():
        return problem("data", f"{data} is no folder", "remove it, or set SLINGER_DATA")
    try:
        with tempfile.TemporaryFile(dir=_nearest(data)):
            pass
    except OSError as error:
        return problem(
            "data",
            f"{data} can't be written: {(error.strerror or str(error)).lower()}",
            "give it to your user, or choose another folder (SLINGER_DATA)",
        )
    state = "can be written" if data.exists() else "does not exist yet and can be made"
    return fine("data", f"{data} {state}")


def disk(data: Path) -> CheckFacts:
    """Check that there is room for payloads."""
    free = shutil.disk_usage(_nearest(data)).free
    text = f"{free / 1e9:,.1f} GB free for {data}"
    if free < LEAST_FREE:
        return problem("disk", text, "free some, or set SLINGER_DATA to another disk")
    return fine("disk", text)


def port(number: int, *, fixed: bool) -> CheckFacts:
    """Check that a peer could listen, TCP and UDP. (A running one says it itself.)"""
    for kind, name in ((socket.SOCK_STREAM, "TCP"), (socket.SOCK_DGRAM, "UDP")):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM and sys.platform != "win32":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", number))
            except OSError as error:
                why = (error.strerror or str(error)).lower()
                text = f"{number} can't be used for {name}: {why}"
                if fixed:
                    return problem("port", text, "choose another (SLINGER_PORT)")
                return fine("port", f"{text}; a peer takes the next free one")
    return fine("port", f"{number} is free, TCP and UDP" if number else "any free one")


def _nearest(folder: Path) -> Path:
    """Return the folder itself, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())
