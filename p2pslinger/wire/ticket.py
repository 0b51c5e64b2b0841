"""A ticket's text form: for whoever is to find a job, or to decide for it.

    ticket-...    the grid's id and the job's: whoever is in the grid finds the job
    owner-...     with the job key as well: its holder may do all that its submitter may

The rest is base32 in groups, with check characters at the end, as of every id: what is
mistyped or cut short is noticed before anybody is asked.
"""

from __future__ import annotations

from p2pslinger.errors import UsageError
from p2pslinger.ids import ID_BYTES, from_text, to_text
from p2pslinger.wire.owning import Ticket

#: What a ticket starts with, and one that is a secret.
FINDER = "ticket"
OWNER = "owner"

#: Bytes of a grid's id and of the secret half of a job key.
GRID_BYTES = 8
KEY_BYTES = 32

_SIZES = {FINDER: GRID_BYTES + ID_BYTES, OWNER: GRID_BYTES + ID_BYTES + KEY_BYTES}


def ticket_text(ticket: Ticket) -> str:
    """Return a ticket's text form. With a job key in it, it is a secret."""
    word = OWNER if ticket.key else FINDER
    return f"{word}-{to_text(ticket.grid + ticket.job + ticket.key)}"


def looks_like_ticket(text: str) -> bool:
    """Return whether `text` starts as a ticket does, well written or not."""
    return text.strip().lower().partition("-")[0] in _SIZES and "-" in text


def read_ticket(text: str) -> Ticket:
    """Read a text form.

    Raises:
        UsageError: it is no ticket, or it is mistyped or cut short.
    """
    word, _, rest = text.strip().partition("-")
    size = _SIZES.get(word.strip().lower())
    if size is None:
        raise UsageError(
            f"this is no ticket: one starts with '{FINDER}-' or '{OWNER}-' and is "
            "made by `slinger ticket JOB`"
        )
    try:
        raw = from_text(rest, size)
    except UsageError:
        raise UsageError(
            "the ticket has a typing error or is cut short: copy the whole line that "
            "`slinger ticket` has printed"
        ) from None
    key = GRID_BYTES + ID_BYTES
    return Ticket(raw[GRID_BYTES:key], raw[:GRID_BYTES], raw[key:])
