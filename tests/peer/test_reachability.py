"""What verdicts of those who have tried to dial us come to."""

from __future__ import annotations

import pytest

from p2pslinger.ids import PeerId
from p2pslinger.peer.presence.reachability import Verdict, decide, is_outside

ANN, BOB, CAT = (PeerId(bytes([n]) * 20) for n in (1, 2, 3))
OWN = ["192.168.1.7", "2001:db8:1::7"]


def verdict(
    judge: PeerId,
    host: str,
    *,
    stream: bool,
    outside: bool,
    datagrams: bool | None = True,
) -> Verdict:
    return Verdict(judge, host, stream, datagrams, outside)


def test_one_that_gets_through_is_enough() -> None:
    standing = decide(
        [
            verdict(ANN, "203.0.113.9", stream=False, outside=True),
            verdict(BOB, "203.0.113.9", stream=True, outside=True),
        ]
    )

    assert standing.state == "reachable"
    assert standing.serves
    assert standing.hosts == ("203.0.113.9",)


def test_who_looks_from_outside_knows_better_than_who_lives_next_door() -> None:
    standing = decide(
        [
            verdict(ANN, "192.168.1.7", stream=True, outside=False),
            verdict(BOB, "203.0.113.9", stream=False, outside=True),
        ]
    )

    assert standing.state == "unreachable"
    assert not standing.can_be_dialled
    assert "could not dial it at 203.0.113.9" in standing.why


def test_where_all_live_next_door_they_decide() -> None:
    standing = decide([verdict(ANN, "192.168.1.7", stream=True, outside=False)])

    assert standing.state == "reachable"


def test_streams_without_datagrams_make_a_client_that_can_be_dialled() -> None:
    one = verdict(ANN, "203.0.113.9", stream=True, outside=True, datagrams=False)
    assert (decide([one]).can_be_dialled, decide([one]).serves) == (True, False)

    could_not_tell = verdict(
        ANN, "203.0.113.9", stream=True, outside=True, datagrams=None
    )
    assert decide([could_not_tell]).serves


@pytest.mark.parametrize(
    ("seen", "judge", "outside"),
    [
        ("203.0.113.9", "198.51.100.1", True),  # by translation
        ("192.168.1.7", "192.168.1.9", False),  # the same network
        ("192.168.1.7", "10.3.0.1", True),  # another one, by a router of ours
        ("2001:db8:1::7", "2001:db8:1::9", False),
        ("2001:db8:1::7", "2001:db8:2::9", True),
        ("127.0.0.1", "127.0.0.1", False),  # the same machine
        ("fe80::1%eth0", "fe80::2%eth0", False),  # the same cable
        ("no address", "10.3.0.1", False),
    ],
)
def test_who_knows_how_we_look_from_outside(
    seen: str, judge: str, outside: bool
) -> None:
    assert is_outside(seen, OWN, judge) is outside
