"""The same for a daemon of an ordinary user: these tests again, as one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from p2pslinger.sandbox.confine import bubblewrap
from tests.attacks.stranger import command

#: Seconds for the run.
PATIENCE = 230


@pytest.mark.skipif(os.getuid() != 0, reason="an ordinary user's already")
@pytest.mark.skipif(bubblewrap.find() is None, reason="needs bubblewrap")
def test_a_daemon_of_an_ordinary_user_is_attacked_in_vain() -> None:
    here = Path(__file__).parent
    names = ("attacks", "answers", "slots", "other_pythons")
    files = [str(here / f"test_{name}.py") for name in names]
    without_control = ("-k", "not without_a_sandbox")
    words = ("pytest", "-q", "-p", "no:cacheprovider", *without_control, *files)
    done = subprocess.run(
        command(*words, alone=False),
        cwd=here.parents[1],
        capture_output=True,
        check=False,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
