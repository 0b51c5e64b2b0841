"""Where this machine's files are: settings, data, and the control socket.

A program and the peer it looks for find the same socket without talking first, so both
sides compute it here, from the data folder alone.

- Where the data lie: an argument, else $SLINGER_DATA, else `data` in the settings file
  (relative to it), else where the system keeps such things.
- A Unix socket's path may have 107 bytes at most, which deep home folders exceed. So
  sockets live in the session's runtime folder or in a short one under /tmp, named by
  a hash of the data folder.
- Whoever can put a file into the runtime folder can pretend to be our peer: it belongs
  to us, has mode 0700 and is no symbolic link, or it is not used.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

from p2pslinger.errors import DiskError, UsageError

#: Name of our folders inside the system's.
NAME = "slinger"

#: Bytes of a Unix socket's path: `sun_path` less its final NUL (unix(7); macOS: 104).
SOCKET_PATH = 103 if sys.platform == "darwin" else 107

#: Where short folders can be made, whatever $TMPDIR says.
SHORT = Path("/tmp")


def config_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of `config.toml`: $SLINGER_CONFIG, or the system's."""
    if environ.get("SLINGER_CONFIG"):
        return Path(environ["SLINGER_CONFIG"]).expanduser()
    import platformdirs

    return Path(platformdirs.user_config_dir(NAME, appauthor=False))


def config_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the path of the settings file, whether or not it exists."""
    return config_folder(environ) / "config.toml"


def default_data_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the data folder that is meant when nobody names one.

    Raises:
        UsageError: the settings file can't be read.
    """
    if environ.get("SLINGER_DATA"):
        return Path(environ["SLINGER_DATA"]).expanduser()
    file = config_file(environ)
    named = read_settings(file).get("data")
    if isinstance(named, str) and named:
        return file.parent / Path(named).expanduser()
    return system_data_folder()


def system_data_folder() -> Path:
    """Return where the system keeps programs' data."""
    import platformdirs

    return Path(platformdirs.user_data_dir(NAME, appauthor=False))


def read_settings(file: Path) -> dict[str, object]:
    """Read a settings file; one that does not exist is empty.

    Raises:
        UsageError: it is no TOML, with the line; or it can't be read.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UsageError(f"{file} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is no text in UTF-8: save it as such") from None
    import tomllib

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also of a number without end
        raise UsageError(
            f"{file} is no valid TOML: {error}. Lines look like `slots = 4` or "
            '`bootstrap = ["host:8468"]`'
        ) from None


def control_path(data_folder: Path) -> Path:
    """Return where the peer that runs on `data_folder` has its control socket.

    A socket that is there already wins: a peer started by cron knows no session's
    runtime folder, and a program of the session must find it all the same.

    Raises:
        DiskError: there is no folder in which a socket would be safe.
    """
    resolved = os.fsencode(data_folder.expanduser().resolve())
    name = hashlib.sha256(resolved).hexdigest()[:8] + ".sock"
    for folder in (_session_folder(), _short_folder()):
        if folder and _why_unsafe(folder) is None and (folder / name).is_socket():
            return folder / name
    return runtime_folder() / name


def runtime_folder() -> Path:
    """Return the folder of control sockets, making it if need be (mode 0700).

    Raises:
        DiskError: the folder exists and is not ours alone, or can't be made.
    """
    session = _session_folder()
    if session is not None and _why_unusable(session) is None:
        return session
    short = _short_folder()
    why = _why_unusable(short)
    if why is not None:
        raise DiskError(
            f"{short} can't hold the control socket: {why}. Remove it, or set "
            "XDG_RUNTIME_DIR to a folder of your own (mode 0700)"
        )
    return short


def _session_folder() -> Path | None:
    """Return the folder inside the session's own, if it has one and is short enough."""
    if sys.platform == "win32":
        return None
    named = os.environ.get("XDG_RUNTIME_DIR")
    session = Path(named or f"/run/user/{os.getuid()}")
    folder = session / NAME
    too_long = len(os.fsencode(folder)) + len("/12345678.sock") > SOCKET_PATH
    if too_long or not session.is_absolute() or not session.is_dir():
        return None
    return folder


def _short_folder() -> Path:
    if sys.platform == "win32":
        import platformdirs

        return Path(platformdirs.user_runtime_dir(NAME, appauthor=False))
    return SHORT / f"{NAME}-{os.getuid()}"


def _why_unusable(folder: Path) -> str | None:
    """Make `folder` if it does not exist; return why it is not to be used, or None."""
    try:
        folder.mkdir(mode=0o700, parents=sys.platform == "win32")
    except FileExistsError:
        pass
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return _why_unsafe(folder)


def _why_unsafe(folder: Path) -> str | None:
    try:
        found = folder.lstat()
    except OSError as error:
        return (error.strerror or str(error)).lower()
    if not stat.S_ISDIR(found.st_mode):
        return "it is no folder"  # a symbolic link isn't one either
    if sys.platform == "win32":
        return None
    if found.st_uid != os.getuid():
        return "it belongs to another user"
    if stat.S_IMODE(found.st_mode) & 0o077:
        return f"others may enter it (run `chmod 700 {folder}`)"
    return None
