"""Owners are told whether others can dial their machine, and what to do if not."""

from __future__ import annotations

import msgspec
import pytest

from p2pslinger.cli.status import reachable, show_status
from p2pslinger.wire.ownfacts import ReachFacts, StatusFacts

ADVICE = "it works all the same: it dials out. To let others dial it, forward port 8468"
SHUT = ReachFacts("unreachable", 720.0, "peer k3mvb2a could not dial it", ADVICE)
STATUS = StatusFacts(
    peer="k3mvb2a-aaaaaaa-bbbbbbb-ccccccc-ddddddd",
    name="attic",
    grid="fr6233x-abcdef",
    software="0.1.0",
    address="192.168.1.5:8468",
    uptime=7200.0,
    neighbours=2,
    slots=3,
    busy=1,
    idle_because=None,
    jobs=1,
    heard=4,
    computed=1,
    dropped={},
    notes=(),
)


def test_the_answer_is_yes_no_or_unknown_and_says_how_that_is_known() -> None:
    assert reachable(SHUT) == "no, for 12.0 min: peer k3mvb2a could not dial it"
    fine = ReachFacts("reachable", 3.0, "peer k3mvb2a has dialled it", "")
    assert reachable(fine).startswith("yes, for 3.0 s: ")
    nobody = ReachFacts("unknown", 3.0, "nobody has tried", "")
    assert reachable(nobody).startswith("unknown, ")
    assert reachable(None) == "unknown"


def test_status_gives_the_advice_only_where_there_is_some(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_status(msgspec.structs.replace(STATUS, reach=SHUT))
    assert ADVICE in capsys.readouterr().out

    show_status(STATUS)
    assert "note" not in capsys.readouterr().out
