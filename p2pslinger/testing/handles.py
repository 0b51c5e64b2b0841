"""Handles of the virtual loop: the standard library's, made with fewer calls.

A simulation makes them by the hundred thousand. What is left out is asyncio's debug
mode, which the virtual loop does not have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context


class Soon(asyncio.Handle):
    """A callback of this turn or the next."""

    __slots__ = ()

    # What the standard library's handle keeps for itself.
    _context: Context
    _loop: asyncio.AbstractEventLoop
    _callback: Callable[..., object]
    _repr: str | None
    _source_traceback: None

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[object, ...],
        loop: asyncio.AbstractEventLoop,
        context: Context | None,
    ) -> None:
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None


class Timed(asyncio.TimerHandle):
    """A callback of a moment to come; `_scheduled` until the loop takes it."""

    __slots__ = ()

    _context: Context
    _loop: asyncio.AbstractEventLoop
    _callback: Callable[..., object] | None
    _repr: str | None
    _source_traceback: None
    _when: float
    _scheduled: bool

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[object, ...],
        loop: asyncio.AbstractEventLoop,
        context: Context | None,
    ) -> None:
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None
        self._when = when
        self._scheduled = True

    def cancel(self) -> None:
        """Do not call it. Whoever has slept says so too, when it has been called."""
        if not self._cancelled:
            if self._scheduled:
                self._loop._timer_handle_cancelled(self)  # type: ignore[attr-defined]
            self._cancelled = True
            self._callback = None
            self._args = ()
