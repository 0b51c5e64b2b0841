"""Power and input: read from what real machines have said."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which

import pytest

from p2pslinger.sandbox.sensors import desktop, display, input, power, terminals
from p2pslinger.sandbox.sensors.machine import Machine
from p2pslinger.sandbox.sensors.sensor import Question

RECORDED = Path(__file__).parent / "recorded"

COOKIE = bytes(range(16))

#: Seconds without a key that are told from none.
PAUSE = 0.3


def recorded(name: str, folder: Path) -> str:
    """Lay out what `grep . */*` printed as files again."""
    for line in (RECORDED / f"{name}.txt").read_text().splitlines():
        path, _, value = line.rpartition(":")
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")
    return str(folder)


# --- power ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("machine", "answer"),
    [
        ("laptop-on-mains", False),
        ("laptop-on-battery", True),
        ("laptop-by-usb-c", False),
        ("laptop-full-threshold", False),
        ("laptop-of-few-words", True),
        ("desktop-with-mouse", None),
    ],
)
def test_a_machine_knows_whether_it_runs_on_battery(
    machine: str, answer: bool | None, tmp_path: Path
) -> None:
    assert power.on_battery(recorded(machine, tmp_path)) is answer


def test_a_machine_without_power_supplies_has_no_battery(tmp_path: Path) -> None:
    assert power.on_battery(str(tmp_path)) is None
    assert power.on_battery(str(tmp_path / "nothing")) is None


# --- desktops and terminals -----------------------------------------------------------


def test_gnome_says_how_long_nobody_has_touched_anything() -> None:
    assert desktop.read_mutter((RECORDED / "busctl-mutter.txt").read_text()) == 61.234
    assert desktop.read_mutter("") is None
    assert desktop.read_mutter("Call failed: no such service") is None


def test_logind_is_believed_only_that_nobody_is_there() -> None:
    idle = (RECORDED / "busctl-logind-idle.txt").read_text()
    used = (RECORDED / "busctl-logind-used.txt").read_text()
    assert desktop.read_logind(idle, 1_700_000_000.0) == 100.0
    assert desktop.read_logind(used, 1_700_000_000.0) is None
    assert desktop.read_logind("b true\nt 0", 1_700_000_000.0) is None
    assert desktop.read_logind("b maybe", 1_700_000_000.0) is None


def test_the_terminal_that_was_typed_at_last_counts(tmp_path: Path) -> None:
    (tmp_path / "pts").mkdir()
    for name, when in (("tty1", 100.0), ("pts/3", 900.0), ("pts/ptmx", 999.0)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (when, when))
    assert terminals.idle(1000.0, str(tmp_path)) == 100.0
    assert terminals.idle(800.0, str(tmp_path)) == 0.0, "a clock that was set back"
    assert terminals.idle(1000.0, str(tmp_path / "pts")) is None


# --- the X display --------------------------------------------------------------------


def hello_of_a_server(root: int) -> bytes:
    """Return what a display says first: its vendor, formats, and one screen."""
    vendor, formats = b"The X.Org Foundation", bytes(8) * 2
    head = struct.pack("<IIIIHHBB", 12101004, 0, 0, 256, len(vendor), 65535, 1, 2)
    fixed = head + bytes(32 - len(head))
    rest = fixed + vendor + formats + struct.pack("<I", root) + bytes(36)
    return struct.pack("<BBHHH", 1, 0, 11, 0, len(rest) // 4) + rest


@contextmanager
def server(
    folder: Path, *, present: bool = True, milliseconds: int = 0, deaf: bool = False
) -> Iterator[list[bytes]]:
    """Be display 7, for one client; hand out what it has said."""
    heard: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(folder / "X7"))
        listening.listen()

        def serve() -> None:
            client, _ = listening.accept()
            with client:
                heard.append(client.recv(4096))
                if deaf:
                    return
                client.sendall(hello_of_a_server(0x1D5))
                heard.append(client.recv(4096))
                yes = struct.pack("<BxHIBB", 1, 1, 0, present, 144)
                client.sendall(yes + bytes(32 - len(yes)))
                if present:
                    heard.append(client.recv(4096))
                    answer = struct.pack("<BBHIIII", 1, 0, 2, 0, 1, 9, milliseconds)
                    client.sendall(answer + bytes(32 - len(answer)))

        thread = threading.Thread(target=serve)
        thread.start()
        yield heard
        thread.join()


def xauthority(folder: Path, *, mine: bytes = b"7") -> dict[str, str]:
    def field(data: bytes) -> bytes:
        return struct.pack(">H", len(data)) + data

    entries = b""
    for number, secret in ((b"6", bytes(16)), (mine, COOKIE)):
        fields = (b"host", number, b"MIT-MAGIC-COOKIE-1", secret)
        entries += struct.pack(">H", 0xFFFF) + b"".join(map(field, fields))  # any host
    (folder / "auth").write_bytes(entries)
    return {"DISPLAY": ":7.0", "XAUTHORITY": str(folder / "auth")}


@contextmanager
def virtual_display(environ: dict[str, str]) -> Iterator[str]:
    """Run an X server without a screen; hand out its number."""
    ready, tell = os.pipe()
    words = ["Xvfb", "-displayfd", str(tell), "-auth", environ["XAUTHORITY"]]
    with subprocess.Popen(
        [*words, "-nolisten", "tcp", "-noreset"],
        pass_fds=(tell,),
        stderr=subprocess.DEVNULL,
    ) as server:
        os.close(tell)
        try:
            with os.fdopen(ready) as said:
                yield said.readline().strip()
        finally:
            server.terminate()


def test_an_x_display_is_asked_with_its_cookie(tmp_path: Path) -> None:
    environ = xauthority(tmp_path)
    with server(tmp_path, milliseconds=61_500) as heard:
        assert display.idle(environ, str(tmp_path)) == 61.5
    hello, extension, question = heard
    assert hello.endswith(COOKIE)
    assert b"MIT-SCREEN-SAVER" in extension
    assert question == struct.pack("<BBHI", 144, 1, 2, 0x1D5)


def test_a_display_that_can_not_be_asked_is_an_error_and_no_more(
    tmp_path: Path,
) -> None:
    environ = xauthority(tmp_path)
    with pytest.raises(OSError):
        display.idle(environ, str(tmp_path))  # nobody listens
    with pytest.raises(OSError, match="named"):
        display.idle({"DISPLAY": "far.example.org:0"}, str(tmp_path))
    with server(tmp_path, deaf=True), pytest.raises(OSError):
        display.idle(environ, str(tmp_path))
    (tmp_path / "X7").unlink()
    with server(tmp_path, present=False), pytest.raises(OSError, match="SAVER"):
        display.idle(environ, str(tmp_path))


@pytest.mark.skipif(
    not (which("Xvfb") and which("xdotool")), reason="needs Xvfb and xdotool"
)
def test_a_real_display_says_when_a_key_was_pressed(tmp_path: Path) -> None:
    environ = {**os.environ, **xauthority(tmp_path, mine=b"")}  # of any display
    with virtual_display(environ) as number:
        environ["DISPLAY"] = f":{number}"
        while (before := display.idle(environ)) < PAUSE:
            pass
        subprocess.run(["xdotool", "key", "a"], env=environ, check=True, timeout=10)
        assert display.idle(environ) < before
        with pytest.raises(OSError, match="let us in"):
            display.idle({**environ, "XAUTHORITY": "/nowhere"})


def test_a_damaged_xauthority_holds_no_cookie() -> None:
    assert display.find_cookie(b"\x01\x00\x00\x04host\x00", "7") == b""
    assert display.find_cookie(b"", "7") == b""


def test_the_best_source_is_used_and_named(tmp_path: Path) -> None:
    for name in ("run", "x11", "dev"):
        (tmp_path / name).mkdir()
    places = {
        "sockets": str(tmp_path / "x11"),
        "runtime": str(tmp_path / "run"),
        "devices": str(tmp_path / "dev"),
    }
    environ = {**xauthority(tmp_path), "PATH": str(tmp_path)}
    assert input.idle(1000.0, environ, **places) == (None, input.NOTHING)
    (tmp_path / "dev" / "tty1").touch()
    os.utime(tmp_path / "dev" / "tty1", (100.0, 100.0))
    assert input.idle(1000.0, environ, **places) == (900.0, "terminals")
    with server(tmp_path / "x11", milliseconds=5000):
        both = (5.0, "the X display and terminals")
        assert input.idle(1000.0, environ, **places) == both
    # Wayland, and nobody to ask: X would know of X programs only.
    (tmp_path / "run" / "1000").mkdir()
    (tmp_path / "run" / "1000" / "wayland-0").touch()
    assert input.idle(1000.0, environ, **places) == (None, input.NOTHING)


# --- this machine ---------------------------------------------------------------------


def test_this_machine_answers_what_it_is_asked_and_nothing_else() -> None:
    machine = Machine()
    nothing = asyncio.run(machine.look(Question()))
    assert (nothing.on_battery, nothing.idle, nothing.load) == (None, None, None)
    asyncio.run(machine.look(Question(power=True, input=True, load=0.25)))
    assert "not asked" not in machine.sources().values()


def test_the_local_week_begins_on_monday(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Vienna")
    time.tzset()
    try:
        assert Machine().week(1_700_000_000.0) == 24 * 60 + 23 * 60 + 13 + 20 / 60
    finally:
        monkeypatch.undo()
        time.tzset()
