"""Benchmarks say what was measured, and what was not."""

from __future__ import annotations

import asyncio
from xml.etree import ElementTree

import pytest

from benchmarks import keeper
from benchmarks.__main__ import rows, table
from benchmarks.figures import show
from benchmarks.peers.outcomes import Outcome
from benchmarks.peers.plot import draw
from benchmarks.peers.report import write

#: Two rounds of ours and Ray's, and a Dask that is not there.
OUTCOMES = {
    "tls": [
        Outcome({"p50": 1.0, "submits": 80_000.0}, "", "0.1.0"),
        Outcome({"p50": 3.0, "submits": 90_000.0}, "", "0.1.0"),
    ],
    "dask": [Outcome({}, "distributed is not installed", "")],
    "ray": [Outcome({"p50": 1.7, "submits": 1500.0}, "", "2.60.0")],
}


def report() -> str:
    return write(OUTCOMES, ["2 cores."], 4.2, "benchmarks.svg")


def test_the_table_has_medians_and_a_dash_for_what_was_not_measured() -> None:
    assert "| one task, submit to result, p50, ms | 2 | – | 1.7 |" in report()
    assert "| 5,000 single submits, tasks/s | 85,000 | – | 1,500 |" in report()


def test_the_extremes_are_there_as_well() -> None:
    assert "| one task, submit to result, p50, ms | 1 to 3 | – | 1.7 to 1.7 |" in (
        report()
    )


def test_a_row_in_which_a_rival_is_ahead_is_named() -> None:
    found = report()
    assert "- one task, submit to result, p50: Ray has 1.7 ms, we have 2" in found
    assert "- 5,000 single submits" not in found


def test_who_could_not_be_measured_is_named_with_the_reason() -> None:
    assert "Not measured: distributed is not installed." in report()


def test_the_plot_has_a_dot_for_each_value_and_is_well_formed() -> None:
    found = ElementTree.fromstring(draw(OUTCOMES))
    dots = list(found.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(dots) == 4


def test_every_budget_is_found_in_what_scripts_print(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show("import, modules", [1], "")
    show("one task, p50 (warm)", [0.5, 0.4, 0.7], "ms", most=0.6)
    show("map of 100,000", [1_400_000.0], "tasks/s", least=1_500_000)
    show("lost: by the owner", [-0.5, -0.25], "% of a core", most=5)
    found = rows(capsys.readouterr().out.splitlines())
    assert [(row.what, row.is_met) for row in found] == [
        ("one task, p50 (warm)", True),
        ("map of 100,000", False),
        ("lost: by the owner", True),
    ]
    assert [row.measured for row in found][1:] == [
        "1,400,000 tasks/s",
        "-0.375 % of a core",
    ]
    assert table(found).splitlines()[1] == (
        "MISSED  map of 100,000         1,400,000 tasks/s  at least 1,500,000"
    )


def test_the_benchmark_of_keepers_gets_its_tasks_granted_and_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeper, "GRANTS", 300)
    monkeypatch.setattr(keeper, "SHARD", 100)
    assert asyncio.run(keeper.run(volunteers=5, slots=3)) > 0
