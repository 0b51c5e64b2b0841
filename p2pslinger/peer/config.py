"""A peer's configuration: read once, checked once, frozen, passed down.

Later sources win: defaults, the settings file, the environment (SLINGER_PORT for
`port`, and so on), what the caller gives. What each setting may be is a row of
`p2pslinger.peer.settings`; an error names the place, the setting and what is allowed.

The authkey comes from the environment, the settings file or the data folder. It is
never an argument: arguments are visible to every user of the machine.
"""

from __future__ import annotations

import os
import re
import socket
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from p2pslinger import limits, paths
from p2pslinger.errors import AuthkeyError, UsageError
from p2pslinger.peer.settings import CALLERS_ONLY, SETTINGS
from p2pslinger.sandbox.level import Level
from p2pslinger.store.keyfile import load_authkey, load_keyring
from p2pslinger.wire import authkey as authkeys
from p2pslinger.wire.authkey import Authkey
from p2pslinger.wire.keyring import Keyring
from p2pslinger.wire.records import Address


@dataclass(frozen=True, slots=True)
class Config:
    """How one peer is to run.

    Attributes:
        data: Its data folder.
        port: First port to try, TCP and UDP; 0 for any free one.
        port_fixed: Only this port will do.
        host: Address to listen on; "" for every one of the machine.
        bootstrap: Where to join.
        slots: How many worker processes; None for as many as fit (`slot_count`).
        pythons: Interpreters that slots may be of, besides the daemon's; None for those
            that are found.
        memory_share: Part of the machine's memory that all slots may use, 0 to 1.
        trust_members: Treat every member of the grid like the owner: no sandbox.
        require: The weakest sandbox in which other members' work is computed.
        strangers: Even this machine's own programs are treated as strangers.
        polite: Slots for others get what nobody else wants of processor and disk.
        keep: Keep durable jobs of other members, within a quota of the disk.
        every_id_counts: Every peer may check every other one's results, also where one
            person may be behind both: for tests of many peers on one machine.
        mdns: Look for peers on the local network, and be found there.
        name: What people call this machine.
        program_bound: The peer ends with the last program that uses it.
        throw_away: Its data folder is removed when it ends.
        log_level: One of `p2pslinger.peer.settings.LOG_LEVELS`.
        authkey: From the environment or the settings file (see `find_authkey`).
    """

    data: Path
    port: int = limits.PORT
    port_fixed: bool = False
    host: str = ""
    bootstrap: tuple[Address, ...] = ()
    slots: int | None = None
    pythons: tuple[str, ...] | None = None
    memory_share: float = 0.5
    trust_members: bool = False
    require: Level = Level.GOOD
    strangers: bool = False
    polite: bool = True
    keep: bool = True
    every_id_counts: bool = False
    mdns: bool = True
    name: str = "unnamed"
    program_bound: bool = False
    throw_away: bool = False
    log_level: str = "info"
    authkey: Authkey | None = field(default=None, repr=False)

    def slot_count(self) -> int:
        """Return how many slots to run.

        A daemon leaves its owner one core; a peer that a program brought along has
        been asked for all of them.
        """
        if self.slots is not None:
            return self.slots
        return cores() if self.program_bound else max(1, cores() - 1)

    def find_keyring(self) -> Keyring | None:
        """Return the authkeys that count; see `find_authkey`."""
        if self.authkey is not None:
            return Keyring(self.authkey)
        return load_keyring(self.data)

    def find_authkey(self) -> Authkey | None:
        """Return the authkey of the settings, else the data folder's, else None.

        Raises:
            DiskError: the data folder's is damaged or open to others.
        """
        return self.authkey or load_authkey(self.data)


def cores() -> int:
    """Return how many cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load(
    *,
    environ: Mapping[str, str] | None = None,
    file: Path | None = None,
    **given: object,
) -> Config:
    """Read every source into one configuration.

    Args:
        environ: Stands for the process's environment.
        file: Stands for the settings file of the user's config folder.
        given: Settings by name, as of the command line; None is "not given".

    Raises:
        UsageError: a source says something unknown or impossible.
    """
    environ = os.environ if environ is None else environ
    file = paths.config_file(environ) if file is None else file
    found = _from_file(file)
    found |= _from_environment(environ)
    found |= _from_caller(given)
    if "data" not in found:
        found["data"] = paths.system_data_folder()
    found.setdefault("name", socket.gethostname()[: limits.NAME] or "unnamed")
    found.setdefault("port_fixed", bool(found.get("port")))
    return Config(**found)  # type: ignore[arg-type]  # rows and fields are tested


def _from_file(file: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in paths.read_settings(file).items():
        where = f"{file}, line {_line(file, key)}: {key}"
        if key == "authkey":
            found[key] = _authkey_of_file(file, where, value)
        elif key in SETTINGS and key not in CALLERS_ONLY:
            found[key] = _read(where, key, value)
            if key == "data" and isinstance(value, str):
                found[key] = file.parent.absolute() / Path(value).expanduser()
        else:
            raise UsageError(f"{where} is no setting{_nearest(key)}")
    return found


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key in SETTINGS.keys() - CALLERS_ONLY:
        variable = f"SLINGER_{key.upper()}"
        if environ.get(variable):  # set to nothing is not set
            found[key] = _read(variable, key, environ[variable])
    if environ.get("SLINGER_AUTHKEY"):
        found["authkey"] = _authkey("SLINGER_AUTHKEY", environ["SLINGER_AUTHKEY"])
    return found


def _from_caller(given: Mapping[str, object]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in given.items():
        if key == "authkey":
            raise UsageError(
                "authkey is no argument, because every user of the machine can see "
                "those: set SLINGER_AUTHKEY, or run `slinger init`"
            )
        if key not in SETTINGS:
            raise UsageError(f"{key} is no setting{_nearest(key)}")
        if value is not None:
            found[key] = _read(key, key, value)
    return found


def _read(where: str, key: str, value: object) -> object:
    setting = SETTINGS[key]
    try:
        return setting.read(value)
    except ValueError:
        shown = repr(value) if len(repr(value)) <= 80 else repr(value)[:77] + "..."
        raise UsageError(f"{where} is {shown}, not {setting.allowed}") from None


def _authkey(where: str, value: object) -> Authkey:
    if not isinstance(value, str):
        raise AuthkeyError(f'{where} is no text: write it in quotes ("slinger-...")')
    try:
        return authkeys.read(value)
    except AuthkeyError as error:
        raise AuthkeyError(f"{where}: {error}") from None


def _authkey_of_file(file: Path, where: str, value: object) -> Authkey:
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077 and sys.platform != "win32":
        raise AuthkeyError(f"others may read {file}: run `chmod 600 {file}`")
    return _authkey(where, value)


def _line(file: Path, key: str) -> int:
    """Return the line where `key` is set; TOML's reader does not say."""
    wanted = re.compile(rf"""\s*\[*\s*["']?{re.escape(key)}["']?\s*[]=.]""")
    lines = file.read_text(encoding="utf-8").splitlines()
    return next((n for n, line in enumerate(lines, 1) if wanted.match(line)), 1)


def _nearest(key: str) -> str:
    import difflib  # only for who has made a mistake

    known = sorted({*SETTINGS, "authkey"} - CALLERS_ONLY)
    near = difflib.get_close_matches(key.lower().replace("-", "_"), known, n=1)
    return f": did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
