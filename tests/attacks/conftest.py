"""What every attack is played against: the ways of confining that this machine has."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pslinger.sandbox.confine import bubblewrap, landlock
from p2pslinger.sandbox.confine.confinement import Confinement
from tests.attacks.scene import KEY
from tests.attacks.siege import Siege, siege
from tests.attacks.stranger import command

#: Seconds for the control: all attacks, one after the other.
CONTROL = 200

#: What each attack got in the control, and what harm it did.
Shown = dict[str, tuple[str, list[str]]]


def lacking(confinement: Confinement) -> str:
    """Return what this machine lacks for a way of confining, or ""."""
    if sys.platform != "linux" or landlock.version() < landlock.TRUNCATION:
        return "needs Linux with Landlock"
    if confinement is Confinement.STRONG and bubblewrap.find() is None:
        return "needs bubblewrap"
    return ""


@pytest.fixture(params=[Confinement.GOOD, Confinement.STRONG], ids=lambda c: c.value)
def confinement(request: pytest.FixtureRequest) -> Confinement:
    """Give each way of confining strangers' work that this machine has."""
    kind = Confinement(request.param)
    if why := lacking(kind):
        pytest.skip(why)
    return kind


@pytest.fixture(
    scope="module",
    params=[Confinement.GOOD, Confinement.STRONG],
    ids=lambda c: c.value,
)
def besieged(request: pytest.FixtureRequest) -> Iterator[Siege]:
    """Give a peer that is attacked, for each way of confining that there is here."""
    kind = Confinement(request.param)
    if why := lacking(kind):
        pytest.skip(why)
    with siege(kind, KEY) as one:
        yield one


@pytest.fixture(scope="module")
def attacked(besieged: Siege) -> Siege:
    """Play every attack."""
    besieged.play()
    return besieged


@pytest.fixture(scope="session")
def shown() -> Shown:
    """Play every attack once without a sandbox."""
    if bubblewrap.find() is None:
        pytest.skip("the control needs bubblewrap")
    done = subprocess.run(
        command("tests.attacks.control", alone=True),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=False,
        text=True,
        timeout=CONTROL,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["attack"]: (line["word"], line["harm"]) for line in lines}
