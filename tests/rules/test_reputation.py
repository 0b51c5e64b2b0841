"""Who is checked, how often, and when somebody is struck."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.ids import PeerId
from p2pslinger.rules.reputation import (
    BARRED,
    FIRST,
    FORGIVEN,
    LEAST,
    LONGEST,
    SHOWN,
    Evidence,
    Record,
    Reputation,
)

EVE = PeerId(b"e" * 20)


def after(*events: str, start: Record | None = None) -> Record:
    record = start or Record()
    for event in events:
        match event:
            case "praised":
                record = record.praised()
            case "doubted":
                record = record.doubted()
            case _:
                record = record.struck(0.0)
    return record


EVENTS = st.lists(
    st.sampled_from(("praised", "praised", "praised", "doubted", "struck"))
)


def test_the_first_results_are_always_checked() -> None:
    record = Record()
    for _ in range(FIRST):
        assert record.chance == 1.0
        record = record.praised()
    assert record.chance < 1.0


def test_agreement_makes_checks_ever_rarer_and_never_none() -> None:
    record, chances = Record(), []
    for _ in range(5000):
        record = record.praised()
        chances.append(record.chance)
    assert chances == sorted(chances, reverse=True)
    assert chances[-1] == LEAST > 0


@given(EVENTS)
def test_whatever_happens_somebody_is_checked_sometimes(events: list[str]) -> None:
    assert LEAST <= after(*events).chance <= 1.0


@given(EVENTS, st.integers(0, FORGIVEN - 1))
def test_whoever_was_struck_is_always_checked(events: list[str], well: int) -> None:
    record = after(*events, "struck", *["praised"] * well)
    assert record.chance == 1.0


def test_strikes_are_forgotten_after_many_good_answers() -> None:
    record = after("struck", *["praised"] * FORGIVEN)
    assert record.strikes == 0
    assert record.chance < 1.0


def test_each_strike_bars_for_longer_up_to_a_bound() -> None:
    record, spans = Record(), []
    for _ in range(12):
        record = record.struck(100.0)
        spans.append(record.barred - 100.0)
    assert spans[:3] == [BARRED, 2 * BARRED, 4 * BARRED]
    assert spans[-1] == LONGEST


def test_whoever_is_barred_gets_work_again_afterwards() -> None:
    known = Reputation({EVE: Record().struck(0.0)})
    assert known.bars(EVE, BARRED - 1)
    assert not known.bars(EVE, BARRED)
    assert not known.bars(PeerId(b"x" * 20), 0.0)


def test_a_good_volunteer_costs_few_checks() -> None:
    chance, record, checks = Random(1), Record(), 0
    for _ in range(1000):
        if chance.random() < record.chance:
            checks += 1
            record = record.praised()
    assert checks < 200


def test_nobody_is_convicted_before_the_job_has_shown_agreement() -> None:
    evidence = Evidence(agreed=SHOWN - 1)
    assert not evidence.convicts(EVE, 2)
    evidence.agreed += 1
    assert evidence.convicts(EVE, 2)
    assert not evidence.convicts(EVE, 1)


def test_a_job_that_comes_out_by_chance_convicts_nobody() -> None:
    chance, evidence = Random(2), Evidence()
    peers = [PeerId(bytes([n]) * 20) for n in range(5)]
    convicted = 0
    for _ in range(300):
        who = chance.sample(peers, 3)
        said = [chance.random() < 0.5 for _ in who]
        if said[0] == said[1]:
            evidence.agreed += 1
            continue
        wrong = who[0] if said[1] == said[2] else who[1]
        evidence.disagreed({wrong: None})
        convicted += evidence.convicts(wrong, 2)
    assert convicted <= 3  # before enough was seen; see `SHOWN`


def test_a_liar_is_convicted_however_often_it_lies() -> None:
    evidence = Evidence(agreed=SHOWN)
    for _ in range(50):
        evidence.disagreed({EVE: None})
        assert evidence.convicts(EVE, 2)
