"""A ticket survives being copied by hand, or says that it has not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.errors import UsageError
from p2pslinger.wire.owning import Ticket
from p2pslinger.wire.ticket import looks_like_ticket, read_ticket, ticket_text

TICKET = Ticket(bytes(range(20)), bytes(range(8)))
OWNER = Ticket(bytes(range(20)), bytes(range(8)), bytes(range(32)))


@given(
    st.binary(min_size=20, max_size=20),
    st.binary(min_size=8, max_size=8),
    st.sampled_from([b"", bytes(32), bytes(range(32))]),
)
def test_a_ticket_reads_back(job: bytes, grid: bytes, key: bytes) -> None:
    ticket = Ticket(job, grid, key)

    assert read_ticket(ticket_text(ticket)) == ticket
    assert read_ticket(f"  {ticket_text(ticket).upper()}\n") == ticket


def test_a_ticket_shows_whether_it_is_a_secret() -> None:
    assert ticket_text(TICKET).startswith("ticket-")
    assert ticket_text(OWNER).startswith("owner-")


@pytest.mark.parametrize("ticket", [TICKET, OWNER])
def test_a_ticket_that_is_cut_short_says_so(ticket: Ticket) -> None:
    text = ticket_text(ticket)
    for end in (len("ticket"), len("ticket-") + 1, len(text) // 2, len(text) - 1):
        with pytest.raises(UsageError, match="cut short"):
            read_ticket(text[:end])


@given(st.integers(0, 40), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_mistyped_ticket_says_so(place: int, letter: str) -> None:
    text = ticket_text(TICKET)
    at = len("ticket-") + place
    wrong = text[:at] + letter + text[at + 1 :]
    if letter == text[at] or text[at] == "-":
        return
    with pytest.raises(UsageError, match="typing error"):
        read_ticket(wrong)


@pytest.mark.parametrize(
    "text", ["", "slinger-aaaa", "aaaaaaa-aaaaaaa", "tickets-aaaa"]
)
def test_what_is_no_ticket_is_told_how_one_starts(text: str) -> None:
    with pytest.raises(UsageError, match="no ticket: one starts with"):
        read_ticket(text)


def test_a_key_does_not_pass_for_a_ticket_without_one() -> None:
    _, _, rest = ticket_text(OWNER).partition("-")

    with pytest.raises(UsageError, match="typing error"):
        read_ticket(f"ticket-{rest}")


def test_a_path_does_not_look_like_a_ticket() -> None:
    assert looks_like_ticket(" Ticket-aaaa")
    assert not looks_like_ticket("ticket")
    assert not looks_like_ticket("sums.ticket")
    assert not looks_like_ticket("/home/ann/ticket-1")
