"""Which sandbox is good enough to compute a task once more."""

from __future__ import annotations

from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.level import Finding, Level
from p2pslinger.sandbox.replay import memory_for, refused
from p2pslinger.wire.replay import Rerun

NO_LANDLOCK = ("strong: no bwrap", "good: no Landlock")
WEAK = Finding(Level.WEAK, Confinement.WEAK, NO_LANDLOCK)


def test_a_strangers_task_is_not_run_in_a_sandbox_that_does_not_hold_it() -> None:
    assert "(strong: no bwrap; good: no Landlock)" in refused(WEAK, ours=False)
    assert "--at-home" in refused(WEAK, ours=False)


def test_a_task_of_this_machine_is_run_in_any_sandbox_but_in_none() -> None:
    none = Finding(Level.NONE, None, ("weak: no fork",))

    assert refused(WEAK, ours=True) == ""
    assert refused(none, ours=True) == "weak: no fork"


def test_a_good_sandbox_is_good_for_everybody() -> None:
    good = Finding(Level.GOOD, Confinement.GOOD, ("strong: no bwrap",))

    assert refused(good, ours=False) == ""


def test_a_strangers_task_gets_no_more_memory_than_half_the_machine_has() -> None:
    def gets(memory: int | None, *, ours: bool) -> int:
        task = Rerun(b"", 0, b"", 0, 0, "", None, None, memory, {}, False, ours)
        return memory_for(task, 4 << 30)

    assert gets(None, ours=False) == 4 << 30
    assert gets(1 << 50, ours=False) == 4 << 30
    assert gets(1 << 30, ours=False) == 1 << 30
    assert gets(6 << 30, ours=True) == 6 << 30
