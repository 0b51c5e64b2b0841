"""Two processes with one identity: the later one stops and says what to do."""

from __future__ import annotations

from pathlib import Path

from p2pslinger.errors import UsageError
from p2pslinger.peer.events import Event, Events, Noted
from p2pslinger.peer.presence.twins import Twins
from p2pslinger.wire.records import Address, PeerCard

#: Wall time of our start; and the age at which cards are looked at.
BORN, AGE = 1_000_000.0, 3600.0


def card(started: float, signed_at: float) -> PeerCard:
    return PeerCard(
        name="attic",
        addresses=(Address("192.0.2.7", 8468),),
        software="0.1.0",
        pythons=("3.12",),
        slots=1,
        sandbox="good",
        sequence=int(signed_at * 1e3),
        expires=signed_at + 3600,
        started=int(started * 1e6),
    )


class Process:
    """One with an identity that another may have."""

    def __init__(self) -> None:
        self.ends: list[UsageError] = []
        self.events: list[Event] = []
        events = Events()
        events.subscribe(self.events.append)
        self.twins = Twins(
            started=int(BORN * 1e6),
            age=lambda: AGE,
            now=lambda: BORN + AGE,
            key=Path("/home/ann/identity.key"),
            end=self.ends.append,
            events=events,
        )


def test_meeting_ourselves_is_nothing() -> None:
    process = Process()
    process.twins.met(card(BORN, BORN + AGE), "192.0.2.7")

    assert (process.ends, process.events) == ([], [])


def test_who_meets_an_older_twin_stops_and_names_the_file_to_delete() -> None:
    process = Process()
    process.twins.met(card(BORN - 1, BORN + 2), "192.0.2.7")

    (why,) = process.ends
    assert str(why).startswith("attic at 192.0.2.7 runs with this peer's identity")
    assert "delete /home/ann/identity.key" in str(why)


def test_who_meets_a_younger_twin_goes_on_and_says_so_once() -> None:
    process = Process()
    for _ in range(3):
        process.twins.met(card(BORN + 1, BORN + 2), "192.0.2.7")

    (event,) = process.events
    assert isinstance(event, Noted)
    assert "from a copy of its data folder" in event.text
    assert process.ends == []


def test_cards_of_a_former_life_are_no_twins() -> None:
    process = Process()
    process.twins.seen(card(BORN - 9000, BORN - 10))
    process.twins.seen(card(BORN - 9000, BORN + 60))  # within what clocks may differ

    assert (process.ends, process.events) == ([], [])


def test_a_card_that_was_signed_while_we_live_is_a_twins() -> None:
    process = Process()
    process.twins.seen(card(BORN - 9000, BORN + 1000))

    assert len(process.ends) == 1
