"""Calls of a grid that a coroutine awaits: nothing here keeps its event loop waiting.

Arguments are packed in the loop, where the program's iterables belong, and leave
through the sender's thread. Programs without a loop never import asyncio, which takes
longer than everything else here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from p2pslinger.client.feeding import Ahead, LookAhead
from p2pslinger.client.functions import Functions, Terms
from p2pslinger.client.initializer import InitializerError

if TYPE_CHECKING:
    from p2pslinger.client.arrivals import Arrivals

#: Arguments that `amap` reads ahead of its results: thousands of short tasks keep a
#: grid busy while the loop does other things, and packing so many takes it a moment.
AHEAD = 4096

P = ParamSpec("P")
T = TypeVar("T")


class Awaiting:
    """What a grid, with or without other options, has for coroutines."""

    _functions: Functions
    _terms: Terms

    async def asubmit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `fn(*args, **kwargs)` on the grid; return what it returns.

        To cancel the awaiting task cancels the call.

        Raises:
            PackingError: the function or an argument can't be sent.
            Exception: what the call has raised.
        """
        from p2pslinger.client.arrivals import doorbell

        call = self._functions.submit(fn, args, kwargs, self._terms, patient=False)
        return cast(T, await doorbell().outcome(call))

    def amap(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[object],
        timeout: float | None = None,
        buffersize: int = AHEAD,
    ) -> AsyncIterator[T]:
        """Yield `fn(x)` for every x (or `fn(x, y)` for two iterables), in order.

        Args:
            fn: An ordinary function.
            iterables: Arguments, one iterable for each parameter.
            timeout: Seconds from now after which a missing result raises.
            buffersize: Arguments that may have been read without their results having
                been yielded.

        Raises:
            PackingError: the function or an argument can't be sent.
            TimeoutError: a result is not there in time.
            Exception: what a task has raised, when its turn comes.
        """
        import asyncio

        from p2pslinger.client.arrivals import Arrivals

        star = len(iterables) != 1
        arguments = zip(*iterables, strict=False) if star else iterables[0]
        package = self._terms.pack(fn)
        open_job = partial(self._functions.open_job, package, self._terms)
        rows = Arrivals(asyncio.get_running_loop(), timeout)
        self._functions.read_by(rows)
        ahead = LookAhead(
            open_job,
            package,
            arguments,
            star=star,
            ahead=Ahead(buffersize),
            rows=rows,
            patient=False,
        )
        return cast("AsyncIterator[T]", self._values(rows, ahead))

    async def _values(self, rows: Arrivals, ahead: LookAhead) -> AsyncIterator[object]:
        at = 0
        try:
            ahead.fill()
            while (part := await rows.arrived(at)) is not None:
                values, failed = part
                for offset in range(len(values)):
                    if offset in failed:
                        raise failed[offset]
                    yield values[offset]
                    ahead.read += 1
                at += len(values)
                ahead.fill()
        except InitializerError as error:
            self._functions.give_up(self._terms.first, error)
            raise
        finally:
            ahead.close()
