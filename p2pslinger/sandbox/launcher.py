"""Makes slots: starts the zygote, and asks it for runners.

    launcher (in the daemon) --control socket--> zygote --fork--> runners

The zygote starts with a clean environment and a fixed hash seed, so that a set's order
is the same in every slot of a grid, and with one thread for numeric libraries, because
a slot stands for one core. When it dies, all slots die; the next slot starts another.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from p2pslinger.errors import UnavailableError
from p2pslinger.sandbox import frames
from p2pslinger.sandbox.descriptors import pipe, shared_memory, sockets
from p2pslinger.sandbox.process import Ends, SlotProcess
from p2pslinger.sandbox.slot import Exit, Outcome

log = logging.getLogger(__name__)

#: What of the daemon's environment reaches slots: how to start Python and programs.
PASSED_ON = ("PATH", "HOME", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")

#: What every slot finds in its environment besides.
ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "MALLOC_ARENA_MAX": "2",  # else each thread reserves 64 MB of address space
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}

#: Niceness of slots: the machine's owner comes first.
NICE = 5

#: Seconds that the zygote gets to end everything before it is killed itself.
LEAVE = 5.0

#: Bytes of the zygote's stderr shown when it can't start.
COMPLAINT = 2000


class Launcher:
    """Makes slots that are processes. Implements `p2pslinger.sandbox.slot.SlotSource`.

    Args:
        scratch: Folder for the slots' working folders; each is removed with its slot.
        nice: By how much slots are nicer than the daemon.
    """

    def __init__(self, scratch: Path, *, nice: int = NICE) -> None:
        self._scratch = scratch
        self._nice = nice
        self._zygote: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._complaints = -1
        self._events = b""
        self._number = 0
        self._slots: dict[int, SlotProcess] = {}
        self._forks: dict[int, asyncio.Future[int]] = {}
        self._gone: asyncio.Future[None] | None = None
        self._pending: set[asyncio.Future[None]] = set()  # what close() waits for

    @property
    def zygote(self) -> int | None:
        """Process id of the zygote while there is one."""
        return self._zygote.pid if self._zygote else None

    async def start(self) -> None:
        """Start the zygote, without waiting until it is ready.

        Raises:
            UnavailableError: This system can't have slots, or not now.
        """
        if self._zygote is None:
            self._start()

    async def slot(
        self,
        on_done: Callable[[Outcome], None],
        on_exit: Callable[[Exit], None],
        memory: int,
    ) -> SlotProcess:
        """Make a slot that may use `memory` bytes.

        Raises:
            UnavailableError: The zygote can't start, or the system is out of processes.
        """
        await self.start()
        self._number += 1
        number = self._number
        slot, ours = self._request(number, on_done, on_exit, memory)
        loop = asyncio.get_running_loop()
        fork = self._forks[number] = loop.create_future()
        try:
            await loop.create_unix_connection(lambda: slot.link, sock=ours)
            await fork
        except OSError as error:
            ours.close()
            self._forget(number)
            raise UnavailableError(f"no slot: {error}") from error
        except BaseException:
            self._forget(number)
            raise
        return slot

    async def close(self) -> None:
        """End every slot and the zygote; each slot's `on_exit` is called before."""
        if self._control is not None and self._gone is not None:
            self._control.shutdown(socket.SHUT_WR)
            try:
                async with asyncio.timeout(LEAVE):
                    await asyncio.shield(self._gone)
            except TimeoutError:
                log.warning("the zygote does not leave, killing it")
                if self._zygote is not None:
                    self._zygote.kill()
                await self._gone
        while self._pending:
            await asyncio.wait(self._pending)

    # --- the zygote ---------------------------------------------------------------

    def _start(self) -> None:
        if not hasattr(os, "fork"):
            raise UnavailableError(
                f"this peer can't compute: slots need fork(), which {sys.platform} "
                "does not have; it can submit jobs that others compute"
            )
        loop = asyncio.get_running_loop()
        with ExitStack() as theirs, ExitStack() as ours:
            try:
                control, their_control = sockets(ours, theirs)
                complaints, their_complaints = pipe(ours, theirs)
                loop.add_reader(control, self._hear)
                ours.callback(loop.remove_reader, control)
                self._scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
                zygote = self._spawn(their_control.fileno(), their_complaints)
            except OSError as error:
                raise UnavailableError(
                    f"no slots: the zygote can't start: {error}"
                ) from error
            ours.pop_all()
        self._zygote = zygote
        self._control, self._complaints, self._events = control, complaints, b""
        self._gone = loop.create_future()

    def _spawn(self, control: int, complaints: int) -> subprocess.Popen[bytes]:
        entry = Path(__file__).with_name("__main__.py")
        passed_on = {k: os.environ[k] for k in PASSED_ON if k in os.environ}
        return subprocess.Popen(
            [
                *(sys.executable, "-s", "-P", "-X", "utf8", str(entry)),
                *(str(control), str(os.getpid()), str(self._scratch.absolute())),
            ],
            env=passed_on | ENVIRONMENT,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            pass_fds=(control,),
            start_new_session=True,  # Ctrl-C is for the daemon, which then ends it
        )

    def _hear(self) -> None:
        """Take what the zygote reports."""
        assert self._control is not None
        try:
            data = self._control.recv(1 << 16)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self._bury_zygote()
            return
        data = self._events + data
        end = len(data) - len(data) % frames.EVENT.size
        self._events = data[end:]
        for kind, number, pid, status, peak in frames.EVENT.iter_unpack(data[:end]):
            if kind == frames.ENDED:
                self._ended(number, status, peak)
            else:
                self._forked(number, pid, status)

    def _bury_zygote(self) -> None:
        """Take note that the zygote has gone, and its slots with it."""
        assert self._control is not None
        assert self._zygote is not None
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        self._zygote.wait()  # its end of the socket closed as it ended
        complaint = self._complaint()
        if complaint:
            log.warning("the zygote ended with: %s", complaint)
        self._control = self._zygote = None
        for fork in self._forks.values():
            if not fork.done():
                fork.set_exception(
                    UnavailableError(f"no slot: the zygote has ended: {complaint}")
                )
        for number, slot in list(self._slots.items()):
            if slot.pid:
                _kill_group(slot.pid)
            self._ended(number, signal.SIGKILL, 0)
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def _complaint(self) -> str:
        try:
            raw = os.read(self._complaints, 1 << 16)
        except BlockingIOError:
            raw = b""
        os.close(self._complaints)
        return raw.decode("utf-8", "replace")[-COMPLAINT:].strip()

    # --- slots --------------------------------------------------------------------

    def _request(
        self,
        number: int,
        on_done: Callable[[Outcome], None],
        on_exit: Callable[[Exit], None],
        memory: int,
    ) -> tuple[SlotProcess, socket.socket]:
        """Ask for a runner; return its slot and the slot's end of the socket."""
        assert self._control is not None
        mark, kill = secrets.token_bytes(frames.MARK_BYTES), partial(self._kill, number)
        request = frames.REQUEST.pack(frames.FORK, number, memory, self._nice, mark)
        with ExitStack() as theirs, ExitStack() as ours:
            try:
                sock, their_sock = sockets(ours, theirs)
                output, their_output = pipe(ours, theirs)
                ends = Ends(output, shared_memory(ours), mark)
                given = [their_sock.fileno(), their_output, ends.cells]
                slot = SlotProcess(ends, on_done=on_done, on_exit=on_exit, kill=kill)
                ours.callback(asyncio.get_running_loop().remove_reader, output)
                socket.send_fds(self._control, [request], given)
            except OSError as error:
                raise UnavailableError(f"no slot: {error}") from error
            ours.pop_all()
        self._slots[number] = slot
        return slot, sock

    def _forked(self, number: int, pid: int, errno: int) -> None:
        fork = self._forks.pop(number, None)
        if fork is None or fork.done():
            self._kill(number)  # whoever asked has given up
        elif errno:
            fork.set_exception(UnavailableError(f"no slot: {os.strerror(errno)}"))
        else:
            self._slots[number].pid = pid
            fork.set_result(pid)

    def _ended(self, number: int, status: int, peak: int) -> None:
        slot = self._slots.pop(number, None)
        if slot is not None:
            slot.gone.add_done_callback(lambda _: self._remove_folder(number))
            self._await(slot.gone)
            slot.ended(status, peak)
        else:
            self._remove_folder(number)

    def _kill(self, number: int) -> None:
        if self._control is None:
            return  # all slots have died with the zygote
        request = frames.REQUEST.pack(frames.KILL, number, 0, 0, bytes(16))
        try:
            self._control.send(request)
        except OSError:
            pass  # the zygote is going, and its slots with it

    def _forget(self, number: int) -> None:
        """Give up a slot that its owner never got."""
        self._forks.pop(number, None)
        slot = self._slots.pop(number, None)
        if slot is not None:
            slot.discard()
            self._kill(number)

    def _remove_folder(self, number: int) -> None:
        folder = self._scratch / str(number)
        loop = asyncio.get_running_loop()
        self._await(loop.run_in_executor(None, shutil.rmtree, folder, True))

    def _await(self, future: asyncio.Future[None]) -> None:
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
