"""Control groups: version 1 for real where root may make them, version 2 on paper."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from p2pslinger.sandbox.confine import cgroups
from p2pslinger.sandbox.confine.confinement import Confinement
from tests.sandbox.desk import Desk, at_a_desk

MEMORY = 64 << 20

here = cgroups.find() if os.getuid() == 0 else None
needs_groups = pytest.mark.skipif(here is None, reason="needs control groups of root's")


def folders() -> list[Path]:
    """Return the groups that this process has made."""
    assert here is not None
    return [
        folder
        for parent in set(here._folders.values())
        for folder in Path(parent).glob(f"slinger-{os.getpid()}-*")
    ]


@needs_groups
def test_a_process_that_takes_more_memory_than_its_group_has_is_killed() -> None:
    assert here is not None
    begin, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(begin, 1)
        hoard = bytearray(MEMORY + 2 * cgroups.KERNEL)
        os._exit(len(hoard) > 0)
    here.put(1, child, MEMORY)
    os.write(go, b"x")
    _, status = os.waitpid(child, 0)
    here.remove(1)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    assert folders() == []


@needs_groups
def test_a_process_with_more_threads_than_its_group_has_gets_no_more() -> None:
    assert here is not None
    begin, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(begin, 1)
        os._exit(threads_possible())
    here.put(2, child, 1 << 30)
    os.write(go, b"x")
    _, status = os.waitpid(child, 0)
    here.remove(2)
    assert os.waitstatus_to_exitcode(status) == cgroups.TASKS - 1


def threads_possible() -> int:
    stop, started = threading.Event(), 0
    try:
        while started < 200:
            threading.Thread(target=stop.wait, daemon=True).start()
            started += 1
    except RuntimeError:
        pass
    return started


@needs_groups
@pytest.mark.parametrize("kind", [Confinement.GOOD, Confinement.STRONG])
def test_slots_for_others_have_groups_that_end_with_them(kind: Confinement) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.worker()
        assert folders() == []
        worker = await desk.worker(confinement=kind)
        assert folders()
        members = {(f / "cgroup.procs").read_text().strip() for f in folders()}
        assert members == {str(worker.slot.pid)}

    at_a_desk(scenario)
    assert folders() == []


@needs_groups
def test_the_group_of_a_polite_slot_gets_what_nobody_else_wants() -> None:
    def classes() -> set[str]:
        files = [folder / "cpu.idle" for folder in folders()]
        return {file.read_text().strip() for file in files if file.exists()}

    async def scenario(desk: Desk) -> None:
        await desk.worker(confinement=Confinement.GOOD)
        if not classes():
            pytest.skip("needs a kernel with idle groups")
        assert classes() == {idle}

    idle = "0"
    at_a_desk(scenario)
    idle = "1"
    at_a_desk(scenario, polite=True)


@needs_groups
def test_a_slot_that_is_killed_is_hurried_to_its_end() -> None:
    async def scenario(desk: Desk) -> None:
        worker = await desk.worker(confinement=Confinement.GOOD)
        if not classes():
            pytest.skip("needs a kernel with idle groups")
        (file,) = classes()
        assert file.read_text() == "1\n"
        worker.slot.suspend()
        worker.slot.kill()
        assert file.read_text() == "0\n"
        await worker.exit()

    def classes() -> list[Path]:
        return [f / "cpu.idle" for f in folders() if (f / "cpu.idle").exists()]

    at_a_desk(scenario, polite=True)


# --- version 2, as files ----------------------------------------------------------


def delegated(
    tmp_path: Path, *, path: str = "/user/peer", members: tuple[int, ...] = ()
) -> cgroups.Groups | None:
    """Look for groups in a folder that looks like a mounted version 2."""
    group = tmp_path / "mounted" / path[1:]
    group.mkdir(parents=True, exist_ok=True)
    (group / "cgroup.controllers").write_text("cpu memory pids\n")
    (group / "cgroup.subtree_control").touch()
    inside = members or (os.getpid(),)
    (group / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in inside))
    (tmp_path / "mine").write_text(f"0::{path}\n")
    return cgroups.find(str(tmp_path / "mounted"), str(tmp_path / "mine"))


def test_the_daemon_moves_down_and_each_slot_gets_a_group(tmp_path: Path) -> None:
    groups = delegated(tmp_path)
    assert groups is not None
    group = tmp_path / "mounted/user/peer"
    daemon = group / "slinger-daemon/cgroup.procs"
    assert daemon.read_text() == str(os.getpid())
    asked = (group / "cgroup.subtree_control").read_text()
    assert asked in {"+memory +pids", "+cpu"}  # a real one adds them up

    groups.put(7, 4242, MEMORY)
    slot = group / f"slinger-{os.getpid()}-7"
    assert (slot / "memory.max").read_text() == str(MEMORY + cgroups.KERNEL)
    assert (slot / "pids.max").read_text() == str(cgroups.TASKS)
    assert (slot / "cgroup.procs").read_text() == "4242"
    assert not (slot / "cpu.idle").exists()


def test_a_slot_that_comes_last_does_so_as_a_group(tmp_path: Path) -> None:
    groups = delegated(tmp_path)
    assert groups is not None
    groups.put(7, 4242, MEMORY, last=True)
    slot = tmp_path / "mounted/user/peer" / f"slinger-{os.getpid()}-7"
    assert (slot / "cpu.idle").read_text() == "1"
    groups.hurry(7)  # it is killed: that takes processor time, too
    assert (slot / "cpu.idle").read_text() == "0"
    groups.hurry(8)  # there is none


def test_a_daemon_that_has_moved_down_knows_its_place(tmp_path: Path) -> None:
    assert delegated(tmp_path, path="/user/peer/slinger-daemon") is not None
    assert not (tmp_path / "mounted/user/peer/slinger-daemon/slinger-daemon").exists()


def test_a_group_with_others_in_it_is_left_alone(tmp_path: Path) -> None:
    assert delegated(tmp_path, members=(1, os.getpid())) is None
    assert not (tmp_path / "mounted/user/peer/slinger-daemon").exists()


def test_groups_that_a_killed_daemon_has_left_are_removed(tmp_path: Path) -> None:
    left = tmp_path / "mounted/user/peer" / "slinger-4194304-1"
    left.mkdir(parents=True)
    groups = delegated(tmp_path)
    assert groups is not None
    groups.remove(1)
    assert not left.exists()


def test_without_control_groups_there_are_none(tmp_path: Path) -> None:
    assert cgroups.find(str(tmp_path), str(tmp_path / "mine")) is None
    (tmp_path / "mine").write_text("5:memory:/\n0::/\n")
    assert cgroups.find(str(tmp_path), str(tmp_path / "mine")) is None
