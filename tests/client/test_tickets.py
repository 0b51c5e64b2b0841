"""A ticket's file is its owner's alone, and a ticket is found wherever it is."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from p2pslinger.client.tickets import load_ticket, save_ticket
from p2pslinger.errors import DiskError, UsageError
from p2pslinger.wire.owning import Ticket
from p2pslinger.wire.ticket import ticket_text

TICKET = Ticket(bytes(range(20)), bytes(range(8)))
OWNER = Ticket(bytes(range(20)), bytes(range(8)), bytes(range(32)))


@pytest.mark.parametrize("ticket", [TICKET, OWNER])
def test_a_saved_ticket_is_read_from_its_path_or_its_text(
    tmp_path: Path, ticket: Ticket
) -> None:
    file = tmp_path / "owner-sums"
    save_ticket(file, ticket)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_ticket(file) == ticket
    assert load_ticket(str(file)) == ticket
    assert load_ticket(ticket_text(ticket)) == ticket
    assert ("secret" in file.read_text()) == bool(ticket.key)


def test_a_file_that_looks_like_a_ticket_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_ticket(Path("ticket-1"), TICKET)

    assert load_ticket("ticket-1") == TICKET


def test_no_file_is_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "ticket"
    file.write_text("dear")

    with pytest.raises(UsageError, match="exists: choose another name"):
        save_ticket(file, TICKET)
    assert file.read_text() == "dear"


def test_an_owners_ticket_that_others_may_read_is_refused(tmp_path: Path) -> None:
    for ticket, name in ((TICKET, "ticket"), (OWNER, "owner")):
        save_ticket(tmp_path / name, ticket)
        (tmp_path / name).chmod(0o644)

    assert load_ticket(tmp_path / "ticket") == TICKET
    with pytest.raises(DiskError, match="chmod 600"):
        load_ticket(tmp_path / "owner")


def test_what_is_no_ticket_and_no_file_says_so(tmp_path: Path) -> None:
    for place in (tmp_path / "nowhere", "nowhere", "", "x" * 5000):
        with pytest.raises((UsageError, DiskError)):
            load_ticket(place)
    (tmp_path / "empty").write_text("# nothing\n\n")
    with pytest.raises(UsageError, match="no ticket"):
        load_ticket(tmp_path / "empty")
