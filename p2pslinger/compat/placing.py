"""Where other libraries' calls are computed: by slots whose results may be unpickled.

What joblib and Dask send back is more than plain data: models, data frames, lists of
outcomes of their own. From other people's machines that is refused. So unless the
program trusts everyone, these calls go to slots of its own machine, and of peers that
its owner treats as his own, alone; and if there are none, it is told so at once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

from p2pslinger.client.grid import Grid
from p2pslinger.client.options import GridOptions


def placed(
    grid: Grid,
    who: str,
    *,
    trusted: bool | None = None,
    initializer: Callable[..., object] | None = None,
    initargs: tuple[object, ...] = (),
) -> GridOptions:
    """Return a grid's options for the calls of another library.

    Args:
        grid: It.
        who: The library, for the warning.
        trusted: Whether only trusted slots compute; None: unless the grid's results
            are unpickled anyway.
        initializer, initargs: As for `Grid.options`.
    """
    only = is_bounded(grid) if trusted is None else trusted
    if only and not slots(grid, trusted=True):
        warnings.warn(
            f"what {who} computes waits: its results are more than plain data, so "
            "that only slots of this machine, and of peers that count as its own, may "
            "compute it, and there are none. Start the peer here with slots (`slinger "
            "up --slots N`), say `slinger allow PEER` for a machine of yours, or "
            'connect with trust="pickle", which lets whoever computes run code here',
            stacklevel=3,
        )
    return grid.options(trusted=only, initializer=initializer, initargs=initargs)


def is_bounded(grid: Grid) -> bool:
    """Tell whether a grid's results from other people's machines are plain data."""
    return grid.trust == "safe"


def slots(grid: Grid, *, trusted: bool) -> int:
    """Count a grid's slots, or those whose results may be unpickled."""
    return sum(one.slots for one in grid.peers() if one.mine or not trusted)
