"""Where other libraries' calls are computed: by slots whose results may be unpickled.

What joblib and Dask send back is more than plain data: models, data frames, lists of
outcomes of their own. From other people's machines that is refused. So unless the
program trusts everyone, these calls go to slots of its own machine, and of peers that
count as its own, alone. If there are none, the program computes them itself, and says
so.
"""

from __future__ import annotations

import warnings

from p2pslinger.client.grid import Grid


def is_bounded(grid: Grid) -> bool:
    """Tell whether a grid's results from other people's machines are plain data."""
    return grid.trust == "safe"


def slots(grid: Grid, *, trusted: bool) -> int:
    """Count a grid's slots, or those whose results may be unpickled."""
    return sum(one.slots for one in grid.peers() if one.mine or not trusted)


def is_alone(grid: Grid, who: str) -> bool:
    """Tell whether a grid has no trusted slots; if so, warn of it.

    Args:
        grid: It.
        who: The library that has to do without.
    """
    if slots(grid, trusted=True):
        return False
    warnings.warn(
        f"{who} computes in this process alone: its results are more than plain data, "
        "so that only slots of this machine, and of peers that count as its own, may "
        "compute them, and there are none. Start the peer here with slots (`slinger up "
        "--slots N`), say `slinger allow PEER` for a machine of yours, or connect with "
        'trust="pickle", which lets whoever computes run code here',
        stacklevel=4,
    )
    return True
