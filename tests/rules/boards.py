"""Boards, and what happens to them, in the words of tests."""

from __future__ import annotations

from dataclasses import replace

from p2pslinger.ids import JobId, PeerId
from p2pslinger.rules.board import Board
from p2pslinger.rules.delivery import Delivery
from p2pslinger.rules.grants import Held
from p2pslinger.rules.spans import Span

JOB, KEY = JobId(b"j" * 20), b"k" * 32
ANN, BOB, EVE = (PeerId(name * 20) for name in (b"a", b"b", b"e"))
EVERYONE = frozenset((ANN, BOB, EVE))


def board(tasks: int = 0) -> Board:
    made = Board(JOB, KEY)
    made.append(tasks)
    return made


def ask(
    board: Board,
    volunteer: PeerId = ANN,
    places: int = 1,
    now: float = 0.0,
    others: frozenset[PeerId] = EVERYONE,
) -> Held:
    """Let a volunteer ask for work, where it should get one grant."""
    (held,) = board.grant(volunteer, places=places, now=now, others=others)
    return held


def everything(board: Board, volunteer: PeerId = ANN) -> Held:
    """Grant all open tasks of a board at once, where they are one span."""
    board.pace.seconds = 1e-6
    held = ask(board, volunteer)
    board.pace.seconds = None
    return held


def offered(board: Board, volunteer: PeerId) -> list[Span]:
    """Return what a volunteer is granted."""
    helds = board.grant(volunteer, places=1, now=0.0, others=EVERYONE)
    return [(held.start, held.stop) for held in helds]


def result(board: Board, held: Held) -> Delivery:
    mac = board.mac(held)
    return Delivery(held.volunteer, held.number, mac, held.start, held.stop)


def death(board: Board, held: Held, task: int) -> Delivery:
    got = result(board, held)
    return replace(got, start=task, stop=task + 1, failures=1, lost=True)


def deliver(board: Board, held: Held, got: Delivery | None = None) -> list[Span]:
    return board.deliver(got or result(board, held), (held.start, held.stop))


def done(board: Board) -> list[Span]:
    return list(board.done)
