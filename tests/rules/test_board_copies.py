"""Tasks are computed again, by others, and nothing is lost by that."""

from __future__ import annotations

from dataclasses import replace

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

from p2pslinger.ids import JobId, PeerId
from p2pslinger.limits import BEAT, LEASE
from p2pslinger.rules.board import Board
from p2pslinger.rules.copies import LATE
from p2pslinger.rules.delivery import Delivery
from p2pslinger.rules.grants import Held
from p2pslinger.rules.spans import Span
from tests.rules.boards import ANN, BOB, EVE, EVERYONE, ask, board, deliver, result

JOB, KEY = JobId(b"j" * 20), b"k" * 32
PEERS = tuple(PeerId(name * 20) for name in (b"a", b"b", b"c", b"d"))
PEER = st.sampled_from(PEERS)


def anyone(volunteer: PeerId, other: PeerId) -> bool:
    return volunteer != other


def check(board: Board, volunteer: PeerId, now: float = 0.0) -> list[Span]:
    """Return what a volunteer is granted that may check anybody."""
    helds = board.grant(volunteer, places=1, now=now, others=EVERYONE, apart=anyone)
    return [(held.start, held.stop) for held in helds]


def computed(tasks: int = 8) -> Board:
    """Return a board of tasks that Ann has computed, and that are to be checked."""
    made = board(tasks)
    made.sealed = True
    made.pace.seconds = 0.01
    while made.open:
        deliver(made, ask(made))
    made.again(0, tasks, frozenset({ANN}))
    return made


def test_a_check_has_the_borders_that_were_asked_for_and_another_volunteer() -> None:
    made = computed()
    assert check(made, ANN) == []
    assert check(made, BOB) == [(0, 8)]
    assert check(made, EVE) == []


def test_who_does_not_stand_apart_checks_nobody() -> None:
    made = computed()
    assert not made.grant(BOB, places=1, now=0.0, others=EVERYONE)


def test_a_check_comes_before_open_tasks() -> None:
    made = computed()
    made.sealed = False
    made.append(5)
    assert check(made, BOB) == [(0, 8)]


def test_a_job_is_not_finished_while_a_check_is_asked_for_or_running() -> None:
    made = computed()
    assert not made.finished
    (held,) = made.grant(BOB, places=1, now=0.0, others=EVERYONE, apart=anyone)
    assert not made.finished
    assert made.running == 0
    assert deliver(made, held) == []
    assert made.finished


def test_what_is_left_of_a_check_is_asked_for_again() -> None:
    made = computed()
    (held,) = made.grant(BOB, places=1, now=0.0, others=EVERYONE, apart=anyone)
    deliver(made, held, replace(result(made, held), stop=3))
    assert check(made, EVE) == [(3, 8)]


def test_what_is_decided_of_a_running_check_is_not_asked_for_again() -> None:
    made = computed()
    (held,) = made.grant(BOB, places=1, now=0.0, others=EVERYONE, apart=anyone)
    made.copies.drop(0, 3)
    made.copies.drop(5, 6)
    made.give_back(BOB, held.number)
    assert sorted(check(made, EVE) + check(made, EVE)) == [(3, 5), (6, 8)]


def test_a_check_that_was_given_back_or_lost_is_asked_for_again() -> None:
    made = computed()
    (held,) = made.grant(BOB, places=1, now=0.0, others=EVERYONE, apart=anyone)
    assert made.give_back(BOB, held.number)
    assert check(made, BOB) == [(0, 8)]
    made.leave(BOB)
    assert check(made, EVE) == [(0, 8)]
    made.lapse(LEASE)
    assert check(made, BOB, LEASE) == [(0, 8)]


def test_a_check_that_killed_its_slot_goes_to_somebody_else() -> None:
    made = computed()
    (held,) = made.grant(BOB, places=1, now=0.0, others=EVERYONE, apart=anyone)
    died = replace(result(made, held), start=2, stop=3, failures=1, lost=True)
    assert deliver(made, held, died) == []
    assert check(made, BOB) == []
    assert check(made, EVE) == [(0, 8)]
    assert made.done.count == 8


def test_what_nobody_wants_any_more_is_dropped() -> None:
    made = computed()
    made.copies.drop(2, 4)
    assert check(made, BOB) == [(0, 2)]
    assert check(made, BOB) == [(4, 8)]


def test_a_late_range_is_given_to_somebody_else_as_well() -> None:
    made = board(3)
    made.pace.seconds = 2.0
    held = ask(made, now=1.0)
    while made.open:
        deliver(made, ask(made, BOB, now=1.0))
    made.pace.seconds = 2.0
    made.renew(ANN, held.number, 0, LATE * 2 + 1)
    assert not made.hasten(LATE * 2 + 1)
    made.renew(ANN, held.number, 0, LATE * 2 + 2)
    assert made.hasten(LATE * 2 + 2)
    assert not made.hasten(LATE * 2 + 2)
    assert check(made, ANN, 9.0) == []
    (relief,) = made.grant(BOB, places=1, now=9.0, others=EVERYONE)
    assert (relief.start, relief.stop) == (held.start, held.stop)
    assert deliver(made, relief) == [(relief.start, relief.stop)]
    assert [one.number for one in made.surplus()] == [held.number]
    assert made.grants == 0


def test_a_silent_holders_range_is_given_to_somebody_else_as_well() -> None:
    made = board(1)
    held = ask(made, now=0.0)
    assert made.hasten(2 * BEAT + 0.1)
    (relief,) = made.grant(BOB, places=1, now=3.0, others=EVERYONE)
    deliver(made, held)
    assert [one.number for one in made.surplus()] == [relief.number]
    assert made.credits.keys() == {ANN}


def test_of_jobs_that_wait_for_the_late_only_what_stands_still_is_given_away() -> None:
    made = board(1)
    held = ask(made, now=0.0)
    assert not made.hasten(2 * BEAT + 0.1, still=True)
    made.renew(ANN, held.number, 0, 3.0, suspended=True)
    assert made.hasten(3.0, still=True)


def test_both_tries_may_fail_and_the_range_is_open_again() -> None:
    made = board(1)
    held = ask(made, now=0.0)
    made.hasten(3.0)
    (relief,) = made.grant(BOB, places=1, now=3.0, others=EVERYONE)
    made.give_back(ANN, held.number)
    assert made.open == 0
    made.give_back(BOB, relief.number)
    assert made.open == 1


def test_whoever_computes_the_same_range_already_is_the_check() -> None:
    made = board(1)
    held = ask(made, now=0.0)
    made.hasten(3.0)
    (relief,) = made.grant(BOB, places=1, now=3.0, others=EVERYONE)
    deliver(made, held)
    made.again(0, 1, frozenset({ANN}), anyone)
    assert made.surplus() == []
    assert check(made, EVE) == []
    assert deliver(made, relief) == []
    assert made.copies.checks == 0


def test_whoever_does_not_stand_apart_is_no_check_of_what_it_computes_already() -> None:
    made = board(1)
    held = ask(made, now=0.0)
    made.hasten(3.0)
    made.grant(BOB, places=1, now=3.0, others=EVERYONE)
    deliver(made, held)
    made.again(0, 1, frozenset({ANN}), lambda who, _: who == EVE)
    assert made.copies.asked == 1
    assert check(made, EVE) == [(0, 1)]


class CopyMachine(RuleBasedStateMachine):
    """A board on which everything is checked, by whoever comes, in any order."""

    @initialize(tasks=st.integers(1, 12), votes=st.integers(1, 3))
    def start(self, tasks: int, votes: int) -> None:
        self.board = Board(JOB, KEY, lease=4.0)
        self.board.append(tasks)
        self.board.sealed = True
        self.votes = votes
        self.now = 0.0
        self.made: list[Held] = []
        self.answers: dict[int, list[PeerId]] = {task: [] for task in range(tasks)}

    @rule(volunteer=PEER)
    def grant(self, volunteer: PeerId) -> None:
        helds = self.board.grant(
            volunteer, places=2, now=self.now, others=frozenset(PEERS), apart=anyone
        )
        for held in helds:
            again = [n for n in range(held.start, held.stop) if self.answers[n]]
            for task in again:
                assert volunteer not in self.answers[task]
                assert len(self.answers[task]) < self.votes
            self.made.append(replace(held))

    @precondition(lambda self: self.made)
    @rule(which=st.integers(0, 8), part=st.floats(0, 1, exclude_max=True))
    def deliver(self, which: int, part: float) -> None:
        held = self.made.pop(-1 - which % len(self.made))
        stop = held.stop - int(part * (held.stop - held.start))
        self.take(held, stop)

    def take(self, held: Held, stop: int) -> None:
        mac = self.board.mac(held)
        got = Delivery(
            held.volunteer, held.number, mac, held.start, stop, wall=float(stop)
        )
        if any(held.volunteer in self.answers[n] for n in range(held.start, stop)):
            return  # a late one: keepers take a volunteer's first answer
        self.board.deliver(got, (held.start, held.stop))
        for task in range(held.start, stop):
            self.answers[task].append(held.volunteer)
        for low, high in self.same(held.start, stop):
            by = frozenset(self.answers[low])
            self.board.copies.drop(low, high)
            if len(by) < self.votes:
                self.board.again(low, high, by, anyone)
        self.board.surplus()

    def same(self, start: int, stop: int) -> list[Span]:
        """Return the spans that the same volunteers have answered."""
        spans: list[Span] = []
        for task in range(start, stop):
            if spans and self.answers[spans[-1][0]] == self.answers[task]:
                spans[-1] = (spans[-1][0], task + 1)
            else:
                spans.append((task, task + 1))
        return spans

    @rule(volunteer=PEER)
    def leave(self, volunteer: PeerId) -> None:
        self.board.leave(volunteer)

    @rule(seconds=st.sampled_from((0.5, 3.0, 5.0)))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.board.lapse(self.now)
        self.board.hasten(self.now)

    @rule()
    def hasten(self) -> None:
        self.board.hasten(self.now)

    @invariant()
    def nothing_is_lost(self) -> None:
        done = {n for start, stop in self.board.done for n in range(start, stop)}
        assert done == {n for n, who in self.answers.items() if who}
        held = {n for h in self.board.live() for n in range(h.start, h.stop)}
        left = self.answers.keys() - done - held
        assert self.board.open == len(left)

    def teardown(self) -> None:
        """Let good volunteers come until nothing is left."""
        if not hasattr(self, "board"):
            return
        for _ in range(20 * len(self.answers)):
            if self.board.finished:
                break
            for volunteer in PEERS:
                self.now += 0.1
                self.made = []
                self.leave(volunteer)
                self.grant(volunteer)
                for held in self.made:
                    self.take(held, held.stop)
        for who in self.answers.values():  # more where some came too late
            assert len(who) == len(set(who)) >= self.votes
        assert self.board.finished
        assert not len(self.board.copies)


def test_whatever_happens_every_task_is_answered_by_as_many_as_asked() -> None:
    bounds = settings(max_examples=60, stateful_step_count=30)
    run_state_machine_as_test(CopyMachine, settings=bounds)
