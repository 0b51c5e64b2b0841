"""`python -m benchmarks`: every script, then every budget beside what was measured.

Each script is a process of its own, as if it were started by hand; what it prints is
printed as it comes. Names of scripts narrow it: `python -m benchmarks latency payload`.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent

#: Seconds that one script may take before it is ended: three times the longest.
LIMIT = 300.0

#: Seconds between two looks at what a script has printed.
LOOK = 0.1

#: Load from which on other programs are what is measured.
BUSY = 0.7

#: A line that `benchmarks.figures.show` prints, if there is a budget.
_LINE = re.compile(
    r"(?P<what>.+): (?P<value>[\d.,e+-]+) (?P<unit>[^(]*?)  "
    r"\(.*budget (?P<budget>at (?:most|least) [\d.,e+-]+): (?P<verdict>met|MISSED)\)"
)


@dataclass(frozen=True)
class Row:
    """A budget, and what was measured."""

    what: str
    measured: str
    budget: str
    is_met: bool


def rows(lines: Iterable[str]) -> list[Row]:
    """Find the budgets in what benchmarks have printed."""
    found = (_LINE.fullmatch(line.strip()) for line in lines)
    return [
        Row(
            match["what"],
            f"{match['value']} {match['unit']}",
            match["budget"],
            match["verdict"] == "met",
        )
        for match in found
        if match is not None
    ]


def table(rows: list[Row]) -> str:
    """Write budgets below each other."""
    widths = [
        max(len(text) for text in column)
        for column in zip(*((row.what, row.measured) for row in rows), strict=True)
    ]
    return "\n".join(
        f"{'met   ' if row.is_met else 'MISSED'}  {row.what:{widths[0]}}  "
        f"{row.measured:>{widths[1]}}  {row.budget}"
        for row in rows
    )


def run(script: Path) -> tuple[list[str], bool]:
    """Run a script and pass on what it prints; return that, and whether it went well.

    It prints into a file: to the end of a pipe belong also peers that it may have left.
    """
    environment = dict(os.environ, PYTHONUNBUFFERED="1")
    # Peers start from bytecode, as they do with anybody.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    print(f"# {script.stem}", flush=True)
    with tempfile.NamedTemporaryFile("w+", encoding="utf-8") as out:
        process = subprocess.Popen(
            [sys.executable, str(script)], stdout=out, env=environment
        )
        printed = "".join(_passed_on(process, Path(out.name)))
    return printed.splitlines(), process.returncode == 0


def _passed_on(process: subprocess.Popen[bytes], out: Path) -> Iterator[str]:
    """Print what a process prints, until it ends; yield that."""
    end = time.monotonic() + LIMIT
    with out.open(encoding="utf-8") as printed:
        is_over = False
        while not is_over:
            time.sleep(LOOK)
            is_over = process.poll() is not None
            fresh = printed.read()
            print(fresh, end="", flush=True)
            yield fresh
            if time.monotonic() > end and not is_over:
                print(f"it takes more than {LIMIT:g} s and is ended", flush=True)
                process.kill()
                end = float("inf")


def _scripts(names: list[str]) -> list[Path]:
    every = [path for path in sorted(HERE.glob("*.py")) if path.name[0] != "_"]
    if unknown := set(names) - {path.stem for path in every}:
        known = ", ".join(path.stem for path in every)
        sys.exit(
            f"no benchmark is called {', '.join(sorted(unknown))}; there are {known}"
        )
    return [path for path in every if not names or path.stem in names]


def main() -> int:
    """Run what was asked for; return the exit code: 1 if a script has failed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__.splitlines()[0] if __doc__ else "",
        epilog="Example: python -m benchmarks latency payload",
    )
    parser.add_argument("script", nargs="*", help="which ones; all if none is named")
    scripts = _scripts(parser.parse_args().script)
    began, load = time.monotonic(), os.getloadavg()[0]
    found: list[Row] = []
    failed = []
    for script in scripts:
        lines, went_well = run(script)
        found += rows(lines)
        if not went_well:
            failed.append(script.stem)
    minutes, met = (time.monotonic() - began) / 60, sum(row.is_met for row in found)
    if found:
        print(f"\n# budgets\n{table(found)}\n")
    print(f"{met} of {len(found)} budgets met, in {minutes:.1f} minutes")
    if load > BUSY:
        print(f"the load was {load:.1f} before: other programs are in these figures")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
