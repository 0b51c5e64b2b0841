"""A slot of another Python is confined like one of the daemon's own."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from p2pslinger.errors import UnavailableError
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.confine.privileges import CAP_DAC_READ_SEARCH, FIRST_USER
from p2pslinger.sandbox.slot import Failure
from tests.attacks import arsenal, bombs, processes
from tests.attacks.arsenal import ATTACKS
from tests.attacks.scene import scene
from tests.sandbox.desk import Desk, Worker, another, at_a_desk, source

#: Bytes that the slot may have.
MEMORY = 1 << 28

#: Calls an attack by its name: what was pickled here can't be read there.
PLAY = """
def play(task):
    from types import SimpleNamespace
    name, sights = task
    return globals()[name](SimpleNamespace(**sights))
"""


def as_source() -> str:
    """Return all attacks as one source text."""
    lines = ["from __future__ import annotations", "Sights = object"]
    for module in (bombs, processes, arsenal):
        assert module.__file__ is not None
        tree = ast.parse(Path(module.__file__).read_text())
        lines += [ast.unparse(node) for node in tree.body if not is_ours(node)]
    return "\n".join([*lines, PLAY])


def is_ours(node: ast.stmt) -> bool:
    """Tell whether a statement imports what is in the same text."""
    module = node.module if isinstance(node, ast.ImportFrom) else ""
    return module is not None and module.startswith(("tests.", "__future__"))


def test_attacks_by_a_slot_of_another_python_are_refused(
    confinement: Confinement,
) -> None:
    interpreter = another()
    if interpreter is None:
        pytest.skip("this machine has no other Python")

    async def scenario(desk: Desk) -> None:
        try:
            worker = await desk.worker(
                memory=MEMORY, confinement=confinement, interpreter=interpreter
            )
        except UnavailableError as error:
            pytest.skip(f"no such slot here: {error}")
        assert is_nobodys(worker)
        with scene() as stage:
            tasks = [(one.__name__, vars(stage.sights)) for one in ATTACKS]
            became = await worker.compute(source(as_source(), "play"), tasks)
            assert stage.harm() == []
        for (attack, kinds), failure in zip(ATTACKS.items(), became, strict=True):
            assert isinstance(failure, Failure), (attack.__name__, failure)
            assert failure.type in kinds, (attack.__name__, failure.message)

    at_a_desk(scenario)


def is_nobodys(worker: Worker) -> bool:
    """Tell whether a slot's user owns nothing, or is the one who runs this."""
    lines = Path(f"/proc/{worker.slot.pid}/status").read_text().splitlines()
    said = dict(line.split(":", 1) for line in lines)
    users = {int(word) for word in said["Uid"].split()}
    reads = int(said["CapEff"], 16) & ~(1 << CAP_DAC_READ_SEARCH)
    alone = users == {os.getuid()} if os.getuid() else min(users) >= FIRST_USER
    return alone and reads == 0 and "1" in said["NoNewPrivs"]
