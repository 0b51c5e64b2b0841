"""A job that requires what one interpreter of a peer has runs on that interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import p2pslinger as slinger
from p2pslinger.client.grid import Grid
from tests.grid.place import Place, until

#: Says where it runs, and what is installed there alone.
SOURCE = """
import sys
def where(_):
    import onlyhere
    return [sys.prefix, onlyhere.VALUE]
"""


def make_environment(folder: Path) -> Path:
    """Make a virtual environment with one package, and nothing of ours."""
    command = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(command, check=True, timeout=60)
    python = "python{}.{}".format(*sys.version_info)
    packages = folder / "lib" / python / "site-packages"
    (packages / "onlyhere.py").write_text("VALUE = 7\n")
    about = packages / "onlyhere-3.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Name: onlyhere\nVersion: 3.1\n")
    return folder / "bin" / "python"


def run(grid: Grid, count: int) -> list[object]:
    return list(grid.map_source(SOURCE, "where", range(count), timeout=60))


def test_tasks_run_where_their_packages_are(place: Place) -> None:
    python = make_environment(place.folder / "environment")
    ann = place.peer("data", "--slots", "0", SLINGER_AUTHKEY=place.key)
    place.volunteer("bob", ann, SLINGER_PYTHONS=str(python))
    with slinger.connect(data=ann.data, requires=["onlyhere>=3"]) as grid:
        here = [str(python.parent.parent), 7]
        assert run(grid, 3) == [here] * 3
    with slinger.connect(data=ann.data, requires=["onlyhere>=4"]) as grid:
        job = grid.start(abs, [-1], keepers=0)
        until(lambda: (found := job.why().reason) is not None and found.peers == 2)
        reason = job.why().reason
        assert reason is not None
        assert reason.code == "no-package"
        job.cancel()
