"""A function that a slot calls once, before it calls what the program has sent.

It travels inside the pickle of each function and is called as that is loaded. So it
sees the same globals and the same local modules as the function does, whose tasks find
what it has left there. A slot that is used for two functions calls it for each.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor

from p2pslinger.errors import TaskError, UsageError
from p2pslinger.sandbox.prepared import prepared

#: Functions for which the combination is kept: what is made anew is packed anew.
REMEMBERED = 64


class InitializerError(TaskError, BrokenExecutor):
    """The initializer has failed in some slot, and so the executor is of no use."""


class Initializer:
    """What is to be called first.

    Args:
        function: It.
        arguments: What it is called with.

    Attributes:
        broken: How it has failed somewhere, or None.
    """

    def __init__(
        self, function: Callable[..., object], arguments: tuple[object, ...] = ()
    ) -> None:
        check_initializer(function)
        self.function = function
        self.arguments = arguments
        self.broken: InitializerError | None = None
        self._made: dict[int, Initialized] = {}  # by the function's id

    def before(self, function: Callable[..., object]) -> Initialized:
        """Return `function` with this in front; for one function, the same each time.

        Raises:
            InitializerError: it has failed already.
        """
        if self.broken is not None:
            raise self.broken
        known = self._made.get(id(function))
        if known is not None and known.function is function:
            return known
        while len(self._made) >= REMEMBERED:
            self._made.pop(next(iter(self._made)), None)
        made = self._made[id(function)] = Initialized(function, self)
        return made


def check_initializer(function: object) -> None:
    """See that an initializer, if there is one, can be called.

    Raises:
        UsageError: it can't.
    """
    if function is not None and not callable(function):
        raise UsageError(f"the initializer {function!r:.60} is not a function")


class Initialized:
    """A function with an initializer in front of it."""

    def __init__(self, function: Callable[..., object], first: Initializer) -> None:
        self.function = function
        self.first = first
        self.__name__ = self.__qualname__ = getattr(function, "__qualname__", "")
        self.__module__ = getattr(function, "__module__", "")

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Call the function alone: in this process nothing is to be initialized."""
        return self.function(*args, **kwargs)

    def __reduce__(self) -> tuple[object, ...]:
        """Be the function itself in a slot, once the initializer has been called."""
        return prepared, (self.function, self.first.function, self.first.arguments)
