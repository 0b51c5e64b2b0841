"""What only trusted slots may compute goes to no other, and it is said why it waits."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import pytest

from p2pslinger.client.grid import Grid
from p2pslinger.compat.placing import is_alone, slots
from p2pslinger.errors import UntrustedValueError
from p2pslinger.ids import from_text
from tests.grid import tasks
from tests.grid.place import HANGING, Peer, until
from tests.grid.shell import Shell

pytestmark = pytest.mark.usefixtures("trio")


@pytest.fixture
def program(anna: Peer) -> Iterator[Grid]:
    """A program on a machine without slots, whose neighbours compute for it."""
    grid = anna.connect()
    yield grid
    grid.shutdown(cancel_futures=True)


def test_other_peoples_slots_get_none_of_it_and_their_owner_learns_why(
    program: Grid, here: Shell
) -> None:
    with pytest.warns(UserWarning, match="slinger allow PEER"):
        assert is_alone(program, "joblib")
    waiting = program.options(trusted=True).submit(Fraction, 1, 2)
    anywhere = program.submit(tasks.make_an_object)

    with pytest.raises(UntrustedValueError):
        anywhere.result(HANGING)
    (job,) = [one for one in program.jobs() if one.state == "open" and not one.computed]
    assert job.waiting is not None
    assert job.waiting.code == "not-trusted"
    assert "not-trusted" in {one.code for one in job.waiting.excluded}
    assert "slinger allow" in job.waiting.advice
    assert "not trusted" in here.out("why", job.job)
    assert not waiting.done()
    waiting.cancel()


def test_a_peer_that_counts_as_our_own_computes_it_at_once(
    program: Grid, here: Shell, bert: Peer
) -> None:
    calls = program.options(trusted=True)
    waiting = calls.submit(Fraction, 1, 2)
    (id,) = [one.peer for one in program.peers() if one.name == "bert"]
    here.out("allow", id)
    try:
        assert waiting.result(HANGING) == Fraction(1, 2)
        assert slots(program, trusted=True) == 1
        assert slots(program, trusted=False) == 2
        assert not is_alone(program, "joblib")  # and nothing is said
        assert list(calls.map(Fraction, range(20))) == list(map(Fraction, range(20)))
    finally:
        here.out("allow", "--remove", id)
    assert from_text(id)
    until(lambda: not slots(program, trusted=True))
