"""Several machines, ordinary Python functions, no server.

    import p2pslinger as slinger

    with slinger.connect() as grid:
        for square in grid.map(lambda x: x * x, range(10)):
            print(square)

The names below are the public promise; they are loaded when first used, so that the
processes that run tasks never import what they do not need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from p2pslinger.version import __version__ as __version__

if TYPE_CHECKING:
    from p2pslinger.client.asynchronous import aconnect
    from p2pslinger.client.connect import connect, local
    from p2pslinger.client.grid import Grid
    from p2pslinger.client.initializer import InitializerError
    from p2pslinger.client.job import Job
    from p2pslinger.client.link import BrokenGridError
    from p2pslinger.client.replay import Replay
    from p2pslinger.client.session import ShutDownError
    from p2pslinger.client.sharing import Shared
    from p2pslinger.client.source import Source
    from p2pslinger.errors import (
        PackingError,
        PeerError,
        RemoteError,
        SlingerError,
        TaskError,
        TaskKilledError,
        TaskTimeoutError,
        UnavailableError,
        UntrustedValueError,
        UsageError,
    )
    from p2pslinger.sandbox.task import task
    from p2pslinger.wire.facts import JobFacts, PeerFacts, TallyFacts
    from p2pslinger.wire.ownfacts import StatusFacts


_HOMES = {
    "aconnect": "p2pslinger.client.asynchronous",
    "connect": "p2pslinger.client.connect",
    "local": "p2pslinger.client.connect",
    "BrokenGridError": "p2pslinger.client.link",
    "InitializerError": "p2pslinger.client.initializer",
    "Replay": "p2pslinger.client.replay",
    "ShutDownError": "p2pslinger.client.session",
    "Grid": "p2pslinger.client.grid",
    "Job": "p2pslinger.client.job",
    "task": "p2pslinger.sandbox.task",
    "Shared": "p2pslinger.client.sharing",
    "Source": "p2pslinger.client.source",
    "JobFacts": "p2pslinger.wire.facts",
    "PeerFacts": "p2pslinger.wire.facts",
    "StatusFacts": "p2pslinger.wire.ownfacts",
    "TallyFacts": "p2pslinger.wire.facts",
}

__all__ = [
    "BrokenGridError",
    "Grid",
    "InitializerError",
    "Job",
    "JobFacts",
    "PackingError",
    "PeerError",
    "PeerFacts",
    "RemoteError",
    "Replay",
    "Shared",
    "ShutDownError",
    "SlingerError",
    "Source",
    "StatusFacts",
    "TallyFacts",
    "TaskError",
    "TaskKilledError",
    "TaskTimeoutError",
    "UnavailableError",
    "UntrustedValueError",
    "UsageError",
    "aconnect",
    "connect",
    "local",
    "task",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, "p2pslinger.errors")), name)
    globals()[name] = value
    return value
