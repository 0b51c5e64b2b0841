"""Attacks, each an ordinary task: a function of what there is to get at.

An attack returns what it has got. One that is refused raises, or ends its process. Each
is bounded, so that it does no harm where nothing stops it.
"""

# An attack names the system call that it is about.
# ruff: noqa: PTH101, PTH104, PTH108, PTH123, PTH208

from __future__ import annotations

import ctypes
import fcntl
import gc
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from tests.attacks.bombs import (
    be_in_another_namespace,
    become_a_program,
    fill_the_disk,
    fill_the_disk_with_names,
    fork_bomb,
    heap_bomb,
    keep_a_key,
    kernel,
    leave_a_daemon,
    lift_the_limits,
    memfd_bomb,
    run_a_program,
    shared_memory_bomb,
    swap_in_segments,
    thread_bomb,
)
from tests.attacks.scene import Sights

# --- files ------------------------------------------------------------------------


def read_the_key(at: Sights) -> object:
    return Path(at.key).read_text()


def list_the_folder(at: Sights) -> object:
    return os.listdir(at.folder)


def write_a_file(at: Sights) -> object:
    return Path(at.folder, "new").write_text("x")


def truncate_the_key(at: Sights) -> object:
    return os.open(at.key, os.O_RDONLY | os.O_TRUNC)


def truncate_by_path(at: Sights) -> object:
    os.truncate(at.key, 0)
    return "truncated"


def delete_the_key(at: Sights) -> object:
    os.unlink(at.key)
    return "deleted"


def rename_the_key(at: Sights) -> object:
    os.rename(at.key, at.key + ".old")
    return "renamed"


def open_the_key_to_all(at: Sights) -> object:
    os.chmod(at.key, 0o666)
    return "opened"


def link_the_key(at: Sights) -> object:
    os.link(at.key, at.key + ".link")
    return "linked"


def watch_the_folder(at: Sights) -> object:
    watcher = kernel("inotify_init1", 0)
    return kernel("inotify_add_watch", watcher, at.folder.encode(), 0xFFF)


def read_by_an_inherited_descriptor(at: Sights) -> object:
    return os.pread(at.descriptor, 100, 0)


def read_by_any_descriptor(at: Sights) -> object:
    """Look behind every descriptor for something that is a file or a folder."""
    found = []
    for descriptor in range(3, 1000):
        try:
            found.append(os.pread(descriptor, 100, 0))
        except OSError:
            pass
    if not any(found):
        raise PermissionError("nothing is behind any descriptor")
    return found


def read_the_environment(at: Sights) -> object:
    return os.environ["SLINGER_AUTHKEY"]


# --- the network ------------------------------------------------------------------


def connect(at: Sights) -> object:
    return socket.create_connection(("127.0.0.1", at.tcp), timeout=2).getpeername()


def send_a_datagram(at: Sights) -> object:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        return sock.sendto(b"x", ("127.0.0.1", at.udp))


def listen(at: Sights) -> object:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()


def write_to_a_service(at: Sights) -> object:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        return sock.sendto(b"x", at.path)


def aim_a_pair_at_a_service(at: Sights) -> object:
    """A filter does not see where sendmsg() aims, so such a pair must not exist."""
    ours, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return ours.sendmsg([b"x"], [], 0, at.path)


def connect_to_an_abstract_socket(at: Sights) -> object:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(f"\0{at.abstract}")
        return "connected"


def listen_to_the_kernel(at: Sights) -> object:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as sock:
        sock.bind((0, 0))
        return sock.getsockname()


# --- other processes --------------------------------------------------------------


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


def slow_a_program(at: Sights) -> object:
    os.setpriority(os.PRIO_PROCESS, at.victim, 19)
    return "slowed"


def pin_a_program(at: Sights) -> object:
    os.sched_setaffinity(at.victim, {0})
    return "pinned"


def limit_a_program(at: Sights) -> object:
    return resource.prlimit(at.victim, resource.RLIMIT_CPU)


# --- what must be named elsewhere -------------------------------------------------


def leave_notes(at: Sights) -> object:
    """Write a note wherever that is possible; see `find_notes`."""
    left = []
    for folder in _PLACES:
        try:
            Path(folder, at.token).write_text("a note")
            left.append(folder)
        except OSError:
            pass
    return left


def find_notes(at: Sights) -> object:
    """Return where a note of another slot's lies."""
    found = []
    for folder in _PLACES:
        try:
            Path(folder, at.token).read_text()
            found.append(folder)
        except OSError:
            pass
    return found


def loop_for_ever(at: Sights) -> object:
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGXCPU):
        signal.signal(name, signal.SIG_IGN)
    while True:
        pass


def speak_for_the_runner(at: Sights) -> object:
    """Say something to the daemon on every socket that there is."""
    for sock in [o for o in gc.get_objects() if isinstance(o, socket.socket)]:
        if sock.fileno() >= 0:
            sock.sendall(b"\xff" * 64)
    threading.Event().wait()
    return None


_PLACES = (
    *("/tmp", "/var/tmp", "/dev/shm", "/run", "/scratch", "/", ".", sys.prefix),
    str(Path(__file__).parent),
)

Attack = Callable[[Sights], object]

#: What an attack raises when the kernel refuses it. A file that is not there at all is
#: a FileNotFoundError, a process that can't be seen a ProcessLookupError.
ATTACKS: dict[Attack, set[str]] = {
    read_the_key: {"PermissionError", "FileNotFoundError"},
    list_the_folder: {"PermissionError", "FileNotFoundError"},
    write_a_file: {"PermissionError", "FileNotFoundError", "OSError"},
    truncate_the_key: {"PermissionError", "FileNotFoundError"},
    truncate_by_path: {"PermissionError", "FileNotFoundError"},
    delete_the_key: {"PermissionError", "FileNotFoundError"},
    rename_the_key: {"PermissionError", "FileNotFoundError"},
    open_the_key_to_all: {"PermissionError", "FileNotFoundError"},
    link_the_key: {"PermissionError", "FileNotFoundError"},
    watch_the_folder: {"PermissionError"},
    read_by_an_inherited_descriptor: {"OSError"},
    read_by_any_descriptor: {"PermissionError"},
    read_the_environment: {"KeyError"},
    connect: {"PermissionError"},
    send_a_datagram: {"PermissionError"},
    listen: {"PermissionError"},
    write_to_a_service: {"PermissionError"},
    aim_a_pair_at_a_service: {"PermissionError"},
    connect_to_an_abstract_socket: {"PermissionError"},
    listen_to_the_kernel: {"PermissionError"},
    end_a_program: {"PermissionError"},
    end_a_program_by_thread: {"PermissionError"},
    end_a_program_by_handle: {"OSError"},
    end_a_program_by_owning_a_pipe: {"PermissionError"},
    end_the_parent: {"PermissionError"},
    end_everybody: {"PermissionError"},
    trace_a_program: {"PermissionError"},
    read_a_programs_memory: {"PermissionError", "FileNotFoundError"},
    read_a_programs_environment: {"PermissionError", "FileNotFoundError"},
    list_processes: {"PermissionError"},
    find_a_process_by_its_session: {"PermissionError"},
    slow_a_program: {"PermissionError"},
    pin_a_program: {"PermissionError"},
    limit_a_program: {"PermissionError"},
    run_a_program: {"PermissionError"},
    become_a_program: {"PermissionError"},
    fork_bomb: {"PermissionError"},
    leave_a_daemon: {"PermissionError"},
    thread_bomb: {"RuntimeError", "MemoryError"},
    be_in_another_namespace: {"PermissionError"},
    lift_the_limits: {"ValueError"},
    heap_bomb: {"MemoryError"},
    shared_memory_bomb: {"OSError"},
    memfd_bomb: {"OSError"},
    fill_the_disk: {"OSError", "FileNotFoundError"},
    fill_the_disk_with_names: {"OSError", "FileNotFoundError"},
    swap_in_segments: {"PermissionError"},
    keep_a_key: {"PermissionError"},
}
