"""The board against a model that knows of every task by itself.

Volunteers of all kinds come in any order: punctual, late, repeating themselves,
leaving, and crashing. After each step the board must say what the model says, and in
the end one well-behaved volunteer must be able to finish whatever job is left.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from p2pslinger.errors import PeerError, UsageError
from p2pslinger.ids import JobId, PeerId
from p2pslinger.rules.board import Board
from p2pslinger.rules.delivery import Delivery
from p2pslinger.rules.grants import Held

JOB, KEY = JobId(b"j" * 20), b"k" * 32
LEASE = 4.0
PEERS = tuple(PeerId(name * 20) for name in (b"a", b"b", b"c"))

PEER = st.sampled_from(PEERS)
PART = st.floats(0, 1, exclude_max=True)
#: Which of the grants made so far: the last one most readily.
WHICH = st.integers(0, 8)


@dataclass
class Task:
    """What the model knows of one task."""

    tries: set[tuple[int, PeerId]] = field(default_factory=set)  # those that died
    done: bool = False
    holder: int | None = None  # the number of its grant

    @property
    def losers(self) -> set[PeerId]:
        return {peer for _, peer in self.tries}

    @property
    def open(self) -> bool:
        return not self.done and self.holder is None


class BoardMachine(RuleBasedStateMachine):
    """Everything that can happen to a board, in any order."""

    @initialize(attempts=st.integers(1, 3))
    def start(self, attempts: int) -> None:
        self.board = Board(JOB, KEY, lease=LEASE, attempts=attempts)
        self.now = 0.0
        self.tasks: list[Task] = []
        self.made: list[Held] = []  # every grant ever made, as it was then
        self.live: dict[int, float] = {}  # number of a live grant: when it lapses
        self.work = dict.fromkeys(PEERS, 0)
        self.failures = dict.fromkeys(PEERS, 0)
        self.withdrawn = self.lost = 0
        self.sealed = self.cancelled = False

    # --- the submitter ------------------------------------------------------------

    @rule(count=st.integers(0, 7))
    def append(self, count: int) -> None:
        if self.sealed:
            with pytest.raises(UsageError, match="sealed"):
                self.board.append(count)
            return
        assert self.board.append(count) == len(self.tasks)
        self.tasks += [Task() for _ in range(count)]

    @rule()
    def seal(self) -> None:
        self.board.sealed = True
        self.sealed = True

    @rule(start=st.integers(0, 12), count=st.integers(0, 6))
    def withdraw(self, start: int, count: int) -> None:
        idle = self.board.withdraw(start, start + count)

        for task in self.tasks[start : start + count]:
            self.withdrawn += not task.done
            task.done = True
        if self.tasks[start : start + count]:
            expected = [held for held in self.held() if not self.left(held)]
            assert numbers(idle) == numbers(expected)
            self.over(idle)
        else:
            assert idle == []

    @precondition(lambda self: len(self.made) > 3)
    @rule()
    def cancel(self) -> None:
        revoked = self.board.cancel()

        assert numbers(revoked) == numbers(self.held())
        self.over(revoked)
        self.cancelled = True

    # --- the volunteers -----------------------------------------------------------

    @rule(
        volunteer=PEER, places=st.integers(1, 3), others=st.frozensets(PEER, max_size=3)
    )
    def grant(self, volunteer: PeerId, places: int, others: frozenset[PeerId]) -> None:
        self.granted(volunteer, places, others)

    def granted(
        self, volunteer: PeerId, places: int, others: frozenset[PeerId]
    ) -> list[Held]:
        """Let a volunteer ask, and compare what it gets with what it should get."""
        company = [i for i, t in enumerate(self.tasks) if t.open and not t.tries]
        may = {
            i
            for i, t in enumerate(self.tasks)
            if t.open and t.tries and (volunteer not in t.losers or others <= t.losers)
        }
        want = self.board.pace.size(len(company), places)
        helds = self.board.grant(volunteer, places=places, now=self.now, others=others)
        granted = [i for held in helds for i in range(held.start, held.stop)]

        if self.cancelled:
            assert granted == []
        elif may:
            assert len(granted) == 1
            assert may.issuperset(granted)
        else:
            assert granted == company[:want]
        for held in helds:
            assert held.volunteer == volunteer
            assert held.number not in numbers(self.made)
            self.made.append(replace(held))
            self.live[held.number] = self.now + LEASE
            for task in self.tasks[held.start : held.stop]:
                task.holder = held.number
        return helds

    @precondition(lambda self: self.made)
    @rule(which=WHICH, volunteer=PEER, index=st.integers(0, 20))
    def renew(self, which: int, volunteer: PeerId, index: int) -> None:
        held = self.one(which)
        mine = held.number in self.live and held.volunteer == volunteer

        assert self.board.renew(volunteer, held.number, index, self.now) is mine
        if mine:
            self.live[held.number] = self.now + LEASE

    @precondition(lambda self: self.made)
    @rule(which=WHICH, part=PART, failing=PART, wall=st.floats(0, 2))
    def deliver(self, which: int, part: float, failing: float, wall: float) -> None:
        held = self.one(which)
        count = held.stop - held.start - int(part * (held.stop - held.start))
        failures = int(failing * (count + 1))
        got = replace(
            self.delivery(held), stop=held.start + count, failures=failures, wall=wall
        )
        self.take(held, got, set(range(got.start, got.stop)))

    @precondition(lambda self: self.made)
    @rule(which=WHICH, part=PART, final=st.booleans())
    def crash(self, which: int, part: float, final: bool) -> None:
        held = self.one(which)
        index = held.start + int(part * (held.stop - held.start))
        task = self.tasks[index]
        got = replace(
            self.delivery(held),
            start=index,
            stop=index + 1,
            failures=1,
            lost=True,
            final=final,
        )
        self.lost += held.number in self.live
        if not task.done and not self.cancelled:
            task.tries.add((held.number, held.volunteer))
        ends = final or len(task.tries) >= self.board.attempts
        self.take(held, got, {index} if ends else set())

    @precondition(lambda self: self.made)
    @rule(which=WHICH, volunteer=PEER)
    def claim_anothers_work(self, which: int, volunteer: PeerId) -> None:
        held = self.one(which)
        if held.volunteer != volunteer:
            got = replace(self.delivery(held), volunteer=volunteer)
            with pytest.raises(PeerError):
                self.board.deliver(got, (held.start, held.stop))

    @precondition(lambda self: self.made)
    @rule(which=WHICH, volunteer=PEER)
    def give_back(self, which: int, volunteer: PeerId) -> None:
        held = self.one(which)
        mine = held.number in self.live and held.volunteer == volunteer

        assert self.board.give_back(volunteer, held.number) is mine
        self.over([held] if mine else [])

    @rule(volunteer=PEER)
    def leave(self, volunteer: PeerId) -> None:
        expected = [held for held in self.held() if held.volunteer == volunteer]

        assert numbers(self.board.leave(volunteer)) == numbers(expected)
        self.lost += len(expected)
        self.over(expected)

    @rule(seconds=st.sampled_from((0.0, 1.0, 2.0, LEASE)))
    def lapse(self, seconds: float) -> None:
        self.now += seconds
        late = [held for held in self.held() if self.live[held.number] <= self.now]

        assert numbers(self.board.lapse(self.now)) == numbers(late)
        self.lost += len(late)
        self.over(late)

    # --- what must hold -----------------------------------------------------------

    @invariant()
    def says_what_the_model_says(self) -> None:
        board, tasks = self.board, self.tasks
        done = {i for i, task in enumerate(tasks) if task.done}

        assert {i for start, stop in board.done for i in range(start, stop)} == done
        assert board.total == len(tasks)
        assert board.open == sum(t.open for t in tasks) * (not self.cancelled)
        assert numbers(board.live()) == sorted(self.live)
        assert board.grants == len(self.live)
        assert board.running == sum(h.stop - h.start for h in self.held())
        assert board.next_lapse() == min(self.live.values(), default=None)
        assert board.cancelled is self.cancelled
        assert board.lost == self.lost
        assert board.finished is (
            self.cancelled or (self.sealed and len(done) == len(tasks))
        )

    @invariant()
    def credits_add_up(self) -> None:
        credits = self.board.credits
        work = {peer: credit.tasks for peer, credit in credits.items()}

        assert work == {peer: count for peer, count in self.work.items() if count}
        assert sum(work.values()) == self.board.done.count - self.withdrawn
        assert self.board.failed == sum(self.failures.values())
        for peer, credit in credits.items():
            assert credit.failures == self.failures[peer] <= credit.tasks
            assert credit.cpu == pytest.approx(credit.tasks)  # one second each

    @invariant()
    def holds_every_task_in_one_state(self) -> None:
        held = [i for h in self.board.live() for i in range(h.start, h.stop)]
        assert len(held) == len(set(held))
        for i, task in enumerate(self.tasks):
            in_grant = i in held and not task.done
            assert task.open + in_grant + task.done == 1

    def teardown(self) -> None:
        """Let one well-behaved volunteer finish what is left."""
        if not hasattr(self, "board") or self.cancelled:
            return
        for peer in PEERS:
            self.leave(peer)
        for _ in range(3 * len(self.tasks)):
            for held in self.granted(PEERS[0], 1, frozenset(PEERS[:1])):
                whole = set(range(held.start, held.stop))
                self.take(held, self.delivery(held), whole)
            self.says_what_the_model_says()
        assert self.board.done.count == len(self.tasks)
        assert self.board.open == self.board.running == 0
        self.credits_add_up()

    # --- inside -------------------------------------------------------------------

    def one(self, which: int) -> Held:
        """Return one of the grants made so far."""
        return self.made[-1 - which % len(self.made)]

    def held(self) -> list[Held]:
        """Return the live grants."""
        return [held for held in self.made if held.number in self.live]

    def left(self, held: Held) -> bool:
        """Tell whether a grant has anything left to do."""
        return not all(task.done for task in self.tasks[held.start : held.stop])

    def over(self, helds: list[Held]) -> None:
        """Note that grants are no longer live."""
        for held in helds:
            del self.live[held.number]
            for task in self.tasks[held.start : held.stop]:
                task.holder = None

    def delivery(self, held: Held) -> Delivery:
        """Return the results of a whole grant."""
        mac = self.board.mac(held)
        return Delivery(held.volunteer, held.number, mac, held.start, held.stop)

    def take(self, held: Held, got: Delivery, ends: set[int]) -> None:
        """Deliver, one CPU second a task, and compare what is new with what `ends`."""
        got = replace(got, cpu=float(got.stop - got.start))
        if self.cancelled:
            ends = set()
        expected = {i for i in ends if not self.tasks[i].done}
        new = self.board.deliver(got, (held.start, held.stop))

        assert {i for start, stop in new for i in range(start, stop)} == expected
        for i in expected:
            self.tasks[i].done = True
        self.work[held.volunteer] += len(expected)
        self.failures[held.volunteer] += min(len(expected), got.failures)
        if held.number in self.live:
            self.over([held])


def numbers(helds: list[Held]) -> list[int]:
    return sorted(held.number for held in helds)


def test_the_board_says_what_the_model_says_whatever_happens() -> None:
    bounds = settings(max_examples=120, stateful_step_count=40)
    run_state_machine_as_test(BoardMachine, settings=bounds)
