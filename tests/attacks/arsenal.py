"""Attacks, each an ordinary task: a function of what there is to get at.

An attack returns what it has got. One that is refused raises, or ends its process. Each
is bounded, so that it does no harm where nothing stops it.
"""

# An attack names the system call that it is about.
# ruff: noqa: PTH101, PTH104, PTH108, PTH208

from __future__ import annotations

import ctypes
import errno
import gc
import os
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
    take_all_contexts,
    thread_bomb,
)
from tests.attacks.processes import (
    end_a_program,
    end_a_program_by_handle,
    end_a_program_by_owning_a_pipe,
    end_a_program_by_thread,
    end_everybody,
    end_the_parent,
    find_a_process_by_its_session,
    limit_a_program,
    list_processes,
    look_into_siblings,
    pin_a_program,
    read_a_programs_environment,
    read_a_programs_memory,
    slow_a_program,
    stop_siblings,
    take_a_siblings_descriptor,
    trace_a_program,
    write_a_programs_memory,
)
from tests.attacks.scene import Sights


def double(x: int) -> int:
    """Do no harm."""
    return 2 * x


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
        raise PermissionError(errno.EPERM, "nothing is behind any descriptor")
    return found


def read_the_environment(at: Sights) -> object:
    return os.environ["OWNERS_SECRET"]


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


def connect_to_a_service(at: Sights) -> object:
    """As a program connects to its machine's peer."""
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM)
    for kind in kinds:
        with socket.socket(socket.AF_UNIX, kind) as sock:
            try:
                sock.connect(at.path)
            except ConnectionError:
                continue  # it is of the other kind
            except OSError as error:
                if error.errno != errno.EPROTOTYPE:
                    raise
                continue
            return "connected"
    raise AssertionError("there is no service")


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


def stop_oneself(at: Sights) -> object:
    os.kill(os.getpid(), signal.SIGSTOP)
    return "stopped"


def crash(at: Sights) -> object:
    return ctypes.string_at(0)


def leave_threads(at: Sights) -> object:
    """Leave threads behind that compute on after the task."""

    def compute() -> None:
        while True:
            pass

    for _ in range(THREADS_LEFT):
        threading.Thread(target=compute, daemon=True).start()
    return THREADS_LEFT


def speak_for_the_runner(at: Sights) -> object:
    """Say something to the daemon on every socket that there is."""
    for sock in [o for o in gc.get_objects() if isinstance(o, socket.socket)]:
        if sock.fileno() >= 0:
            sock.sendall(b"\xff" * 64)
    threading.Event().wait()
    return None


#: Threads that a task leaves behind.
THREADS_LEFT = 4

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
    connect_to_a_service: {"PermissionError"},
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
    write_a_programs_memory: {"PermissionError", "FileNotFoundError"},
    look_into_siblings: {"PermissionError"},
    stop_siblings: {"PermissionError"},
    take_a_siblings_descriptor: {"OSError", "PermissionError"},
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
    take_all_contexts: {"OSError"},
    keep_a_key: {"PermissionError"},
}

#: Those that are played on the peer's own things as well: its identity, its folder, its
#: process, its control socket, its other slots.
AT_HOME = (
    read_the_key,
    list_the_folder,
    write_a_file,
    truncate_the_key,
    delete_the_key,
    open_the_key_to_all,
    write_to_a_service,
    connect_to_a_service,
    aim_a_pair_at_a_service,
    end_a_program,
    end_a_program_by_handle,
    end_a_program_by_owning_a_pipe,
    trace_a_program,
    read_a_programs_memory,
    write_a_programs_memory,
    read_a_programs_environment,
    look_into_siblings,
    stop_siblings,
    take_a_siblings_descriptor,
    slow_a_program,
    limit_a_program,
)
