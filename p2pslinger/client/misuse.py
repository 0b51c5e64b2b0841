"""A grid's options where a call's arguments belong: said at once, with the right way.

`submit` hands every keyword to the function, as all executors do. So an option that was
meant for the grid would come back much later, as a failure of the task.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable

from p2pslinger.errors import UsageError

#: What `Grid.options` and `Grid.start` take.
OPTIONS = frozenset(
    {
        "initargs",
        "initializer",
        "keepers",
        "memory",
        "platform",
        "replicate",
        "requires",
        "sandbox",
        "seeded",
        "timeout",
        "trusted",
        "types",
    }
)

#: Those of them that single calls can have.
OF_CALLS = OPTIONS - {"keepers", "replicate"}


class MisplacedOptionError(UsageError, TypeError):
    """An option of the grid was given as an argument of the function."""


def check_keywords(fn: Callable[..., object], keywords: Iterable[str]) -> None:
    """See that no keyword of a call is an option that the function can't take.

    Raises:
        MisplacedOptionError: one is; the text says where it belongs.
    """
    for name in sorted(OPTIONS.intersection(keywords)):
        if _takes(fn, name):
            continue
        right = f"grid.options({name}=...).submit(...)"
        if name not in OF_CALLS:
            right = f"grid.start(..., {name}=...)"
        raise MisplacedOptionError(
            f"{getattr(fn, '__name__', fn)!s:.100} takes no argument {name!r}, and "
            f"submit hands every keyword to the function: if the grid is meant, "
            f"write {right}"
        )


def _takes(fn: Callable[..., object], name: str) -> bool:
    try:
        parameters = inspect.signature(fn).parameters
    except (TypeError, ValueError):
        return True  # it does not say: the task will
    found = parameters.get(name)
    if found is not None and found.kind is not found.POSITIONAL_ONLY:
        return True
    return any(one.kind is one.VAR_KEYWORD for one in parameters.values())
