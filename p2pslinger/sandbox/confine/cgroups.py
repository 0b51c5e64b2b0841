"""Limits for a slot as a whole, where this user may make control groups.

They count what no limit of a process does: the kernel's own memory, such as that of
file locks, and what is in the scratch folder. They come on top of the other means,
never instead. Root may make groups; so may a user whose service manager has delegated
that (systemd: `Delegate=yes`).

Where processor time is divided between groups, a slot's group is in the idle class as a
whole: the slot's own class counts within its group only.

Version 2 asks that no process is in a group that has groups below it. So the daemon,
if it is alone in its group, moves down into another first: before there is any zygote.
"""

from __future__ import annotations

import os

#: Where control groups are mounted, and where this process says which are its own.
MOUNTED, MINE = "/sys/fs/cgroup", "/proc/self/cgroup"

#: Bytes beyond a slot's memory limit: its scratch folder, and what the kernel keeps.
KERNEL = 1 << 27

#: Threads of a slot, and a few.
TASKS = 80

#: Without these there are no groups; without that one a slot comes last by other means.
_NEEDED, _TIME = ("memory", "pids"), "cpu"

#: How a group takes the idle class and, on kernels before 5.15, the smallest part.
_LAST = {1: (("cpu.idle", "1"), ("cpu.shares", "2"))}
_LAST[2] = (("cpu.idle", "1"), ("cpu.weight", "1"))

_PREFIX = "slinger-"

#: The group that the daemon moves into.
_DAEMON = "/slinger-daemon"


class Groups:
    """Makes a group for each slot.

    Args:
        folders: Where, by controller; version 2 has one for all.
        version: Of control groups.
    """

    def __init__(self, folders: dict[str, str], version: int) -> None:
        self._folders = folders
        self._version = version
        self._ended: set[str] = set()  # to be removed

    def put(self, number: int, pid: int, memory: int, *, last: bool = False) -> None:
        """Move a slot's process into a group of its own.

        Args:
            last: Let the group have what nobody else wants of the processor.

        Raises:
            OSError: The kernel refuses that; then there is no such group.
        """
        values = self._values(memory + KERNEL)
        try:
            for folder in self._of(number):
                os.makedirs(folder, exist_ok=True)
            for controller, name, value in values:
                _write(f"{self._place(controller, number)}/{name}", value)
            if last and _TIME in self._folders:
                self._step_back(number)
            for folder in self._of(number):
                _write(f"{folder}/cgroup.procs", str(pid))
        except OSError:
            self.remove(number)
            raise

    def hurry(self, number: int) -> None:
        """Let a slot that is to end have what it takes to end: memory is given back."""
        if _TIME in self._folders:
            try:
                _write(f"{self._place(_TIME, number)}/cpu.idle", "0")
            except OSError:
                pass  # it has no group, or has ended

    def remove(self, number: int) -> None:
        """Remove the group of a slot that has ended, or do it with the next one."""
        self._ended |= self._of(number)
        for folder in list(self._ended):
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                pass
            except OSError:
                continue  # the process is not quite gone
            self._ended.discard(folder)

    def sweep(self) -> None:
        """Note the groups of daemons that were killed, to be removed."""
        for parent in set(self._folders.values()):
            for name in os.listdir(parent):
                daemon = name.removeprefix(_PREFIX).partition("-")[0]
                left = name.startswith(_PREFIX) and daemon.isdigit()
                if left and not os.path.exists(f"/proc/{daemon}"):
                    self._ended.add(f"{parent}/{name}")

    def _step_back(self, number: int) -> None:
        """Take the idle class for a group, or what there is of the kind."""
        for name, value in _LAST[self._version]:
            try:
                _write(f"{self._place(_TIME, number)}/{name}", value)
            except OSError:
                continue
            return

    def _values(self, memory: int) -> list[tuple[str, str, str]]:
        """Return what is written: controller, file, value."""
        if self._version == 1:
            limit = ("memory", "memory.limit_in_bytes", str(memory))
        else:
            limit = ("memory", "memory.max", str(memory))
        return [limit, ("pids", "pids.max", str(TASKS))]

    def _place(self, controller: str, number: int) -> str:
        return f"{self._folders[controller]}/{_PREFIX}{os.getpid()}-{number}"

    def _of(self, number: int) -> set[str]:
        return {self._place(controller, number) for controller in self._folders}


def find(mounted: str = MOUNTED, mine: str = MINE) -> Groups | None:
    """Return where groups can be made, or None if nowhere.

    Version 2 is used where its controllers are there, else version 1.
    """
    try:
        with open(mine) as file:
            own = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return None
    for groups in (_second(mounted, own), _first(mounted, own)):
        if groups is not None:
            groups.sweep()
            return groups
    return None


def _first(mounted: str, own: list[list[str]]) -> Groups | None:
    """Look for groups of version 1: a folder for each controller."""
    folders = {
        controller: f"{mounted}/{controller}{path}".rstrip("/")
        for _, controllers, path in own
        for controller in controllers.split(",")
        if controller in (*_NEEDED, _TIME)
    }
    usable = {name: path for name, path in folders.items() if os.access(path, os.W_OK)}
    return Groups(usable, 1) if set(_NEEDED) <= set(usable) else None


def _second(mounted: str, own: list[list[str]]) -> Groups | None:
    """Look for groups of version 2, and make room for groups below this one."""
    path = next((p for number, kinds, p in own if number == "0" and not kinds), None)
    if path is None:
        return None
    folder = f"{mounted}{path.removesuffix(_DAEMON)}".rstrip("/")
    if not path.endswith(_DAEMON):
        if not _delegated(folder):
            return None
        try:
            _move_down(folder)
        except OSError:
            return None
    used = (*_NEEDED, _TIME) if _divides(folder) else _NEEDED
    return Groups(dict.fromkeys(used, folder), 2)


def _delegated(folder: str) -> bool:
    """Tell whether a group has the controllers, and this user's processes alone."""
    try:
        with open(f"{folder}/cgroup.controllers") as file:
            known = file.read().split()
        with open(f"{folder}/cgroup.procs") as file:
            inside = set(map(int, file))
    except OSError:
        return False
    writable = os.access(f"{folder}/cgroup.subtree_control", os.W_OK)
    return set(_NEEDED) <= set(known) and writable and inside <= {os.getpid()}


def _move_down(folder: str) -> None:
    os.makedirs(folder + _DAEMON, exist_ok=True)
    _write(f"{folder}{_DAEMON}/cgroup.procs", str(os.getpid()))
    _write(f"{folder}/cgroup.subtree_control", "+memory +pids")


def _divides(folder: str) -> bool:
    """Tell whether the groups below one can share processor time, from now on."""
    try:
        _write(f"{folder}/cgroup.subtree_control", f"+{_TIME}")
    except OSError:
        return False
    return True


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
