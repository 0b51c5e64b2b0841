"""Peers that do not trust each other: what is confined, and who says what lacks."""

from __future__ import annotations

import os

import pytest

import p2pslinger as slinger
from p2pslinger.client.grid import Grid
from p2pslinger.client.job import Job
from p2pslinger.errors import SlingerError, UnavailableError, UntrustedValueError
from p2pslinger.sandbox.confine import bubblewrap
from tests.grid import tasks
from tests.grid.place import HANGING, Place, until


def test_a_machine_that_can_not_confine_strangers_as_required_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("SLINGER_REQUIRE", "strong")
    with pytest.raises(UnavailableError, match=r"bwrap. is not installed") as one:
        slinger.local(1, strangers=True)
    assert str(one.value).startswith("no strangers here: ")


def test_what_needs_the_hosts_files_fails_with_a_remedy_and_works_at_home(
    place: Place,
) -> None:
    """As the submitter sees it, from a real peer."""
    first = place.peer("first", "--slots", "0", SLINGER_AUTHKEY=place.key)
    place.volunteer("second", first, trusting=False)
    secret = place.folder / "secret"
    secret.write_text("x")
    with first.connect() as grid:
        assert grid.submit(tasks.square, 3).result(HANGING) == 9
        ready = grid.options(initializer=tasks.prepare, initargs=(7,))
        assert ready.submit(tasks.prepared).result(HANGING) == 7  # confined, too
        assert grid.submit(tasks.own_index).result(HANGING) == 0
        assert level_of(grid, "second") in {"good", "strong"}
        error = grid.submit(tasks.read, str(secret)).exception(HANGING)
        assert isinstance(error, OSError)
        assert "This task ran for another machine's owner" in str(error.__cause__)
        assert "or run it on your own machine" in str(error.__cause__)
        with pytest.raises(UntrustedValueError, match="return plain data"):
            grid.submit(tasks.make_an_object).result(HANGING)
    second = place.folder / "second"
    with slinger.connect(data=second) as grid:
        assert grid.submit(tasks.read, str(secret)).result(HANGING) == "x"
        assert isinstance(grid.submit(tasks.make_an_object).result(HANGING), object)


def test_a_peer_without_a_sandbox_computes_for_itself_alone_and_says_why(
    place: Place,
) -> None:
    first = place.peer("first", "--slots", "0", SLINGER_AUTHKEY=place.key)
    strict = {"SLINGER_REQUIRE": "strong", "PATH": "/nowhere"}
    place.volunteer("second", first, trusting=False, **strict)
    with first.connect() as grid:
        future = grid.submit(tasks.square, 3)
        with slinger.connect(data=place.folder / "second") as other:
            until(lambda: 'its settings require "strong"' in why_idle(other))
            assert other.submit(tasks.square, 4).result(HANGING) == 16
        assert future.cancel(), "nobody has begun it"
    doctor = place.start(
        "-m", "p2pslinger", "doctor", SLINGER_DATA=str(place.folder / "second")
    )
    said = doctor.communicate(timeout=HANGING)[0]
    assert "bubblewrap (bwrap) is not installed" in said
    assert "install bubblewrap" in said
    assert doctor.returncode == 1


def why_idle(grid: Grid) -> str:
    """Return why a peer is idle, if its sandbox is too weak."""
    idle = grid.status().idle_because
    weak = idle is not None and idle.code == "sandbox-too-weak"
    return idle.text if idle is not None and weak else ""


def level_of(grid: Grid, name: str) -> str:
    """Return the level that a peer's card says it has."""
    (level,) = [peer.sandbox for peer in grid.peers() if peer.name == name]
    return level


@pytest.mark.parametrize("level", ["good", "strong"])
def test_nothing_of_one_submitter_is_there_for_the_next(
    place: Place, level: str
) -> None:
    """Two submitters take turns on one slot, and look for what the other has left."""
    if level == "strong" and bubblewrap.find() is None:
        pytest.skip("needs bubblewrap")
    path = "/nowhere" if level == "good" else os.environ["PATH"]
    ann = place.peer("ann", "--slots", "0", SLINGER_AUTHKEY=place.key)
    place.volunteer("volunteer", ann, trusting=False, PATH=path)
    bob = place.peer(
        "bob", "--slots", "0", "--bootstrap", ann.address, SLINGER_AUTHKEY=place.key
    )
    with ann.connect() as hers, bob.connect() as his:
        until(lambda: "volunteer" in [one.name for one in his.peers()])
        first = hers.submit(tasks.leave_a_mark, "ann").result(HANGING)
        again = hers.submit(tasks.leave_a_mark, "ann again").result(HANGING)
        assert level_of(hers, "volunteer") == level
        if again[0] == first[0]:  # else she has paused for too long
            assert again[1] == "ann", "it is her slot"
        for grid, name in ((his, "bob"), (hers, "ann"), (his, "bob again")):
            process, mark = grid.submit(tasks.leave_a_mark, name).result(HANGING)
            assert mark == ""
            assert process != first[0]
            first = process, mark


def test_a_peer_that_can_not_confine_at_all_says_so_and_still_submits(
    place: Place,
) -> None:
    """Tasks have to read where Python's libraries lie: its data must not be there."""
    first = place.peer("first", "--slots", "1", SLINGER_AUTHKEY=place.key)
    inside = {"LD_LIBRARY_PATH": str(place.folder)}
    place.volunteer("second", first, trusting=False, **inside)
    with slinger.connect(data=place.folder / "second") as grid:
        until(lambda: "move the data folder" in str(grid.status().sandbox))
        assert level_of(grid, "second") == "none"
        assert list(grid.map(tasks.nap, range(20))) == list(range(20))
        assert {row.name for row in grid.tally()} == {"first", "second"}


def test_what_a_strangers_function_has_returned_on_this_machine_is_not_unpickled(
    place: Place,
) -> None:
    """Computed by our own slot, but it is the submitter who says what it returns."""
    sprung = place.folder / "sprung"
    ann = place.peer("ann", "--slots", "0", SLINGER_AUTHKEY=place.key)
    second = place.volunteer("second", ann, trusting=False)
    with ann.connect() as hers:
        id = hers.start(tasks.trap, [str(sprung)], keepers=1).id
        with second.connect() as grid:
            (found,) = until(lambda: computed(grid, id))
            (outcome,) = found.results(timeout=HANGING, errors="return")
            replay = found.replay(0)
            assert replay.same is not None
    assert isinstance(outcome, UntrustedValueError)
    assert not sprung.exists()


def computed(grid: Grid, id: str) -> list[Job[object]]:
    """Return a job once its only task is computed, as another machine sees it."""
    try:
        found = grid.job(id)
    except SlingerError:  # it is not heard of yet
        return []
    return [found] if found.facts().computed == 1 else []
