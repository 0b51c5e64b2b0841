"""The seccomp filter, run by a little interpreter of the kernel's own language."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from p2pslinger.sandbox.confine import bpf, seccomp
from p2pslinger.sandbox.confine.bpf import ALLOW, INSTRUCTION, KILL, REFUSE
from p2pslinger.sandbox.confine.syscalls import MACHINES, NEWEST, NUMBERS

OWN = 77

EPERM, ENOSYS = REFUSE | errno.EPERM, REFUSE | errno.ENOSYS

THREAD = 0x3D0F00  # what pthread_create asks of clone()
CHILD = 0x1200011  # what fork() asks of it


def verdict(
    name: str, *arguments: int, machine: str = "x86_64", writing: bool = True
) -> int:
    """Return what the filter says about a call by its name."""
    _, column = MACHINES[machine]
    number = NUMBERS[name][column]
    assert number is not None
    return judged(number, *arguments, machine=machine, writing=writing)


def judged(
    number: int, *arguments: int, machine: str = "x86_64", writing: bool = True
) -> int:
    """Return what the filter says about a call by its number."""
    code, column = MACHINES[machine]
    program = seccomp.program(code, column, own=OWN, writing=writing)
    padded = (*arguments, *[0] * (6 - len(arguments)))
    return run(program, struct.pack("<IIQ6Q", number, code, 0, *padded))


def run(program: bytes, data: bytes) -> int:
    """Run a filter as the kernel does."""
    code = list(INSTRUCTION.iter_unpack(program))
    at = word = 0
    while True:
        operation, if_true, if_false, constant = code[at]
        at += 1
        if operation == bpf._RETURN:
            return int(constant)
        if operation == bpf._LOAD:
            (word,) = struct.unpack_from("<I", data, constant)
            continue
        holds = {
            bpf._IF_EQUAL: word == constant,
            bpf._IF_AT_LEAST: word >= constant,
            bpf._IF_ANY_BIT: bool(word & constant),
        }[operation]
        at += if_true if holds else if_false


def test_the_usual_calls_are_allowed() -> None:
    read, write, futex, mmap = 0, 1, 202, 9
    for number in (read, write, futex, mmap):
        assert judged(number) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("purpose", seccomp.NEVER)
def test_whatever_is_never_done_is_refused(purpose: str, machine: str) -> None:
    names = seccomp.NEVER[purpose].split()
    column = MACHINES[machine][1]
    known = [name for name in names if NUMBERS[name][column] is not None]
    assert known or machine == "aarch64"
    assert {verdict(name, machine=machine) for name in known} <= {EPERM}


def test_what_has_a_fallback_is_refused_as_if_it_did_not_exist() -> None:
    assert {verdict(name) for name in seccomp.ABSENT.split()} == {ENOSYS}


def test_calls_newer_than_the_table_do_not_exist() -> None:
    assert judged(NEWEST) == ALLOW
    assert judged(NEWEST + 1) == ENOSYS
    assert judged(0x40000000) == ENOSYS, "those of the x32 kind"


def test_calls_in_the_manner_of_another_machine_are_fatal() -> None:
    code, column = MACHINES["x86_64"]
    program = seccomp.program(code, column, own=OWN, writing=True)
    i386 = 0x40000003
    assert run(program, struct.pack("<IIQ6Q", 4, i386, 0, *[0] * 6)) == KILL


def test_threads_can_be_made_and_processes_can_not() -> None:
    new_user = 0x10000000
    assert verdict("clone", THREAD) == ALLOW
    assert verdict("clone", CHILD) == EPERM
    assert verdict("clone", THREAD | new_user) == EPERM


def test_one_may_signal_and_limit_oneself_only() -> None:
    assert verdict("kill", OWN, 9) == ALLOW
    assert verdict("tgkill", OWN, OWN, 6) == ALLOW
    assert verdict("prlimit64", 0, 7) == ALLOW
    assert verdict("prlimit64", OWN, 7) == ALLOW
    for other in (0, 1, OWN + 1, 2**32 - 1):
        assert verdict("kill", other, 9) == EPERM
        assert verdict("tgkill", other, OWN, 9) == EPERM
    assert verdict("prlimit64", OWN + 1, 7) == EPERM
    assert verdict("getsid", OWN + 1) == EPERM


def test_sockets_come_in_pairs_that_can_not_be_aimed() -> None:
    unix, inet, stream, datagram, cloexec = 1, 2, 1, 2, 0x80000
    assert verdict("socketpair", unix, stream | cloexec) == ALLOW
    assert verdict("socketpair", unix, datagram | cloexec) == EPERM
    assert verdict("socketpair", inet, stream) == EPERM
    assert verdict("sendto", 3, 4096, 10, 0, 0) == ALLOW, "that is send()"
    assert verdict("sendto", 3, 4096, 10, 0, 0x7FFF0000) == EPERM
    assert verdict("sendto", 3, 4096, 10, 0, 0x7FFF00000000) == EPERM


def test_descriptors_send_no_signals_and_terminals_take_no_words() -> None:
    get_flags, set_owner, push, window_size = 3, 8, 0x5412, 0x5413
    assert verdict("fcntl", 3, get_flags) == ALLOW
    assert verdict("fcntl", 3, set_owner) == EPERM
    assert verdict("ioctl", 0, window_size) == ALLOW
    assert verdict("ioctl", 0, push) == EPERM


def test_a_process_may_name_itself_but_not_untie_its_bond() -> None:
    death_signal, name = 1, 15
    assert verdict("prctl", name) == ALLOW
    assert verdict("prctl", death_signal) == EPERM


def test_where_nothing_is_written_nothing_is_changed() -> None:
    for name in seccomp.CHANGING.split():
        assert verdict(name, writing=False) == EPERM
        assert verdict(name, writing=True) == ALLOW


HEADERS = {
    "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
    "aarch64": "/usr/include/asm-generic/unistd.h",
}


@pytest.mark.parametrize("machine", HEADERS)
def test_the_numbers_are_the_kernels(machine: str) -> None:
    header = Path(HEADERS[machine])
    if not header.exists():
        pytest.skip(f"needs the kernel's headers: {header}")
    lines = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())
    theirs = {name: int(number) for name, number in lines}
    column = MACHINES[machine][1]
    ours = {name: both[column] for name, both in NUMBERS.items()}
    shared = {name for name in ours if name in theirs}
    assert {n: ours[n] for n in shared} == {n: theirs[n] for n in shared}
    newer = {name for name in ours if name not in theirs and ours[name]}
    assert newer <= {"fchmodat2"}


@pytest.mark.parametrize("writing", [True, False])
def test_the_filter_is_short_enough_for_the_kernel(writing: bool) -> None:
    most = 4096
    for code, column in MACHINES.values():
        program = seccomp.program(code, column, own=OWN, writing=writing)
        assert len(program) // INSTRUCTION.size < most
