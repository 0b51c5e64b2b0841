"""Tests in virtual time on a simulated network: for the grid, and for what uses it.

Nothing here needs pytest, except `p2pslinger.testing.fixtures`.
"""

from __future__ import annotations

from p2pslinger.testing.hashseed import ensure_hash_seed, reproducible
from p2pslinger.testing.hosts import Host, Traffic
from p2pslinger.testing.links import BREAK_AFTER
from p2pslinger.testing.loop import VirtualLoop
from p2pslinger.testing.network import Network
from p2pslinger.testing.virtual import current, run

__all__ = [
    "BREAK_AFTER",
    "Host",
    "Network",
    "Traffic",
    "VirtualLoop",
    "current",
    "ensure_hash_seed",
    "reproducible",
    "run",
]
