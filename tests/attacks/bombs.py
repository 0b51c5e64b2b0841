"""Attacks that take more than their share: processes, threads, memory, disk.

Each is bounded, so that it does no harm where nothing stops it.
"""

# An attack names the system call that it is about.
# ruff: noqa: PTH123

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import signal
import subprocess
import tempfile
import threading

from tests.attacks.scene import Sights

#: Bytes that a bomb takes. The slots in question may have a quarter of it.
BOMB = 1 << 30

#: Processes, threads, files that a bomb makes.
PROCESSES, THREADS, FILES = 60, 600, 20_000


def kernel(name: str, *arguments: object) -> int:
    """Call a function of libc that Python does not have."""
    answer = int(getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments))
    if answer < 0:
        raise OSError(ctypes.get_errno(), name)
    return answer


# --- more of oneself --------------------------------------------------------------


def run_a_program(at: Sights) -> object:
    return subprocess.run(["/bin/echo", "x"], capture_output=True, check=True).stdout


def become_a_program(at: Sights) -> object:
    child = os.fork()
    if child == 0:
        os.execv("/bin/true", ["true"])
    return os.waitpid(child, 0)


def fork_bomb(at: Sights) -> object:
    children = []
    try:
        for _ in range(PROCESSES):
            child = os.fork()
            if child == 0:
                threading.Event().wait()
            children.append(child)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return len(children)


def leave_a_daemon(at: Sights) -> object:
    """Leave a process behind that would live on: for a second, in the control."""
    told, tell = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(tell, str(os.getpid()).encode())
            signal.alarm(1)
            signal.pause()
        os._exit(0)
    return os.read(told, 10)


def thread_bomb(at: Sights) -> object:
    threading.stack_size(1 << 16)
    stop = threading.Event()
    threads = [threading.Thread(target=stop.wait) for _ in range(THREADS)]
    try:
        for thread in threads:
            thread.start()
    finally:
        stop.set()
    return len(threads)


def be_in_another_namespace(at: Sights) -> object:
    return kernel("unshare", 0x10000000)  # CLONE_NEWUSER


def lift_the_limits(at: Sights) -> object:
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_DATA, (BOMB, BOMB))
    return soft


# --- memory, disk, time -----------------------------------------------------------


def heap_bomb(at: Sights) -> object:
    return len(bytearray(BOMB))


def shared_memory_bomb(at: Sights) -> object:
    shared = mmap.mmap(-1, BOMB)
    for offset in range(0, BOMB, mmap.PAGESIZE):
        shared[offset] = 1
    return len(shared)


def memfd_bomb(at: Sights) -> object:
    """Take memory that belongs to no process: no limit counts it."""
    memory = os.memfd_create("bomb")
    part = bytes(1 << 20)
    return sum(os.write(memory, part) for _ in range(BOMB >> 20))


def fill_the_disk(at: Sights) -> object:
    part = bytes(1 << 20)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(4):
            with open(f"{folder}/{number}", "wb", buffering=0) as file:
                for _ in range(32):
                    if file.write(part) < len(part):
                        raise OSError("the disk is full")
    return "128 MiB"


def fill_the_disk_with_names(at: Sights) -> object:
    with tempfile.TemporaryDirectory() as folder:
        for number in range(FILES):
            os.close(os.open(f"{folder}/{number}", os.O_CREAT | os.O_WRONLY))
    return FILES


def take_all_contexts(at: Sights) -> object:
    """Take contexts for asynchronous files, of which a machine has a fixed number."""
    libc = ctypes.CDLL(None, use_errno=True)
    setup, destroy = {"x86_64": (206, 207), "aarch64": (0, 1)}[os.uname().machine]
    context = ctypes.c_ulong(0)
    if libc.syscall(setup, 1000, ctypes.byref(context)) < 0:
        raise OSError(ctypes.get_errno(), "io_setup")
    libc.syscall(destroy, context)
    return context.value


def swap_in_segments(at: Sights) -> object:
    """Make a System V segment: it outlives everybody."""
    segment = kernel("shmget", 0, 1 << 20, 0o1600)  # IPC_PRIVATE, IPC_CREAT
    kernel("shmctl", segment, 0, None)  # IPC_RMID
    return segment


def keep_a_key(at: Sights) -> object:
    """Leave something in a keyring of the kernel's, which the next slot would share."""
    libc = ctypes.CDLL(None, use_errno=True)
    add_key = {"x86_64": 248, "aarch64": 217}[os.uname().machine]
    thread_keyring = ctypes.c_long(-1)
    key = libc.syscall(add_key, b"user", b"p2p", b"x", 1, thread_keyring)
    if key < 0:
        raise OSError(ctypes.get_errno(), "add_key")
    return key
