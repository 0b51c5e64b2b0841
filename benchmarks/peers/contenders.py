"""Everyone who takes part, in the order of the table's columns."""

from __future__ import annotations

from benchmarks.peers.contender import Contender
from benchmarks.peers.ours import OverTls, OwnMachine, ThreeHosts
from benchmarks.peers.pools import Loky, Pool
from benchmarks.peers.withdask import Dask
from benchmarks.peers.withipyparallel import IPyParallel
from benchmarks.peers.withray import Ray

CONTENDERS: dict[str, type[Contender]] = {
    "tls": OverTls,
    "own": OwnMachine,
    "hosts": ThreeHosts,
    "pool": Pool,
    "loky": Loky,
    "dask": Dask,
    "ray": Ray,
    "ipyparallel": IPyParallel,
}

#: The one that is compared, and those that it is to be ahead of in every row.
HONEST, RIVALS = "tls", ("dask", "ray", "ipyparallel")


def find(name: str) -> Contender:
    """Make a contender by its name."""
    return CONTENDERS[name]()
