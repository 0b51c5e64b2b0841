"""Each means by itself, in a process of its own."""

from __future__ import annotations

import os
import resource
import signal
import socket
import threading
from pathlib import Path

import pytest

from p2pslinger.sandbox.confine import (
    descriptors,
    kernel,
    landlock,
    priority,
    privileges,
    rlimits,
    seccomp,
)
from p2pslinger.sandbox.confine.confinement import Confinement, ConfinementError
from p2pslinger.sandbox.confine.kinship import die_with_parent
from p2pslinger.sandbox.confine.recipe import Bounds, confine
from tests.sandbox.child import in_a_child

NOBODY = privileges.FIRST_USER

PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS = 3, 39

needs_landlock = pytest.mark.skipif(
    landlock.version() < landlock.TRUNCATION, reason="needs Landlock"
)
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root")


def held() -> int:
    """Return the capabilities of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(x.split()[1], 16) for x in lines if x.startswith("CapEff"))


def descriptors_here() -> set[int]:
    """Return the descriptors of this process."""
    return {int(path.name) for path in Path("/proc/self/fd").iterdir()}


# --- descriptors, privileges, priority --------------------------------------------


def test_all_descriptors_are_closed_but_ones_own() -> None:
    def task() -> None:
        descriptors.close_others(descriptors_here() - set(opened))
        for descriptor in opened:
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(descriptor)

    opened = [*os.pipe(), *os.pipe()]
    try:
        in_a_child(task)
    finally:
        for descriptor in opened:
            os.close(descriptor)


def test_no_new_privileges_and_no_look_inside() -> None:
    def task() -> tuple[int, int]:
        privileges.gain_nothing()
        privileges.hide_memory()
        return kernel.prctl(PR_GET_NO_NEW_PRIVS), kernel.prctl(PR_GET_DUMPABLE)

    assert in_a_child(task) == (1, 0)


@needs_root
def test_a_user_of_ones_own_has_no_groups_and_no_capabilities() -> None:
    def task() -> object:
        privileges.become(NOBODY)
        return os.getresuid(), os.getresgid(), os.getgroups(), held()

    three = (NOBODY, NOBODY, NOBODY)
    assert in_a_child(task) == (three, three, [], 0)


@needs_root
def test_the_right_to_read_is_all_that_may_be_kept() -> None:
    def task() -> int:
        privileges.become(NOBODY, searching=True)
        return held()

    assert in_a_child(task) == 1 << privileges.CAP_DAC_READ_SEARCH


@needs_root
def test_a_root_that_may_not_lend_the_right_to_read_stays_what_it_is() -> None:
    def task() -> tuple[str, int]:
        privileges.hold(6, 7)  # CAP_SETGID, CAP_SETUID
        try:
            privileges.become(NOBODY, searching=True)
        except OSError as error:
            return str(error), os.getuid()
        return "", os.getuid()

    said = in_a_child(task)
    assert isinstance(said, tuple)
    assert "install it elsewhere" in said[0]
    assert said[1] == 0


def test_no_two_slots_of_a_machine_have_one_user() -> None:
    daemons, numbers = (300, 301, 4095), range(1, 200)
    users = {privileges.user_of_slot(d, n) for d in daemons for n in numbers}
    assert len(users) == len(daemons) * len(numbers)
    assert all(NOBODY <= user < 2**31 for user in users)


def test_where_there_are_few_users_slots_are_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    few = tmp_path / "uid_map"
    few.write_text("0 1000 1\n1 100000 65535\n")
    monkeypatch.setattr(privileges, "open", lambda path: few.open(), raising=False)
    assert privileges.user_of_slot(300, 1) == privileges.NOBODY


def test_the_idle_class_is_taken() -> None:
    def task() -> object:
        priority.be_last()
        return os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)

    assert in_a_child(task) == (os.SCHED_IDLE, priority.NICEST)


def test_a_process_whose_parent_has_gone_already_ends_too() -> None:
    def task() -> None:
        die_with_parent(os.getppid() + 1, signal.SIGKILL)

    with pytest.raises(AssertionError, match="ended with -9"):
        in_a_child(task)


# --- limits -----------------------------------------------------------------------


def test_memory_is_limited_in_data_and_in_what_is_mapped() -> None:
    def task() -> None:
        rlimits.limit_memory(1 << 28, 1 << 27)
        with pytest.raises(MemoryError):
            bytearray(1 << 28)
        assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)

    in_a_child(task)


def test_what_else_can_be_hoarded_is_limited() -> None:
    def task() -> None:
        rlimits.limit_the_rest(running=10_000, file_bytes=10)
        with pytest.raises(OSError, match="Too many open files"):
            [os.dup(0) for _ in range(rlimits.FILES + 1)]

    in_a_child(task)


@needs_root
def test_threads_of_a_user_are_limited() -> None:
    def task() -> int:
        privileges.become(NOBODY)
        rlimits.limit_the_rest(running=0, file_bytes=0)
        stop, started = threading.Event(), 0
        try:
            for _ in range(rlimits.THREADS + 1):
                threading.Thread(target=stop.wait).start()
                started += 1
        except RuntimeError:
            pass
        stop.set()
        return started

    assert in_a_child(task) == rlimits.THREADS - 1


def test_the_threads_of_a_user_are_counted() -> None:
    def task() -> int:
        before = rlimits.tasks_of(os.getuid())
        stop = threading.Event()
        for _ in range(100):
            threading.Thread(target=stop.wait).start()
        more = rlimits.tasks_of(os.getuid()) - before
        stop.set()
        return more

    more = in_a_child(task)
    assert isinstance(more, int)
    assert more > 50, "others of this user come and go meanwhile"
    assert rlimits.tasks_of(NOBODY - 1) == 0


# --- Landlock and the filter ------------------------------------------------------


@needs_landlock
def test_files_can_be_opened_where_that_is_allowed_and_nowhere_else(
    tmp_path: Path,
) -> None:
    for name in ("read", "write", "secret"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)

    def task() -> None:
        read, write, secret = (tmp_path / n for n in ("read", "write", "secret"))
        privileges.gain_nothing()
        landlock.restrict(
            readable=[str(read), "/no/such/path"], writable=[str(write), "/dev/null"]
        )
        assert (read / "file").read_text() == "read"
        (write / "new").write_text("x")
        Path("/dev/null").write_text("x")
        for refused in (
            (secret / "file").read_text,
            lambda: (read / "file").write_text("x"),
            lambda: os.truncate(read / "file", 0),
            (read / "new").touch,
            lambda: os.scandir(secret),
            lambda: (write / "file").rename(secret / "x"),
        ):
            with pytest.raises(OSError, match=r"Permission denied|cross-device"):
                refused()

    in_a_child(task)


@needs_landlock
def test_an_old_landlock_is_not_taken_for_a_new_one() -> None:
    landlock.require(landlock.version())
    with pytest.raises(OSError, match="version"):
        landlock.require(landlock.version() + 1)


def test_the_filter_is_in_force_for_threads_too() -> None:
    def task() -> list[str]:
        privileges.gain_nothing()
        seccomp.refuse(own=os.getpid(), writing=False)
        said: list[str] = []

        def tries() -> None:
            try:
                socket.socket()
            except PermissionError as error:
                said.append(str(error))

        thread = threading.Thread(target=tries)
        thread.start()
        thread.join()
        return said

    said = in_a_child(task)
    assert isinstance(said, list)
    assert len(said) == 1


def test_a_call_that_the_kernel_does_not_have_raises_with_its_name() -> None:
    with pytest.raises(OSError, match="syscall"):
        kernel.syscall(100_000)


# --- the recipe -------------------------------------------------------------------


def confine_all_but_the_test(confinement: Confinement) -> None:
    kept = descriptors_here()
    confine(Bounds(confinement, 1 << 28, 0, os.getppid(), kept=kept))


def test_a_means_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(**_: object) -> None:
        raise PermissionError("not on this kernel")

    monkeypatch.setattr(seccomp, "refuse", refuses)
    with pytest.raises(ConfinementError, match="seccomp: not on this kernel"):
        in_a_child(lambda: confine_all_but_the_test(Confinement.STRONG))


def test_weak_confinement_goes_on_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(**_: object) -> None:
        raise PermissionError("not on this kernel")

    def task() -> int:
        confine_all_but_the_test(Confinement.WEAK)
        socket.socket().close()
        return kernel.prctl(PR_GET_NO_NEW_PRIVS)

    monkeypatch.setattr(seccomp, "refuse", refuses)
    assert in_a_child(task) == 1
