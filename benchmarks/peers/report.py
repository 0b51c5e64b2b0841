"""The report: docs/benchmarks.md, made of what was measured and of nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from benchmarks.peers.contenders import CONTENDERS, HONEST, RIVALS
from benchmarks.peers.figures import FIGURES, Figure
from benchmarks.peers.outcomes import Outcome, middle, number, values

Outcomes = Mapping[str, Sequence[Outcome]]

HEAD = """\
# Benchmarks

p2pslinger beside what people would pick instead: one run, one machine, two worker
processes each. This file is made by `make bench-peers`, which installs the others into
an environment of its own; `make bench` measures p2pslinger by itself.

The column to compare is *{honest}*: every task goes by mutual TLS to
another peer, as if that were another machine. The pools have no network, no encryption
and no one to protect the machine from.
"""

READING = """\
## Reading it

- Each figure is the median of the rounds, here {rounds}. In each, every contender runs
  in a fresh process, and they take turns. The whole run took {minutes:.0f} minutes.
- Cold start is from before the import to the first result, the start of all workers
  included. p50 and p99 are of single tasks, one after the other, when warm.
- 5,000 submits are made one by one, then all results are awaited. The map's arguments
  are a list of numbers, which travel, as do the results.
- The fractal is 96 rows of uneven work; plain processes could reach the number of
  cores. Our slots are nice: on a machine with other work they stand back by design.
- Memory counts what processes share once, the program included, after the small tasks.
  CPU when idle was watched for a minute, all contenders side by side.
"""


def write(outcomes: Outcomes, machine: list[str], minutes: float, plot: str) -> str:
    """Return the whole report."""
    rounds = max(map(len, outcomes.values()))
    parts = [
        HEAD.format(honest=CONTENDERS[HONEST].title),
        "\n".join(machine) + "\n",
        "## Figures\n",
        "\n".join(table(outcomes)) + "\n",
        "\n".join(verdicts(outcomes)) + "\n",
        f"![The same as a plot]({plot})\n",
        READING.format(rounds=rounds, minutes=minutes),
        "## How each was used\n",
        "\n".join(settings(outcomes)) + "\n",
        "## Extremes\n",
        "From the least to the greatest of all rounds.\n",
        "\n".join(extremes(outcomes)) + "\n",
    ]
    return "\n".join(parts)


def table(outcomes: Outcomes) -> Iterator[str]:
    """Yield the lines of the table of medians."""

    def cell(figure: Figure, name: str) -> str:
        value = middle(outcomes[name], figure.key)
        return number(value) if value is not None else "–"

    return _lines(outcomes, cell)


def extremes(outcomes: Outcomes) -> Iterator[str]:
    """Yield the lines of the table of extremes."""

    def cell(figure: Figure, name: str) -> str:
        found = values(outcomes[name], figure.key)
        return f"{number(min(found))} to {number(max(found))}" if found else "–"

    return _lines(outcomes, cell)


def _lines(outcomes: Outcomes, cell: Callable[[Figure, str], str]) -> Iterator[str]:
    titles = [CONTENDERS[name].title for name in outcomes]
    yield "| | " + " | ".join(titles) + " |"
    yield "|---" * (1 + len(titles)) + "|"
    for figure in FIGURES:
        cells = [cell(figure, name) for name in outcomes]
        yield f"| {figure.title}, {figure.unit} | " + " | ".join(cells) + " |"


def verdicts(outcomes: Outcomes) -> Iterator[str]:
    """Yield where the honest column is behind those that it is to be ahead of."""
    if not any(run.figures for run in outcomes.get(HONEST, ())):
        yield f"{CONTENDERS[HONEST].title} was not measured, so this compares nothing."
        return
    behind = []
    for figure in FIGURES:
        ours = middle(outcomes.get(HONEST, ()), figure.key)
        for name in RIVALS:
            theirs = middle(outcomes.get(name, ()), figure.key)
            if ours is None or theirs is None or not figure.is_better(theirs, ours):
                continue
            behind.append(
                f"- {figure.title}: {CONTENDERS[name].title} has {number(theirs)} "
                f"{figure.unit}, we have {number(ours)}"
            )
    rivals = ", ".join(CONTENDERS[name].title for name in RIVALS)
    if behind:
        yield f"Of {rivals}, these are ahead of us:\n"
        yield from behind
    else:
        yield f"Ahead of {rivals} in every row in which they were measured."


def settings(outcomes: Outcomes) -> Iterator[str]:
    """Yield what each contender is and how it was used, or why it was not measured."""
    for name, runs in outcomes.items():
        kind = CONTENDERS[name]
        version = next((run.version for run in runs if run.version), "")
        title = f"**{kind.title}** {version}".rstrip()
        yield f"- {title}: {kind.settings}."
        for why in dict.fromkeys(run.why for run in runs if run.why):
            yield f"  Not measured{' in every round' if version else ''}: {why}."
