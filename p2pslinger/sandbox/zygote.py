"""The zygote: a small process that forks runners on request and buries them.

A fork takes two milliseconds because everything a runner imports is here already, and
that is the standard library and cloudpickle: nothing that knows keys, nothing large.

    daemon --control socket--> zygote --fork--> runner --fork--> what tasks start

Runners adopt the orphans below them, and the zygote adopts those of dead runners. So
each child of the zygote that is no runner is a leftover and is killed, however it got
away: by a session of its own, or by forking twice. Without prctl (macOS) only a
runner's process group is.

When the daemon goes, by closing the socket or by dying, everything here goes.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import time
from dataclasses import replace

from p2pslinger.sandbox import frames
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.confine.kinship import adopt_orphans, die_with_parent
from p2pslinger.sandbox.confine.priority import SessionRank
from p2pslinger.sandbox.confine.privileges import user_of_slot
from p2pslinger.sandbox.confine.recipe import Bounds, settle
from p2pslinger.sandbox.runner import Setup, run_slot
from p2pslinger.sandbox.terms import Terms

#: Seconds for killed processes to be gone before the zygote leaves all the same.
BURIAL = 3.0

#: Seconds that a new runner tries for its session's last place before it does without,
#: and milliseconds after which the zygote then tries: many sessions may want theirs.
PATIENCE, LATER = 5.0, 1000

#: Exit code of a runner that failed by a fault of ours: EX_SOFTWARE of <sysexits.h>.
SOFTWARE = 70


def main() -> None:
    """Serve the control socket, on the terms in the arguments."""
    os.environ.pop("PYTHONPATH", None)
    terms = Terms.from_arguments(sys.argv[1:])
    rank = SessionRank() if terms.polite else None
    settle(terms.confinement, terms.user)
    control = socket.socket(fileno=terms.control)
    control.set_inheritable(False)
    zygote = Zygote(control, terms, rank)
    if terms.confinement is not Confinement.STRONG:  # there bubblewrap is the parent
        die_with_parent(terms.daemon, signal.SIGTERM)
    zygote.serve()


class Zygote:
    """Forks runners, kills them on request, and reports how they ended."""

    def __init__(
        self, control: socket.socket, terms: Terms, rank: SessionRank | None
    ) -> None:
        self._control = control
        self._terms = terms
        self._ground = _ground(terms)
        self._rank = rank  # as long as it is not what it is to be
        self._numbers: dict[int, int] = {}  # process id -> slot number
        self._leaving = False
        self._awake, self._alarm = os.pipe()
        os.set_blocking(self._alarm, False)
        os.set_blocking(self._awake, False)
        signal.set_wakeup_fd(self._alarm, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self._leave())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        adopt_orphans()
        gc.freeze()  # what exists now is shared with runners: don't write to it

    def serve(self) -> None:
        """Work until the daemon goes."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._awake, select.POLLIN)
        while not self._leaving:
            rank = self._rank if self._numbers else None
            wait = LATER if rank else None
            ready = {descriptor for descriptor, _ in poll.poll(wait)}
            if rank and not ready and rank.be_last():
                self._rank = None
            if self._awake in ready:
                self._bury()
            if self._control.fileno() in ready:
                self._obey()
        self._end_all()

    def _leave(self) -> None:
        self._leaving = True

    def _obey(self) -> None:
        """Carry out one request."""
        size = frames.REQUEST.size
        try:
            request, given, _, _ = socket.recv_fds(self._control, size, 3)
        except ConnectionError:
            request, given = b"", []
        if len(request) < size:
            self._leaving = True
            return
        kind, number, memory, nice, mark = frames.REQUEST.unpack(request)
        if kind == frames.FORK:
            sock, output, cells = given
            setup = Setup(sock, output, cells, mark)
            self._fork(number, setup, self._bounds(number, memory, nice))
        else:
            for pid in [p for p, n in self._numbers.items() if n == number]:
                os.kill(pid, signal.SIGKILL)  # not reaped yet, so still its number

    def _bounds(self, number: int, memory: int, nice: int) -> Bounds:
        """Return what a runner is confined to."""
        terms = self._terms
        folder = f"{terms.scratch}/{number}" if terms.scratch else ""
        changes = terms.user and terms.confinement is not Confinement.STRONG
        user = user_of_slot(terms.daemon, number) if changes else 0
        return replace(
            self._ground,
            memory=memory,
            nice=nice,
            folder=folder,
            polite=terms.polite,
            user=user,
            kept=(self._control.fileno(), *(self._rank.kept if self._rank else ())),
        )

    def _fork(self, number: int, setup: Setup, bounds: Bounds) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            self._tell(frames.REFUSED, number, 0, error.errno or 0, 0)
        else:
            if pid == 0:
                self._become(number, setup, bounds)
            self._numbers[pid] = number
        for descriptor in (setup.socket, setup.output, setup.cells):
            os.close(descriptor)

    def _become(self, number: int, setup: Setup, bounds: Bounds) -> None:
        """Be a runner from now on; never returns."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.close(self._awake)
            os.close(self._alarm)
            run_slot(setup, bounds, lambda: self._introduce(number))
        except BaseException:  # noqa: BLE001 - beyond here lies the zygote's own loop
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(SOFTWARE)

    def _introduce(self, number: int) -> None:
        """Tell the daemon, as a runner, that it is ready: it learns the process id.

        From here on only the slot's own socket leads to the daemon, and the session
        comes last. Not earlier: on a busy machine it would hardly become ready.
        """
        if self._rank is not None:
            self._rank.insist(PATIENCE)
        self._tell(frames.READY, number, os.getpid(), 0, 0)
        self._control.close()

    def _bury(self) -> None:
        """Reap what has ended, and kill what dead runners left behind."""
        try:
            os.read(self._awake, 4096)
        except BlockingIOError:
            pass
        ended = []
        for pid, status, peak in _reaped():
            number = self._numbers.pop(pid, None)
            if number is not None:
                _kill_group(pid)
                ended.append((number, pid, status, peak))
        for pid in _children():
            if pid not in self._numbers:
                _kill(pid)
        for number, pid, status, peak in ended:
            self._tell(frames.ENDED, number, pid, status, peak)

    def _end_all(self) -> None:
        """Kill every runner and wait until they and their leftovers are gone."""
        for pid in self._numbers:
            os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + BURIAL
        self._bury()
        while (left := until - time.monotonic()) > 0 and (self._numbers or _children()):
            select.select([self._awake], [], [], left)
            self._bury()

    def _tell(self, kind: int, number: int, pid: int, status: int, peak: int) -> None:
        try:
            self._control.sendall(frames.EVENT.pack(kind, number, pid, status, peak))
        except OSError:
            self._leaving = True  # the daemon has gone


def _ground(terms: Terms) -> Bounds:
    """Return what all runners of a zygote are confined to."""
    common = Bounds(terms.confinement, 0, 0, os.getpid())
    if terms.confinement is Confinement.OWN:
        return common
    # Loaded once for all runners, and not at all for the machine's own work.
    from p2pslinger.sandbox.confine import others, readable  # noqa: F401

    paths = (*readable.python(), *readable.SYSTEM)
    return replace(
        common,
        readable=paths,
        devices=readable.DEVICES,
        searching=os.getuid() == 0 and readable.behind_a_door(),
    )


def _reaped() -> list[tuple[int, int, int]]:
    """Return process id, status and peak memory in bytes of the children that ended."""
    unit = 1 if sys.platform == "darwin" else 1024
    ended: list[tuple[int, int, int]] = []
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.append((pid, status, usage.ru_maxrss * unit))


def _children() -> list[int]:
    """Return the process ids of this process's children, as far as they are listed."""
    me = os.getpid()
    try:
        with open(f"/proc/{me}/task/{me}/children") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return _children_by_stat() if sys.platform == "linux" else []


def _children_by_stat() -> list[int]:
    """Do the same for kernels built without that list."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                parent = file.read().rpartition(")")[2].split()[1]
        except OSError:
            continue  # has ended meanwhile
        if int(parent) == os.getpid():
            found.append(int(name))
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # gone, or a setuid program that is not ours to end


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
