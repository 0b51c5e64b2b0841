"""A peer's state is opened here, and what a damaged one still holds is taken over.

One commit for all of it, and a mark beside the damaged file until then: a crash in
between costs nothing. A disk that is too full for it only puts it off.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

from p2pslinger.errors import DiskError
from p2pslinger.store.database import ASIDE, UNREAD
from p2pslinger.store.state import State
from p2pslinger.store.wreck import Wreck


def open_state(path: Path) -> State:
    """Open a peer's state; its `notes` say what was damaged, and what was saved.

    Raises:
        DiskError: the file can't be opened.
    """
    state = State(path)
    for mark in sorted(path.parent.glob(f"{path.name}{ASIDE}*{UNREAD}")):
        damaged = mark.with_name(mark.name.removesuffix(UNREAD))
        try:
            found = _take_over(damaged, state)
        except DiskError as error:
            state.notes += (
                f"what {damaged.name} still holds could not be saved ({error}): the "
                "next start tries again",
            )
            continue
        mark.unlink()
        state.notes += (
            f"of {damaged.name} could be saved: jobs {found['jobs']}, their records "
            f"{found['items']}, receipts {found['receipts']}",
        )
    return state


def _take_over(damaged: Path, state: State) -> Counter[str]:
    """Copy what can be read; return how many there were of what."""
    found: Counter[str] = Counter()
    try:
        wreck = Wreck(damaged)
    except sqlite3.Error:  # nothing of it is left
        return found
    try:
        with state.batch():
            _take_over_jobs(wreck, state, found)
            for signed in wreck.receipts():
                found["receipts"] += state.add_receipt(signed)
            state.next_start(wreck.starts())
    finally:
        wreck.close()
    return found


def _take_over_jobs(wreck: Wreck, state: State, found: Counter[str]) -> None:
    for job, (until, proof) in wreck.tombstones():
        state.jobs.bury(job, until, proof)
    buried = state.jobs.buried()
    for stored in wreck.jobs():
        if stored.job not in buried:
            state.jobs.add(stored)
            found["jobs"] += 1
    for job, item, kind, signed in wreck.items():
        if job not in buried:
            state.jobs.add_items(job, [(item, kind, signed)])
            found["items"] += 1
    for job, digest, data in wreck.contents():
        if job not in buried:
            state.jobs.add_content(job, digest, data)
