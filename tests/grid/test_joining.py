"""Peers as separate processes: how they find each other, and who must stay outside."""

from __future__ import annotations

import socket

from p2pslinger.client.grid import Grid
from p2pslinger.limits import PORT
from p2pslinger.wire import authkey
from tests.grid import tasks
from tests.grid.place import HANGING, Peer, Place, until

OTHER_KEY = authkey.from_random(bytes(range(1, 41))).to_text()


def names(grid: Grid) -> set[str]:
    """Return the names of the peers that a program's peer is connected to."""
    return {peer.name for peer in grid.peers()}


def notes(peer: Peer) -> str:
    """Return what a peer's owner should know."""
    with peer.connect() as grid:
        return "\n".join(grid.status().notes)


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_grid_outlives_its_bootstrap_peer(place: Place) -> None:
    bootstrap = place.peer("bootstrap", "--slots", "0", SLINGER_AUTHKEY=place.key)
    first = place.volunteer("first", bootstrap)
    place.volunteer("second", bootstrap)
    with first.connect() as grid:
        until(lambda: names(grid) == {"first", "second", "bootstrap"})
        results = grid.map(tasks.nap, range(60))
        assert next(results) == 0
        bootstrap.kill()
        assert list(results) == list(range(1, 60))
        assert {row.name for row in grid.tally()} == {"first", "second"}

        third = place.volunteer("third", first)
        with third.connect() as other:
            until(lambda: names(other) == {"first", "second", "third"})
            done = list(other.map(tasks.nap, range(60)))
            assert done == list(range(60))
            assert {row.name for row in other.tally()} == {"first", "second", "third"}


def test_a_peer_with_another_authkey_never_joins_and_is_told_why(place: Place) -> None:
    first = place.peer("first", SLINGER_AUTHKEY=place.key)
    stranger = place.peer(
        "stranger", "--bootstrap", first.address, SLINGER_AUTHKEY=OTHER_KEY
    )

    note = until(lambda: notes(stranger))
    assert first.address in note
    assert "authkey" in note
    with first.connect() as grid, stranger.connect() as other:
        assert names(grid) == {"first"}
        assert names(other) == {"stranger"}
        assert until(lambda: grid.status().dropped.get("handshake"))
        assert other.submit(tasks.square, 3).result(HANGING) == 9


def test_two_grids_on_one_host_never_mix(place: Place) -> None:
    keys = {"red": place.key, "blue": OTHER_KEY}
    firsts = {
        colour: place.peer(f"{colour} 1", SLINGER_AUTHKEY=key)
        for colour, key in keys.items()
    }
    both = [word for peer in firsts.values() for word in ("--bootstrap", peer.address)]
    seconds = {
        colour: place.peer(f"{colour} 2", *both, SLINGER_AUTHKEY=key)
        for colour, key in keys.items()
    }

    for colour in keys:
        other = ({"red", "blue"} - {colour}).pop()
        with seconds[colour].connect() as grid:
            until(lambda: len(grid.peers()) == 2)
            assert names(grid) == {f"{colour} 1", f"{colour} 2"}
            assert list(grid.map(tasks.square, range(5))) == [0, 1, 4, 9, 16]
            note = until(lambda: "\n".join(grid.status().notes))
            assert firsts[other].address in note
    with firsts["red"].connect() as grid:
        assert names(grid) == {"red 1", "red 2"}


def test_an_authkey_that_is_none_is_refused_with_a_remedy(place: Place) -> None:
    process = place.peer_process("first", SLINGER_AUTHKEY="correct horse")
    _, err = process.communicate(timeout=HANGING)

    assert process.returncode == 1
    assert err.count("\n") == 1
    assert "SLINGER_AUTHKEY: this is no authkey" in err
    assert "slinger init" in err


def test_a_port_that_is_taken_is_replaced_by_the_next_free_one(place: Place) -> None:
    try:
        taken = socket.create_server(("127.0.0.1", PORT))
    except OSError:
        taken = socket.socket()  # somebody else has it already, which is as good
    with taken:
        peer = place.peer("first", SLINGER_AUTHKEY=place.key, any_port=False)
        assert peer.port > PORT
        assert f"port {PORT} was taken" in notes(peer)


def test_a_port_that_was_asked_for_and_is_taken_is_an_error_that_names_its_owner(
    place: Place,
) -> None:
    first = place.peer("first", SLINGER_AUTHKEY=place.key)
    words = ("--port", str(first.port))
    second = place.peer_process("second", *words, SLINGER_AUTHKEY=place.key)
    _, err = second.communicate(timeout=HANGING)

    assert second.returncode == 1
    assert err.count("\n") == 1
    assert f"port {first.port} is taken" in err
    assert f"(process {first.process.pid})" in err
    assert "--port" in err


def test_a_bootstrap_host_that_is_dead_is_noted_and_tried_until_it_is_there(
    place: Place,
) -> None:
    port = free_port()
    bootstrap = ("--bootstrap", f"127.0.0.1:{port}")
    first = place.peer("first", *bootstrap, SLINGER_AUTHKEY=place.key)

    note = until(lambda: notes(first))
    assert f"127.0.0.1:{port} refuses connections" in note
    with first.connect() as grid:
        assert grid.submit(tasks.square, 4).result(HANGING) == 16  # it works alone
        late = ("--port", str(port))
        place.peer("late", *late, SLINGER_AUTHKEY=place.key, any_port=False)
        until(lambda: names(grid) == {"first", "late"})
        until(lambda: not grid.status().notes)


def test_a_bootstrap_host_that_nobody_knows_is_noted(place: Place) -> None:
    first = place.peer(
        "first", "--bootstrap", "no-such-host.invalid", SLINGER_AUTHKEY=place.key
    )

    note = until(lambda: notes(first))
    assert "no-such-host.invalid" in note
    assert "no such host is known" in note
    with first.connect() as grid:
        assert grid.submit(tasks.square, 4).result(HANGING) == 16


def test_a_peer_that_comes_back_is_found_again_without_its_bootstrap(
    place: Place,
) -> None:
    first = place.peer("first", SLINGER_AUTHKEY=place.key)
    second = place.volunteer("second", first)
    with second.connect() as grid:
        until(lambda: names(grid) == {"first", "second"})
    second.kill()

    again = place.peer("second", SLINGER_AUTHKEY=place.key)  # last time's neighbours
    with again.connect() as grid:
        until(lambda: names(grid) == {"first", "second"})
