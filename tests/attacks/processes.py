"""Attacks on other processes: the owner's, the peer, other slots, what makes them."""

# An attack names the system call that it is about.
# ruff: noqa: PTH123, PTH208

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
import signal
import socket
from pathlib import Path

from tests.attacks.bombs import kernel
from tests.attacks.scene import Sights


def end_a_program(at: Sights) -> object:
    os.kill(at.victim, signal.SIGTERM)
    return "ended"


def end_a_program_by_thread(at: Sights) -> object:
    return kernel("tgkill", at.victim, at.victim, signal.SIGKILL)


def end_a_program_by_handle(at: Sights) -> object:
    signal.pidfd_send_signal(os.pidfd_open(at.victim), signal.SIGKILL)
    return "ended"


def end_a_program_by_owning_a_pipe(at: Sights) -> object:
    """Have the kernel send SIGIO, which ends whoever does not expect it."""
    ours, theirs = socket.socketpair()
    fcntl.fcntl(ours, fcntl.F_SETOWN, at.victim)
    fcntl.fcntl(ours, fcntl.F_SETFL, os.O_ASYNC)
    theirs.send(b"x")
    return "ended"


def end_the_parent(at: Sights) -> object:
    os.kill(os.getppid(), signal.SIGCONT)
    return "it could have been SIGKILL"


def end_everybody(at: Sights) -> object:
    """Send a signal that harms nobody to all processes at once."""
    os.kill(-1, signal.SIGCONT)
    return "it could have been SIGKILL"


def trace_a_program(at: Sights) -> object:
    return kernel("ptrace", 16, at.victim, None, None)  # PTRACE_ATTACH


def read_a_programs_memory(at: Sights) -> object:
    with open(f"/proc/{at.victim}/maps") as file:
        first = int(file.readline().split("-")[0], 16)
    buffer = ctypes.create_string_buffer(8)
    here = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 8)
    there = (ctypes.c_size_t * 2)(first, 8)
    return kernel("process_vm_readv", at.victim, here, 1, there, 1, 0)


def read_a_programs_environment(at: Sights) -> object:
    return Path(f"/proc/{at.victim}/environ").read_bytes()


def list_processes(at: Sights) -> object:
    return [name for name in os.listdir("/proc") if name.isdigit()]


def find_a_process_by_its_session(at: Sights) -> object:
    return os.getsid(at.victim)


def write_a_programs_memory(at: Sights) -> object:
    with open(f"/proc/{at.victim}/maps") as file:
        first = int(file.readline().split("-")[0], 16)
    with open(f"/proc/{at.victim}/mem", "r+b", buffering=0) as memory:
        memory.seek(first)
        same = memory.read(1)
        memory.seek(first)
        return memory.write(same)


def look_into_siblings(at: Sights) -> object:
    """Open what other slots have open: their sockets, shared memory, blobs."""
    found: list[object] = []
    for pid in at.siblings:
        for folder in ("fd", "map_files", "cwd", "root", "environ", "mem"):
            try:
                path = f"/proc/{pid}/{folder}"
                if folder in {"fd", "map_files", "cwd", "root"}:
                    found.append(os.listdir(path))
                else:
                    found.append(os.open(path, os.O_RDONLY))
            except OSError:
                pass
    if not found:
        raise PermissionError(errno.EPERM, "no sibling can be looked into")
    return found


def stop_siblings(at: Sights) -> object:
    """Send other slots, and what makes them, a signal that harms nobody."""
    reached = []
    for pid in at.siblings:
        try:
            os.kill(pid, signal.SIGCONT)
            reached.append(pid)
        except OSError:
            pass
    if not reached:
        raise PermissionError(errno.EPERM, "no sibling can be reached")
    return reached


def take_a_siblings_descriptor(at: Sights) -> object:
    pidfd = os.pidfd_open(at.siblings[0])
    libc = ctypes.CDLL(None, use_errno=True)
    taken = libc.syscall(438, pidfd, 0, 0)  # pidfd_getfd
    if taken < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return taken


def slow_a_program(at: Sights) -> object:
    os.setpriority(os.PRIO_PROCESS, at.victim, 19)
    return "slowed"


def pin_a_program(at: Sights) -> object:
    os.sched_setaffinity(at.victim, {0})
    return "pinned"


def limit_a_program(at: Sights) -> object:
    return resource.prlimit(at.victim, resource.RLIMIT_CPU)
