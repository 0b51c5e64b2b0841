"""An event loop whose clock jumps: hours of waiting take as long as their events.

1. Time stands still while callbacks run and jumps to the next timer when none is ready.
2. Timers that are due together fire in the order in which they were made, and sets of
   tasks have a fixed order.
3. Nothing real gets in: no sockets, no threads, no name servers. What would run in a
   thread runs at once, inline.
4. Everybody waiting for ever is an error that says who waits and where.
5. Machines may sleep (see `p2pslinger.testing.clocks`): code on one of them sees the
   time that its own clock shows.
"""

from __future__ import annotations

import asyncio
import heapq
import selectors
import socket
import threading
from collections.abc import Callable, Coroutine
from types import CoroutineType
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeVar, TypeVarTuple

from p2pslinger.errors import UsageError
from p2pslinger.testing.clocks import Clock, clock_of, current
from p2pslinger.testing.handles import Soon, Timed

if TYPE_CHECKING:
    from collections import deque
    from concurrent.futures import Executor
    from contextvars import Context

    from _typeshed import FileDescriptorLike

#: Virtual seconds after which a run is taken to be endless: 30 days, more than any
#: lease, hourly refresh or keep-until of a test.
LIMIT = 30 * 86_400.0

#: Wall time at the start of a run, in seconds since 1970: a fixed day in 2027, so that
#: signed times are the same in every run.
WALL_START = 1_800_000_000.0

#: Callbacks of one moment after which time counts as standing still: a thousand peers
#: make a tenth of them at once, and a task that begins itself anew makes all.
STILL = 2_000_000

#: Cancelled timers that may lie in the queue before they are swept out. Every request
#: cancels its time-out, so they would soon be most of it.
_SWEEP_ABOVE = 1_000

#: Waiting tasks that the text of a deadlock names.
_NAMED_TASKS = 5

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")
_ProtocolT = TypeVar("_ProtocolT", bound=asyncio.BaseProtocol)


class DatagramNetwork(Protocol):
    """Where a loop's datagram endpoints live."""

    def bind(
        self, protocol_factory: Callable[[], _ProtocolT], local: tuple[str, int]
    ) -> tuple[asyncio.DatagramTransport, _ProtocolT]:
        """Open a datagram socket at `local`, or raise OSError as a kernel would."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop in virtual time.

    Args:
        seed: What `run` was given; sources of chance derive theirs from it.
        limit: Virtual seconds after which the run counts as endless.
        still: Callbacks of one moment after which time counts as standing still.

    Attributes:
        network: Where datagram sockets are opened, once there is one.
    """

    # What the standard library's loop keeps for itself and this one works on.
    _ready: deque[asyncio.Handle]
    _stopping: bool
    _closed: bool

    #: There is no debug mode. Every future asks for it: built in, that costs nothing.
    get_debug = staticmethod(bool)

    _now = 0.0

    def __init__(
        self, *, seed: int = 0, limit: float = LIMIT, still: int = STILL
    ) -> None:
        self.seed = seed
        self.network: DatagramNetwork | None = None
        self._limit = limit
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._made = 0
        self._tasks = 0
        self._cancelled = 0
        self._most = still
        self._still = 0  # callbacks since time has moved
        self._asleep = 0  # machines that sleep
        self._drifted = False  # whether one ever has
        super().__init__(_ShutSelector())
        self._thread = threading.get_ident()
        self.set_task_factory(self._make_task)  # type: ignore[arg-type]

    @property
    def now(self) -> float:
        """Virtual seconds since the loop was made, whoever has slept meanwhile."""
        return self._now

    def time(self) -> float:
        """Virtual seconds since the loop was made, as this machine's clock shows."""
        if self._drifted:
            clock = current.get()
            if clock is not None:
                return clock.shown(self._now)
        return self._now

    def wall(self) -> float:
        """What a clock on the wall would show: seconds since 1970."""
        return WALL_START + self._now

    def put_to_sleep(self, clock: Clock) -> None:
        """Run nothing of a machine until it is woken; see `Host.sleep`."""
        if not clock.asleep:
            mine = [one for one in self._timers if clock_of(one[2]) is clock]
            self._timers = [
                one for one in self._timers if clock_of(one[2]) is not clock
            ]
            heapq.heapify(self._timers)
            clock.stop(self._now, mine)
            self._asleep += 1
            self._drifted = True

    def wake_up(self, clock: Clock) -> None:
        """Let a machine go on where it was."""
        if clock.asleep:
            self._asleep -= 1
            ready, timers = clock.go_on(self._now)
            self._ready.extend(ready)
            for timer in timers:
                heapq.heappush(self._timers, timer)

    def call_soon(
        self,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        if self._closed:
            raise RuntimeError("Event loop is closed")
        handle = Soon(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        if self._closed:
            raise RuntimeError("Event loop is closed")
        timer = Timed(when, callback, args, self, context)
        if self._drifted:
            clock = current.get()
            if clock is not None:
                when = clock.due(when)
        self._made += 1  # settles ties, and spares heapq from comparing timers
        heapq.heappush(self._timers, (when, self._made, timer))
        return timer

    def call_soon_threadsafe(
        self,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        if threading.get_ident() != self._thread:
            raise UsageError(
                "a thread called into a virtual-time loop; its moment would be chance,"
                " so run the work through run_in_executor instead"
            )
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[*_Ts], _T],
        *args: *_Ts,
    ) -> asyncio.Future[_T]:
        """Call `func` here and now; the future returned is done."""
        future: asyncio.Future[_T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whoever awaits it gets it
            future.set_exception(error)
        return future

    async def create_datagram_endpoint(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], _ProtocolT],
        local_addr: tuple[str, int] | None = None,
        remote_addr: None = None,
        **options: object,
    ) -> tuple[asyncio.DatagramTransport, _ProtocolT]:
        """Open a datagram socket on the simulated host that has this address."""
        if self.network is None:
            raise UsageError("make a Network for this loop before its first socket")
        if local_addr is None or remote_addr is not None:
            raise UsageError("a simulated socket has a local address and no fixed peer")
        return self.network.bind(protocol_factory, local_addr)

    async def getaddrinfo(  # type: ignore[override]
        self,
        host: str | None,
        port: str | int | None,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> object:
        """Resolve numeric addresses; names are unknown here, as without a server."""
        flags |= socket.AI_NUMERICHOST
        return socket.getaddrinfo(host, port, family, type, proto, flags)

    def _make_task(
        self,
        loop: asyncio.AbstractEventLoop,
        coro: Coroutine[object, object, _T],
        **options: Context | None,
    ) -> asyncio.Task[_T]:
        self._tasks += 1
        return _Task(self._tasks, coro, loop, **options)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self._cancelled += 1
        if self._cancelled > max(_SWEEP_ABOVE, len(self._timers) // 2):
            self._timers = [entry for entry in self._timers if not entry[2]._cancelled]
            heapq.heapify(self._timers)
            self._cancelled = 0

    def _run_once(self) -> None:
        """Take one turn: run what is ready, or jump to what comes next."""
        ready = self._ready
        if not ready and not self._stopping:
            self._jump()
        now = self._now
        timers = self._timers
        while timers and timers[0][0] <= now:
            timer = heapq.heappop(timers)[2]
            timer._scheduled = False  # type: ignore[attr-defined]
            ready.append(timer)
        self._still += len(ready)
        if self._still > self._most:
            self._complain_of_haste()
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled and not (self._asleep and _waits(handle)):
                handle._run()

    def _jump(self) -> None:
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        if not timers:
            raise UsageError(
                f"deadlock at {self._now:.3f} s of virtual time: nothing is scheduled,"
                f" and these wait for ever: {_whereabouts(self)}"
            )
        if timers[0][0] > self._limit:
            raise UsageError(
                f"still running after {self._limit:g} s of virtual time; these are"
                f" left: {_whereabouts(self)}"
            )
        if timers[0][0] > self._now:
            self._now = timers[0][0]
            self._still = 0

    def _complain_of_haste(self) -> NoReturn:
        self._still = 0  # so that what runs can be cancelled
        raise UsageError(
            f"time stands still at {self._now:.3f} s of virtual time: after"
            f" {self._most} callbacks {list(self._ready)[:_NAMED_TASKS]} are ready,"
            f" and these wait: {_whereabouts(self)}"
        )


def _waits(handle: asyncio.Handle) -> bool:
    """Keep a callback of a machine that sleeps; return whether it is one."""
    clock = clock_of(handle)
    if clock is None or not clock.asleep:
        return False
    clock.ready.append(handle)
    return True


class _ShutSelector(selectors.SelectSelector):
    """Takes the loop's own wake-up socket and nothing else; is never asked."""

    def register(
        self, fileobj: FileDescriptorLike, events: int, data: object = None
    ) -> selectors.SelectorKey:
        if self.get_map():
            raise UsageError(
                "nothing real is ever ready in virtual time: use Host.connect,"
                " Host.listen and create_datagram_endpoint of a simulated network"
            )
        return super().register(fileobj, events, data)


class _Task(asyncio.Task[_T]):
    """A task that hashes by its number.

    Sets of tasks are walked in asyncio (a TaskGroup cancels its children so) and by
    callers of `asyncio.wait`. By address their order would differ from run to run.
    """

    def __init__(
        self,
        number: int,
        coro: Coroutine[object, object, _T],
        loop: asyncio.AbstractEventLoop,
        **options: Context | None,
    ) -> None:
        self._number = number
        super().__init__(coro, loop=loop, **options)  # type: ignore[arg-type]

    def __hash__(self) -> int:
        return self._number


def _whereabouts(loop: asyncio.AbstractEventLoop) -> str:
    """Say which tasks wait, and at which line."""
    tasks = sorted(asyncio.all_tasks(loop), key=hash)
    places = [_place(task) for task in tasks[:_NAMED_TASKS]]
    if len(tasks) > _NAMED_TASKS:
        places.append(f"{len(tasks) - _NAMED_TASKS} more")
    return ", ".join(places) or "no task"


def _place(task: asyncio.Task[object]) -> str:
    """Name a task and the calls that it waits in, the innermost last."""
    calls: list[str] = []
    coroutine: object = task.get_coro()
    while isinstance(coroutine, CoroutineType):
        line = f":{coroutine.cr_frame.f_lineno}" if coroutine.cr_frame else ""
        calls.append(f"{coroutine.__qualname__}{line}")
        coroutine = coroutine.cr_await
    return " > ".join([task.get_name(), *calls])
