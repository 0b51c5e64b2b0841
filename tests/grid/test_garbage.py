"""Nonsense on every door of a live peer: dropped, counted, and the peer goes on."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import ssl
import struct
import time
from collections import Counter
from collections.abc import Iterator

import msgspec
import pytest

from p2pslinger import limits, paths
from p2pslinger.client.grid import Grid
from p2pslinger.ids import peer_id
from p2pslinger.net.certificates import SERVER_NAME, contexts
from p2pslinger.net.datagrams import Seals
from p2pslinger.wire import authkey
from p2pslinger.wire.control import CONTROL_CODEC, AppendBig, GetStatus, OpenJob
from p2pslinger.wire.frames import Kind, encode
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.manifest import Function, Policy
from p2pslinger.wire.messages import Hello
from p2pslinger.wire.messages import encode as encode_message
from tests.grid import tasks
from tests.grid.place import HANGING, Peer, Place, until

#: The same garbage in every run.
RNG = random.Random(20)

HELLO = encode(
    Kind.HELLO, 0, encode_message(Hello(limits.PROTOCOL, "0.1.0", "program", 0.0))
)


@pytest.fixture(scope="module")
def peer(module_place: Place) -> Peer:
    """A live peer that a friend is connected to."""
    first = module_place.peer("data", SLINGER_AUTHKEY=module_place.key)
    module_place.volunteer("friend", first)
    return first


@pytest.fixture(autouse=True)
def grid(peer: Peer) -> Iterator[Grid]:
    """A program that works on, whatever comes."""
    with peer.connect() as made:
        yield made
        assert list(made.map(tasks.square, range(50))) == [i * i for i in range(50)]
        assert {one.name for one in made.peers()} == {"data", "friend"}
        assert peer.process.poll() is None


def counted(grid: Grid, cause: str, since: int = 0) -> int:
    """Wait until more than `since` things were dropped for a cause; return how many."""
    return until(
        lambda: (now := grid.status().dropped.get(cause, 0)) > since and now, HANGING
    )


def talk(knock: socket.socket, *pieces: bytes) -> bytes:
    """Send pieces, and return what comes back until the other end closes."""
    knock.settimeout(HANGING)
    with contextlib.suppress(OSError):
        for piece in pieces:
            knock.sendall(piece)
    heard = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := knock.recv(1 << 16):
            heard += data
    return heard


# --- the network port, TCP ------------------------------------------------------------


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", id="http"),
        pytest.param(RNG.randbytes(5000), id="random"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + bytes(600), id="hello"),
        pytest.param(b"\x00" * 100_000, id="zeros"),
    ],
)
def test_what_is_no_tls_is_refused(peer: Peer, grid: Grid, garbage: bytes) -> None:
    before = grid.status().dropped.get("handshake", 0)
    with socket.create_connection(("127.0.0.1", peer.port)) as knock:
        talk(knock, garbage)

    counted(grid, "handshake", before)


def member(peer: Peer, key: str) -> ssl.SSLSocket:
    """Connect by TLS as somebody who holds an authkey."""
    _, client = contexts(Identity(os.urandom(32)), authkey.read(key))
    raw = socket.create_connection(("127.0.0.1", peer.port), timeout=HANGING)
    return client.wrap_socket(raw, server_hostname=SERVER_NAME)


OVERSIZED = struct.pack("!IBI", limits.FRAME + 1, Kind.HELLO, 0)


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(RNG.randbytes(3000), id="random"),
        pytest.param(OVERSIZED, id="oversized"),
        pytest.param(encode(Kind.HELLO, 0, b"\xff" * 50), id="bad-hello"),
        pytest.param(encode(Kind.REQUEST, 1, b"\x90"), id="no-hello"),
        pytest.param(HELLO, id="a-program"),
        pytest.param(encode(200, 7, b""), id="unknown-kind"),
    ],
)
def test_a_member_that_talks_nonsense_is_cut_off(
    peer: Peer, grid: Grid, module_place: Place, garbage: bytes
) -> None:
    before = grid.status().dropped.get("handshake", 0)
    with member(peer, module_place.key) as knock:
        talk(knock, garbage)

    counted(grid, "handshake", before)


def test_whoever_has_another_authkey_gets_no_word_in(peer: Peer, grid: Grid) -> None:
    before = grid.status().dropped.get("handshake", 0)
    stranger = authkey.from_random(os.urandom(40)).to_text()
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        member(peer, stranger)

    counted(grid, "handshake", before)


# --- the network port, UDP ------------------------------------------------------------


def datagrams(peer: Peer, *packets: bytes) -> None:
    """Throw datagrams at a peer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thrower:
        for packet in packets:
            thrower.sendto(packet, ("127.0.0.1", peer.port))


def test_datagrams_of_no_member_are_dropped(peer: Peer, grid: Grid) -> None:
    before = sum(grid.status().dropped.values())
    packets = [RNG.randbytes(RNG.randrange(1400)) for _ in range(50)]
    datagrams(peer, *packets, b"", bytes(60_000), b"\xd51" + RNG.randbytes(500))

    until(lambda: sum(grid.status().dropped.values()) >= before + 50)


def seals(key: str) -> Seals:
    """Return what a member seals its datagrams with."""
    return Seals(
        me=peer_id(Identity(os.urandom(32)).public),
        key=authkey.read(key).key_for("datagrams"),
        boot=os.urandom(8),
        wall=time.time,
        dropped=Counter(),
    )


def test_a_datagram_that_comes_twice_is_dropped_the_second_time(
    peer: Peer, grid: Grid, module_place: Place
) -> None:
    before = grid.status().dropped
    datagrams(peer, *[seals(module_place.key).seal(b"nonsense", None)] * 3)

    replayed = counted(grid, "replayed", before.get("replayed", 0) + 1)
    assert replayed == before.get("replayed", 0) + 2
    assert counted(grid, "malformed", before.get("malformed", 0))


def test_a_datagram_from_before_a_restart_does_no_harm_after_it(
    place: Place,
) -> None:
    packet = seals(place.key).seal(b"nonsense", None)
    first = place.peer("first", SLINGER_AUTHKEY=place.key)
    datagrams(first, packet)
    first.kill()
    port = ("--port", str(first.port))
    again = place.peer("first", *port, SLINGER_AUTHKEY=place.key, any_port=False)
    datagrams(again, packet, packet)
    with again.connect() as grid:
        counted(grid, "replayed")  # the second one; the first opens, and says nothing
        assert counted(grid, "malformed") == 1
        assert grid.submit(tasks.square, 3).result(HANGING) == 9


# --- the control socket ---------------------------------------------------------------


def program(peer: Peer) -> socket.socket:
    """Connect to a peer's control socket."""
    knock = socket.socket(socket.AF_UNIX)
    knock.connect(str(paths.control_path(peer.data)))
    return knock


def request(number: int, message: msgspec.Struct) -> bytes:
    return encode(Kind.REQUEST, number, CONTROL_CODEC.encode(message))


NONSENSE = [
    pytest.param([RNG.randbytes(3000)], id="random"),
    pytest.param([OVERSIZED], id="oversized-at-first"),
    pytest.param([request(1, GetStatus())], id="no-hello"),
    pytest.param([HELLO.replace(b"program", b"burglar")], id="another-role"),
    pytest.param([HELLO, OVERSIZED], id="oversized"),
    pytest.param([HELLO, HELLO], id="two-hellos"),
    pytest.param([HELLO, request(7, GetStatus())], id="numbers-with-a-gap"),
    pytest.param([HELLO, encode(Kind.REQUEST, 1, b"\x93\x01")], id="truncated"),
    pytest.param([HELLO, encode(Kind.REQUEST, 1, b"\x91\xcc\xc8")], id="no-message"),
    pytest.param([HELLO, encode(Kind.PIECE, 9, b"x")], id="a-piece-of-nothing"),
    pytest.param([HELLO, encode(Kind.REPLY, 3, b"\x91\x20")], id="an-answer-to-nobody"),
    pytest.param([HELLO, encode(99, 1, b"")], id="unknown-kind"),
]


@pytest.mark.parametrize("pieces", NONSENSE)
def test_a_program_that_talks_nonsense_is_cut_off(
    peer: Peer, grid: Grid, pieces: list[bytes]
) -> None:
    before = grid.status().dropped.get("control", 0)
    with program(peer) as knock:
        talk(knock, *pieces)

    counted(grid, "control", before)


def test_a_job_that_is_not_what_it_says_is_refused(peer: Peer, grid: Grid) -> None:
    lie = Function("f", b"code", bytes(32), 4, None)
    with program(peer) as knock:
        knock.sendall(HELLO + request(1, OpenJob(1, "lie", lie, Policy())))
        knock.sendall(encode(Kind.REQUEST_BODY, 2, bytes_of(AppendBig(9, 1, 0, 10))))
        knock.shutdown(socket.SHUT_WR)
        heard = talk(knock)

    assert b"do not fit its description" in heard
    assert b"was refused, or is over" in heard
    assert grid.jobs() == ()


def bytes_of(message: msgspec.Struct) -> bytes:
    return CONTROL_CODEC.encode(message)


def test_half_a_frame_holds_nobody_up(peer: Peer, grid: Grid) -> None:
    with program(peer) as silent, program(peer) as slow:
        slow.sendall(HELLO + encode(Kind.REQUEST, 1, b"x" * 1000)[:500])
        assert silent.fileno() >= 0
        assert list(grid.map(tasks.square, range(100))) == [i * i for i in range(100)]


def test_a_crowd_of_programs_that_come_and_go_is_fine(peer: Peer, grid: Grid) -> None:
    crowd = [program(peer) for _ in range(100)]
    for one in crowd[::2]:
        one.sendall(HELLO)
    for one in crowd:
        one.close()
    assert grid.submit(tasks.square, 3).result(HANGING) == 9


def test_functions_and_arguments_that_do_not_unpickle_fail_alone(grid: Grid) -> None:
    class Sly:
        def __reduce__(self) -> tuple[object, ...]:
            return (int, ("no number",))

    with pytest.raises(ValueError, match="no number"):
        grid.submit(repr, Sly()).result(HANGING)
    results = grid.start(str, [1, Sly(), 3], keepers=1).results(errors="return")
    first, second, third = results
    assert (first, third) == ("1", "3")
    assert isinstance(second, ValueError)
