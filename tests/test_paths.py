"""Program and peer find the same socket, in a folder that is nobody else's."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from p2pslinger import paths
from p2pslinger.errors import DiskError, UsageError


@pytest.fixture
def session(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A session's runtime folder."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_dir))
    return short_dir


@pytest.fixture
def short(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where short folders are made, without a session."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_dir / "none"))
    monkeypatch.setattr(paths, "SHORT", short_dir)
    return short_dir / f"slinger-{os.getuid()}"


def test_sockets_lie_in_the_sessions_folder(session: Path) -> None:
    path = paths.control_path(Path("/data"))

    assert path.parent == session / "slinger"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.name == paths.control_path(Path("/data/../data")).name
    assert path != paths.control_path(Path("/other"))


def test_a_session_folder_with_a_long_name_is_not_used(
    short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))

    path = paths.control_path(tmp_path)

    assert path.parent == short
    assert len(os.fsencode(path)) <= 107
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


@pytest.mark.parametrize("named", ["", "relative", "/does/not/exist"])
def test_without_a_usable_session_folder_a_short_one_is_made(
    short: Path, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not named and Path(f"/run/user/{os.getuid()}").is_dir():
        pytest.skip("needs a machine without a session")
    monkeypatch.setenv("XDG_RUNTIME_DIR", named)

    assert paths.runtime_folder() == short
    assert stat.S_IMODE(short.stat().st_mode) == 0o700


def test_a_folder_that_others_may_enter_is_refused(short: Path) -> None:
    short.mkdir()
    short.chmod(0o755)

    with pytest.raises(DiskError, match="chmod 700"):
        paths.runtime_folder()


def test_a_symbolic_link_is_refused(short: Path, tmp_path: Path) -> None:
    short.symlink_to(tmp_path)

    with pytest.raises(DiskError, match="no folder"):
        paths.control_path(tmp_path)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to make another's folder")
def test_another_users_folder_is_refused(short: Path) -> None:
    short.mkdir(mode=0o700)
    os.chown(short, 12345, 12345)

    with pytest.raises(DiskError, match="another user"):
        paths.runtime_folder()


def test_a_peer_started_outside_the_session_is_found_from_inside(
    short: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    outside = paths.control_path(tmp_path)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(outside))
    session = short.parent / "session"
    session.mkdir(mode=0o700)

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(session))
    assert paths.control_path(tmp_path) == outside

    outside.unlink()
    assert paths.control_path(tmp_path).parent == session / "slinger"


def test_a_socket_in_an_unsafe_folder_is_not_believed(
    short: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    planted = paths.control_path(tmp_path)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(planted))
    short.chmod(0o777)
    session = short.parent / "session"
    session.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(session))

    assert paths.control_path(tmp_path).parent == session / "slinger"


def test_the_data_folder_is_the_environments_then_the_files(tmp_path: Path) -> None:
    environ = {"SLINGER_CONFIG": str(tmp_path)}
    assert paths.default_data_folder(environ) == paths.system_data_folder()

    paths.config_file(environ).write_text('data = "stuff"')
    assert paths.default_data_folder(environ) == tmp_path / "stuff"

    environ["SLINGER_DATA"] = "/elsewhere"
    assert paths.default_data_folder(environ) == Path("/elsewhere")


@pytest.mark.parametrize(
    "raw",
    [b"slots = \n", b"a = 1\na = 2\n", b"\xff\xfe", b"[", b"slots = " + b"9" * 5000],
)
def test_what_is_no_toml_is_named_with_its_file(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(raw)

    with pytest.raises(UsageError, match=r"config\.toml"):
        paths.read_settings(file)


def test_a_program_loads_nothing_heavy_to_find_its_peer() -> None:
    script = (
        "import sys, p2pslinger.paths;"
        "heavy = {'asyncio', 'cryptography', 'msgspec', 'platformdirs', 'tomllib'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
