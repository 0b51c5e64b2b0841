"""One zygote, as the daemon sees it, and the slots that it has forked.

    nursery (in the daemon) --control socket--> zygote --fork--> runners

When the zygote dies, all its slots die, and the nursery has ended: the launcher opens
another.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import secrets
import signal
import socket
import struct
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from p2pslinger.errors import UnavailableError
from p2pslinger.sandbox import frames
from p2pslinger.sandbox.descriptors import pipe, shared_memory, sockets
from p2pslinger.sandbox.memory import AVAILABLE
from p2pslinger.sandbox.passing import PassingSocket
from p2pslinger.sandbox.process import Ends, SlotProcess
from p2pslinger.sandbox.slot import Exit, Outcome

log = logging.getLogger(__name__)

#: Seconds that the zygote gets to end everything before it is killed itself.
LEAVE = 5.0

#: Bytes of the zygote's stderr shown when it can't start.
COMPLAINT = 2000

#: What the kernel says about a sender: process, user, group.
_CREDENTIALS = struct.Struct("iII")

#: Starts a zygote: given its control socket and its stderr.
Spawn = Callable[[int, int], "subprocess.Popen[bytes]"]


class Nursery:
    """Starts a zygote, and asks it for slots.

    Args:
        spawn: Starts the zygote.
        nice: By how much slots are nicer than the daemon.
        hurried: Called with a slot's number before it is killed.
        cleared: Called with a slot's number when nothing of it is left.
        trusted: Its slots are the owner's, and may keep what they are given.

    Attributes:
        open: Slots can be had here.
        gone: Done when the zygote and all its slots have ended.

    Raises:
        UnavailableError: The zygote can't start.
    """

    def __init__(
        self,
        spawn: Spawn,
        *,
        nice: int,
        hurried: Callable[[int], None],
        cleared: Callable[[int], None],
        trusted: bool,
    ) -> None:
        self._nice = nice
        self._hurried = hurried
        self._cleared = cleared
        self._trusted = trusted
        self._events = b""
        self._slots: dict[int, SlotProcess] = {}
        self._forks: dict[int, asyncio.Future[int]] = {}
        self._why = ""  # the zygote's end, once it has come
        self._dying: set[int] = set()  # ended, but their last words are not heard
        self._buried = False
        self._deadline: asyncio.TimerHandle | None = None
        self._loop = loop = asyncio.get_running_loop()
        with ExitStack() as theirs, ExitStack() as ours:
            try:
                self._control, their_control = sockets(ours, theirs)
                if hasattr(socket, "SO_PASSCRED"):
                    self._control.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
                self._complaints, their_complaints = pipe(ours, theirs)
                loop.add_reader(self._control, self._hear)
                ours.callback(loop.remove_reader, self._control)
                self._zygote = spawn(their_control.fileno(), their_complaints)
            except OSError as error:
                raise UnavailableError(
                    f"no slots: the zygote can't start: {error}"
                ) from error
            ours.pop_all()
        self.open = True
        self.gone: asyncio.Future[None] = loop.create_future()

    @property
    def pid(self) -> int:
        """Process id of the zygote, or of the bubblewrap around it."""
        return self._zygote.pid

    async def slot(
        self,
        number: int,
        on_done: Callable[[Outcome], None],
        on_exit: Callable[[Exit], None],
        memory: int,
    ) -> SlotProcess:
        """Make a slot that may use `memory` bytes.

        Raises:
            UnavailableError: The zygote can't start, the slot can't be confined, or the
                system is out of processes.
        """
        try:
            slot, ours = self._request(number, on_done, on_exit, memory)
        except BrokenPipeError as error:
            await asyncio.shield(self.gone)
            raise UnavailableError(f"no slot: {self._why}") from error
        fork = self._forks[number] = self._loop.create_future()
        try:
            await self._loop.create_unix_connection(lambda: slot.link, sock=ours)
            await fork
        except OSError as error:
            ours.close()
            self._forget(number)
            raise UnavailableError(f"no slot: {error}") from error
        except BaseException:
            self._forget(number)
            raise
        return slot

    def leave(self) -> None:
        """Have the zygote end every slot and itself, within `LEAVE` seconds."""
        if not self.open or self._deadline is not None:
            return
        self._deadline = self._loop.call_later(LEAVE, self._end_by_force)
        for number in self._slots:
            self._hurried(number)
        try:
            self._control.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has just ended by itself

    # --- the zygote ---------------------------------------------------------------

    def _hear(self) -> None:
        """Take what the zygote and new runners report."""
        try:
            data, sender = _received(self._control)
        except BlockingIOError:
            return
        except ConnectionError:
            data, sender = b"", 0
        if not data:
            self._close()
            return
        data = self._events + data
        end = len(data) - len(data) % frames.EVENT.size
        self._events = data[end:]
        for kind, number, pid, status, peak in frames.EVENT.iter_unpack(data[:end]):
            if kind == frames.ENDED:
                self._ended(number, status, peak)
            else:
                self._forked(number, sender or pid, status)

    def _close(self) -> None:
        """Take note that the zygote is going."""
        self.open = False
        self._loop.remove_reader(self._control)
        self._control.close()
        # Its end of the socket closed as it ended; bubblewrap takes a moment longer.
        waiting = self._loop.run_in_executor(None, self._zygote.wait)
        waiting.add_done_callback(lambda _: self._bury())

    def _end_by_force(self) -> None:
        log.warning("the zygote does not leave, killing it")
        self._zygote.kill()

    def _bury(self) -> None:
        """Take note that the zygote has gone, and its slots with it."""
        if self._deadline is not None:
            self._deadline.cancel()
        complaint = self._complaint()
        if complaint:
            log.warning("the zygote ended with: %s", complaint)
        self._why = f"the zygote has ended: {complaint}"
        for number in list(self._forks):
            self._fail(number, self._why)
        slots, self._slots = self._slots, {}
        for number, slot in slots.items():
            if slot.pid:
                _kill_group(slot.pid)
            self._end(number, slot, signal.SIGKILL, 0)
        self._buried = True
        self._see_whether_all_have_gone()

    def _see_whether_all_have_gone(self) -> None:
        if self._buried and not self._dying and not self.gone.done():
            self.gone.set_result(None)

    def _fail(self, number: int, why: str) -> None:
        """Tell whoever waits for a slot that it will not come."""
        fork = self._forks.pop(number)
        if not fork.done():
            fork.set_exception(UnavailableError(f"no slot: {why}"))
        slot = self._slots.pop(number, None)
        if slot is not None:
            slot.discard()

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
        mark, kill = secrets.token_bytes(frames.MARK_BYTES), partial(self._kill, number)
        request = frames.REQUEST.pack(frames.FORK, number, memory, self._nice, mark)
        with ExitStack() as theirs, ExitStack() as ours:
            try:
                sock, their_sock = sockets(ours, theirs)
                output, their_output = pipe(ours, theirs)
                ends = Ends(output, shared_memory(ours), mark)
                given = [their_sock.fileno(), their_output, ends.cells]
                slot = SlotProcess(
                    ends,
                    on_done=on_done,
                    on_exit=on_exit,
                    kill=kill,
                    lends=math.inf if self._trusted else memory,
                )
                ours.callback(asyncio.get_running_loop().remove_reader, output)
                socket.send_fds(self._control, [request], given)
            except BrokenPipeError:
                raise  # the zygote has ended, and is about to say why
            except OSError as error:
                raise UnavailableError(f"no slot: {error}") from error
            ours.pop_all()
        self._slots[number] = slot
        if AVAILABLE:
            sock = slot.lent.socket = PassingSocket.of(sock, takes=False)
        return slot, sock

    def _forked(self, number: int, pid: int, errno: int) -> None:
        """Take note that a slot is ready, or that there will be none."""
        fork = self._forks.pop(number, None)
        if fork is None or fork.done():
            self._kill(number)  # whoever asked has given up
        elif errno:
            fork.set_exception(UnavailableError(f"no slot: {os.strerror(errno)}"))
        else:
            self._slots[number].pid = pid
            fork.set_result(pid)

    def _ended(self, number: int, status: int, peak: int) -> None:
        if number in self._forks:
            why = self._slots[number].last_words()
            self._fail(number, why or "it has ended before it was ready")
        slot = self._slots.pop(number, None)
        if slot is None:
            self._cleared(number)  # its owner never got it
        else:
            self._end(number, slot, status, peak)

    def _end(self, number: int, slot: SlotProcess, status: int, peak: int) -> None:
        self._dying.add(number)
        slot.gone.add_done_callback(lambda _: self._clear(number))
        slot.ended(status, peak)

    def _clear(self, number: int) -> None:
        self._dying.discard(number)
        self._cleared(number)
        self._see_whether_all_have_gone()

    def _kill(self, number: int) -> None:
        self._hurried(number)
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


def _received(control: socket.socket) -> tuple[bytes, int]:
    """Return what has come, and the sender's process id, or 0 if nobody knows.

    The kernel names the sender as this process sees it: inside a sandbox it has another
    number. It never hands out the words of two senders at once.
    """
    space = socket.CMSG_SPACE(_CREDENTIALS.size)
    data, ancillary, _, _ = control.recvmsg(1 << 16, space)
    for _, kind, raw in ancillary:
        if kind == getattr(socket, "SCM_CREDENTIALS", None):
            return data, int(_CREDENTIALS.unpack(raw)[0])
    return data, 0


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
