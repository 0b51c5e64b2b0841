"""The fixture `virtual`, as somebody else's tests would use it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.virtual import current

THEIR_CONFTEST = 'pytest_plugins = ["p2pslinger.testing.fixtures"]\n'

THEIR_TESTS = """
import asyncio
import pytest

@pytest.mark.seed(9)
def test_that_passes(virtual):
    assert virtual.seed == 9

def test_that_fails(virtual):
    async def main():
        virtual.network()
        await asyncio.sleep(60)
        raise ValueError("as it should")
    virtual.run(main)
"""


def test_the_seed_is_0_unless_marked(virtual: VirtualTime) -> None:
    assert virtual.seed == 0


@pytest.mark.seed(7)
def test_the_seed_of_the_marker_reaches_the_run(virtual: VirtualTime) -> None:
    async def main() -> int:
        return current().seed

    assert virtual.run(main) == 7
    assert virtual.run(main, seed=8) == 8


def test_a_failing_test_of_another_project_names_its_seed(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(THEIR_CONFTEST)
    (tmp_path / "test_theirs.py").write_text(THEIR_TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--strict-markers", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "1 failed, 1 passed" in done.stdout
    assert "simulations: the same in every process" in done.stdout
    assert "in a simulation with seed=0, after 60.000 s" in done.stdout
