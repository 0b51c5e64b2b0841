"""Facts are plain values: what `--json` prints is what the peer said."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.wire import facts, ownfacts
from p2pslinger.wire.agreeing import AgreementFacts
from tests.wire.structs import built

KINDS = [
    facts.ExcludedFacts,
    facts.ReasonFacts,
    facts.WhyFacts,
    facts.TallyFacts,
    facts.KeeperFacts,
    ownfacts.KeepingFacts,
    AgreementFacts,
    facts.JobFacts,
    facts.PeerFacts,
    ownfacts.ReachFacts,
    ownfacts.RekeyFacts,
    ownfacts.SandboxFacts,
    facts.TaskFacts,
    ownfacts.StatusFacts,
    ownfacts.PermitFacts,
    ownfacts.CheckFacts,
]


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_facts_survive_being_printed_as_json(
    kind: type[msgspec.Struct], data: st.DataObject
) -> None:
    fact = data.draw(built(kind).filter(finite))
    text = msgspec.json.encode(fact)

    assert msgspec.json.decode(text, type=kind) == fact


def finite(fact: msgspec.Struct) -> bool:
    """Tell whether no number of `fact` is infinite: JSON has no word for it."""
    return "inf" not in repr(fact)


def test_every_kind_of_fact_is_tested() -> None:
    found = {
        one
        for one in [*vars(facts).values(), *vars(ownfacts).values()]
        if isinstance(one, type) and issubclass(one, msgspec.Struct)
    }
    assert found == set(KINDS)
