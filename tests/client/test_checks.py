"""How a program says that results are to be compared."""

from __future__ import annotations

import pytest

from p2pslinger.client.checks import Replicate, with_checks
from p2pslinger.errors import UsageError
from p2pslinger.wire.manifest import ADAPTIVE, NEVER, Policy


@pytest.mark.parametrize(
    ("said", "meant"), [("never", NEVER), ("adaptive", ADAPTIVE), (2, 2), (5, 5)]
)
def test_a_job_is_checked_as_it_is_said(said: Replicate, meant: int) -> None:
    assert with_checks(Policy(), said, None) == Policy(replicate=meant)


@pytest.mark.parametrize("said", [0, 1, 6, -1, True, "always", 2.5])
def test_no_other_number_or_word_is_taken(said: Replicate) -> None:
    with pytest.raises(UsageError, match='say "never", "adaptive", or by how many'):
        with_checks(Policy(), said, None)


def test_a_tolerance_is_a_part_or_a_part_and_a_difference() -> None:
    assert with_checks(Policy(), 2, 1e-6).relative == 1e-6
    both = with_checks(Policy(), 2, (1e-6, 0.5))
    assert (both.relative, both.absolute) == (1e-6, 0.5)


@pytest.mark.parametrize("said", [-1.0, 1.0, float("nan"), (0.1,), ("a", 1), (0, -1)])
def test_no_other_tolerance_is_taken(said: object) -> None:
    with pytest.raises(UsageError, match="how far numbers may be apart"):
        with_checks(Policy(), 2, said)  # type: ignore[arg-type]
