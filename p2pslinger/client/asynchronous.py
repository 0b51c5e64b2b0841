"""A grid for the time of an `async with` block.

    async with slinger.aconnect() as grid:
        print(await grid.asubmit(pow, 2, 8))
        async for square in grid.amap(lambda x: x * x, range(10)):
            print(square)

What has to wait for other processes, at the block's beginning and end, waits in a
thread of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from types import TracebackType

from p2pslinger.client.connect import connect
from p2pslinger.client.grid import Grid
from p2pslinger.client.values import Trust


def aconnect(
    *,
    trust: Trust = "safe",
    data: str | Path | None = None,
    requires: Iterable[str] | None = None,
    platform: str | None = None,
    memory: int | str | None = None,
    sandbox: bool = False,
    initializer: Callable[..., object] | None = None,
    initargs: tuple[object, ...] = (),
    types: Iterable[type] = (),
) -> AsyncGrid:
    """Connect to this machine's peer for an `async with` block; see `connect`.

    Args:
        trust: How far values from other peers are decoded: "safe" or "pickle".
        data: The peer's data folder, if it is not the usual one.
        requires, platform, memory, sandbox: What a peer must have, and how it is to
            confine tasks, as for `connect`.
        initializer, initargs: What each slot calls first, as for `connect`.
        types: Of what results may be, as for `connect`.
    """
    return AsyncGrid(
        partial(
            connect,
            trust=trust,
            data=data,
            requires=requires,
            platform=platform,
            memory=memory,
            sandbox=sandbox,
            initializer=initializer,
            initargs=initargs,
            types=tuple(types),
        )
    )


class AsyncGrid:
    """Made by `aconnect`; gives a `Grid`.

    Args:
        connect: Makes it.
    """

    def __init__(self, connect: Callable[[], Grid]) -> None:
        self._connect = connect
        self._grid: Grid | None = None

    async def __aenter__(self) -> Grid:
        """Connect.

        Raises:
            UnavailableError: no peer runs, and none can be started; the text says why.
            IncompatibleError: the peer is of another version.
        """
        loop = asyncio.get_running_loop()
        connecting = loop.run_in_executor(None, self._connect)
        try:
            self._grid = await asyncio.shield(connecting)
        except asyncio.CancelledError:
            connecting.add_done_callback(_close)  # nobody is left to use it
            raise
        return self._grid

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for what was submitted; after an exception, cancel it instead."""
        assert self._grid is not None
        loop = asyncio.get_running_loop()
        cancel = partial(self._grid.shutdown, cancel_futures=True)
        if error is not None:
            await loop.run_in_executor(None, cancel)
            return
        ending = loop.run_in_executor(None, self._grid.shutdown)
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await loop.run_in_executor(None, cancel)
            await ending
            raise


def _close(connected: asyncio.Future[Grid]) -> None:
    if not connected.cancelled() and connected.exception() is None:
        connected.result().shutdown(wait=False)
