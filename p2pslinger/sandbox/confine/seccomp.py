"""The seccomp filter: system calls that a slot of others never makes.

Python with threads, asyncio, numpy, sqlite3 and tempfile works under it. What is
refused with ENOSYS has a fallback in libc or in Python; the rest fails with EPERM.
Calls that are newer than the table are refused, so that a new kernel opens no hole.

A filter looks at numbers, not at what they point to. So whatever names a path, such as
chmod, is refused altogether where nothing may be written.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Iterator

from p2pslinger.sandbox.confine import bpf, kernel
from p2pslinger.sandbox.confine.bpf import Rule, differs, equals, has, lacks
from p2pslinger.sandbox.confine.syscalls import NEWEST, NUMBERS, machine

_EPERM, _ENOSYS = bpf.REFUSE | errno.EPERM, bpf.REFUSE | errno.ENOSYS

#: Refused, by what they are for.
NEVER = {
    "reach others": "socket connect bind listen accept accept4",
    "look into processes": (
        "ptrace process_vm_readv process_vm_writev process_madvise process_mrelease "
        "kcmp pidfd_getfd"
    ),
    "signal processes": "tkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal",
    "start processes": "fork vfork execve execveat",
    "change what is mounted": (
        "unshare setns mount umount2 pivot_root chroot open_tree move_mount fsopen "
        "fsconfig fsmount fspick mount_setattr swapon swapoff"
    ),
    "reach far into the kernel": (
        "bpf perf_event_open userfaultfd keyctl add_key request_key init_module "
        "finit_module delete_module kexec_load kexec_file_load reboot acct quotactl "
        "quotactl_fd syslog uselib nfsservctl lookup_dcookie iopl ioperm modify_ldt "
        "personality vhangup seccomp"
    ),
    "set the machine's clock or name": (
        "settimeofday clock_settime adjtimex clock_adjtime sethostname setdomainname"
    ),
    "open or watch files in other ways": (
        "name_to_handle_at open_by_handle_at fanotify_init fanotify_mark inotify_init "
        "inotify_init1 inotify_add_watch mknod mknodat"
    ),
    "share memory and messages by number": (
        "shmget shmat shmctl semget semop semtimedop semctl msgget msgsnd msgrcv "
        "msgctl mq_open mq_unlink"
    ),
    "hold memory that no limit counts": "memfd_secret",
    "take others' place": (
        "migrate_pages move_pages mbind set_mempolicy set_mempolicy_home_node "
        "setpriority ioprio_set sched_setscheduler sched_setparam sched_setattr "
        "sched_setaffinity sync syncfs"
    ),
    "be another user": (
        "setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid "
        "setgroups capset"
    ),
    "name files with attributes": (
        "setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr"
    ),
}

#: Refused as if this kernel did not have them: whoever asks has another way.
ABSENT = (
    "clone3 pidfd_open memfd_create io_setup io_uring_setup io_uring_enter "
    "io_uring_register"
)

#: Refused where nothing may be written: Landlock leaves them to any user of a file.
CHANGING = (
    "chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes "
    "utimensat futimesat"
)

#: From <linux/sched.h>: what clone() makes is a thread, in no namespace of its own.
_CLONE_THREAD, _CLONE_NEW = 0x10000, 0x7E020080

#: From <sys/socket.h>. Datagram sockets in pairs could be aimed at others.
_AF_UNIX, _SOCK_DGRAM = 1, 2

#: From <linux/fcntl.h>, <asm/ioctls.h>: signals to an owner of one's choice, leases,
#: and words put into the mouth of a terminal.
_FCNTL = (8, 10, 15, 1024, 1026)  # SETOWN, SETSIG, SETOWN_EX, SETLEASE, NOTIFY
_IOCTL = (0x5412, 0x541C, 0x8901, 0x8902)  # STI, LINUX, FIOSETOWN, SIOCSPGRP

#: From <linux/prctl.h>: the bond with the parent, and what was given up.
_PRCTL = (
    *(1, 4, 8, 22, 24),  # PDEATHSIG, DUMPABLE, KEEPCAPS, SECCOMP, CAPBSET_DROP
    *(28, 35, 36, 47),  # SECUREBITS, MM, CHILD_SUBREAPER, CAP_AMBIENT
    0x59616D61,  # PTRACER
)

_SET_FILTER = 1


def refuse(*, own: int, writing: bool) -> None:
    """Refuse from now on; only where no_new_privs is set, and no other thread is.

    Args:
        own: Process id of this process, which it may signal.
        writing: There is a folder in which files may be written.

    Raises:
        OSError: This machine is unknown, or this kernel has no filters.
    """
    code = program(*machine(), own=own, writing=writing)
    instructions = ctypes.create_string_buffer(code, len(code))
    count, address = len(code) // bpf.INSTRUCTION.size, ctypes.addressof(instructions)
    number = NUMBERS["seccomp"][machine()[1]] or 0
    kernel.syscall(number, _SET_FILTER, 0, struct.pack("@HP", count, address))


def program(machine: int, column: int, *, own: int, writing: bool) -> bytes:
    """Return the filter for a machine of the table."""
    unknown = _ENOSYS
    rules = list(_rules(column, own, writing))
    return bpf.assemble(machine, rules, newest=NEWEST, unknown=unknown)


def _rules(column: int, own: int, writing: bool) -> Iterator[Rule]:
    for names in NEVER.values():
        yield from _all(names, column, _EPERM)
    yield from _all(ABSENT, column, _ENOSYS)
    if not writing:
        yield from _all(CHANGING, column, _EPERM)
    for name, *conditions in _sometimes(own):
        for number in _numbers(name, column):
            yield Rule(number, _EPERM, tuple(conditions))


def _sometimes(own: int) -> Iterator[tuple[str, *tuple[bpf.Condition, ...]]]:
    """Yield what is refused with some arguments only."""
    yield "clone", lacks(0, _CLONE_THREAD)
    yield "clone", has(0, _CLONE_NEW)
    yield "kill", differs(0, own)
    yield "tgkill", differs(0, own)
    yield "prlimit64", differs(0, 0), differs(0, own)
    yield "getpgid", differs(0, 0), differs(0, own)
    yield "getsid", differs(0, 0), differs(0, own)
    yield "socketpair", differs(0, _AF_UNIX)
    yield "socketpair", has(1, _SOCK_DGRAM)
    yield "sendto", differs(4, 0)  # an address
    yield "sendto", differs(4, 0, high=True)
    yield from (("fcntl", equals(1, command)) for command in _FCNTL)
    yield from (("ioctl", equals(1, command)) for command in _IOCTL)
    yield from (("prctl", equals(0, option)) for option in _PRCTL)


def _all(names: str, column: int, verdict: int) -> Iterator[Rule]:
    for name in names.split():
        yield from (Rule(number, verdict) for number in _numbers(name, column))


def _numbers(name: str, column: int) -> Iterator[int]:
    number = NUMBERS[name][column]
    if number is not None:
        yield number
