"""A function with an initializer in front of it, as a slot unpacks it.

Only what lies in this folder, and is loaded by the runner, is sure to be in every slot.
"""

from __future__ import annotations

from collections.abc import Callable


class InitializerFailedError(Exception):
    """The initializer has failed; what is raised for it in the program says how."""


def prepared(
    function: Callable[..., object],
    initializer: Callable[..., object],
    arguments: tuple[object, ...],
) -> Callable[..., object]:
    """Call the initializer, in a slot; return the function.

    Raises:
        InitializerFailedError: it has failed.
    """
    try:
        initializer(*arguments)
    except Exception as error:
        raise InitializerFailedError(
            f"the initializer failed: {type(error).__name__}: {error}"
        ) from error
    return function
