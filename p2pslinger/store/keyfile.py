"""Key files: the peer's identity and the grid's authkey, on disk.

- A key file has mode 0600 from its first byte: it is made under another name with
  O_EXCL, written, put on disk, and only then given its own.
- One that others may read is refused: whoever read it is this peer, or in this grid.
- The authkey's file holds the older ones, too, that count for a while: one file is
  replaced in one step, so that no moment knows one without the other.
- One that is damaged is refused too, and never overwritten. A new identity would be
  another peer; only the owner knows whether there is a copy of the old one.
"""

from __future__ import annotations

import datetime
import os
import secrets
import stat
import sys
from collections.abc import Callable
from pathlib import Path

from p2pslinger.errors import AuthkeyError, DiskError, UsageError
from p2pslinger.ids import from_text, short, to_text
from p2pslinger.store.folder import disk_error, make_private, sync_folder
from p2pslinger.store.rewriting import alone
from p2pslinger.wire import authkey
from p2pslinger.wire.authkey import Authkey
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.keyring import Keyring, Older

IDENTITY = "identity.key"
AUTHKEY = "authkey"

#: Bytes of an Ed25519 private key.
SECRET_BYTES = 32

#: Largest key file that is read, bytes: comment, key and a margin for line ends.
LARGEST = 1024

_IDENTITY_TEXT = "# Who this peer is. A copy on a second machine would be a false twin."
#: What a line begins with that holds an older authkey.
_OLDER = "older-until"

_AUTHKEY_TEXT = "# The grid's authkey: whoever has it is a member."


def load_or_create_identity(folder: Path) -> Identity:
    """Return the identity that `folder` holds; make one if there is none.

    Raises:
        DiskError: the file is damaged, open to others, or can't be read or written.
    """
    path = folder / IDENTITY
    text = _load(path)
    if text is None:
        fresh = Identity(secrets.token_bytes(SECRET_BYTES))
        if _save(path, _IDENTITY_TEXT, to_text(fresh.secret), replace=False):
            return fresh
        text = _load(path)  # somebody else was faster
    try:
        return Identity(from_text(text or "", SECRET_BYTES))
    except UsageError:
        raise DiskError(
            f"{path} is damaged: put back a copy of it, or remove it, and this "
            "machine becomes a new peer"
        ) from None


def load_identity(folder: Path) -> Identity | None:
    """Return the identity that `folder` holds, or None; make none.

    Raises:
        DiskError: the file is damaged, open to others, or can't be read.
    """
    if not (folder / IDENTITY).exists():
        return None
    return load_or_create_identity(folder)


def load_authkey(folder: Path) -> Authkey | None:
    """Return the newest authkey that `folder` holds, or None; see `load_keyring`."""
    found = load_keyring(folder)
    return None if found is None else found.newest


def load_keyring(folder: Path) -> Keyring | None:
    """Return the authkeys that `folder` holds, or None; some may have ended.

    Raises:
        DiskError: the file is damaged, open to others, or can't be read.
    """
    path = folder / AUTHKEY
    lines = _lines(path)
    if lines is None:
        return None
    try:
        newest, *older = lines or [""]
        return Keyring(authkey.read(newest), tuple(map(_older, older)))
    except (AuthkeyError, ValueError):
        raise DiskError(
            f"{path} is damaged: remove it, and run `slinger init` with the authkey "
            "that the grid's other machines have"
        ) from None


def _older(line: str) -> Older:
    """Read a line that says which authkey counts until when."""
    word, until, text = line.split()
    when = datetime.datetime.fromisoformat(until)
    if word != _OLDER or when.tzinfo is None:
        raise ValueError(line)
    return Older(authkey.read(text), when.timestamp())


def save_authkey(folder: Path, key: Authkey, *, replace: bool = False) -> None:
    """Keep `key` in `folder`, and none beside it.

    Args:
        folder: Made, with mode 0700, if it does not exist.
        key: The authkey to keep.
        replace: Whether another grid's authkey may be overwritten.

    Raises:
        UsageError: there is another authkey, and `replace` is false.
        DiskError: the file that is there is damaged, or can't be written.
    """
    make_private(folder)
    path = folder / AUTHKEY
    held = load_authkey(folder)
    if held == key:
        return
    stored = False
    if held is None or replace:
        text = _keyring_text(Keyring(key))
        stored = _save(path, _AUTHKEY_TEXT, text, replace=held is not None)
    if not stored:
        grid = f" (grid {short(held.grid)})" if held else ""
        raise UsageError(
            f"{path} holds another authkey already{grid}: remove that file to leave "
            "its grid, or choose another data folder (SLINGER_DATA)"
        )


def change_keyring(folder: Path, by: Callable[[Keyring], Keyring]) -> Keyring:
    """Change which authkeys `folder` holds, in one step; return them.

    Raises:
        UsageError: there is none, or `by` refuses.
        DiskError: the file is damaged, or can't be written.
    """
    path = folder / AUTHKEY
    if load_keyring(folder) is None:
        raise UsageError(
            "this machine is in no grid yet: `slinger init` makes one, and "
            "`slinger init --join` joins one"
        )
    with alone(path):
        held = load_keyring(folder)
        assert held is not None
        after = by(held)
        if after != held:
            _save(path, _AUTHKEY_TEXT, _keyring_text(after), replace=True)
    return after


def _keyring_text(keyring: Keyring) -> str:
    lines = [keyring.newest.to_text()]
    for one in keyring.older:
        until = datetime.datetime.fromtimestamp(one.until, datetime.UTC)
        lines.append(f"{_OLDER} {until.isoformat()} {one.key.to_text()}")
    return "\n".join(lines)


def _load(path: Path) -> str | None:
    """Return the key's line in a key file, "" if it has none, None without a file."""
    lines = _lines(path)
    return None if lines is None else next(iter(lines), "")


def _lines(path: Path) -> list[str] | None:
    """Return a key file's lines that are no comment, None without a file."""
    try:
        fd = os.open(path, os.O_RDONLY)
        with os.fdopen(fd, "rb") as file:
            mode = stat.S_IMODE(os.fstat(fd).st_mode)
            raw = file.read(LARGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise disk_error(path, "read", error) from None
    if mode & 0o077 and sys.platform != "win32":
        raise DiskError(
            f"others may read {path}: run `chmod 600 {path}`; if they may have done "
            "so, remove it and make a new one"
        )
    lines = raw.decode("ascii", errors="replace").splitlines()
    return [line for line in lines if line and line[0] != "#"]


def _save(path: Path, comment: str, text: str, *, replace: bool) -> bool:
    """Write a key file; return False if there is one and it must not be replaced."""
    make_private(path.parent)
    fresh = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(f"{comment}\n{text}\n".encode())
                file.flush()
                os.fsync(fd)
            return _settle(fresh, path, replace=replace)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(path, "written", error) from None


def _settle(fresh: Path, path: Path, *, replace: bool) -> bool:
    """Give a finished file its name, in one step."""
    if replace:
        fresh.replace(path)
    elif sys.platform == "win32":
        try:
            fresh.rename(path)  # which refuses an existing name there, unlike POSIX
        except FileExistsError:
            return False
    else:
        try:
            os.link(fresh, path)  # unlike rename, refuses an existing name
        except FileExistsError:
            return False
    sync_folder(path.parent)
    return True
