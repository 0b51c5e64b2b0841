"""`python -m p2pslinger.peer`: a peer that a program has brought along.

It is configured by its environment (SLINGER_...; only here SLINGER_THROW_AWAY lets it
remove its data folder at its end), says "ready HOST:PORT" or one line of
what is wrong on its standard output, and ends with its last program.
"""

from __future__ import annotations

import os
import sys

from p2pslinger.errors import SlingerError
from p2pslinger.peer.config import load
from p2pslinger.peer.run import run
from p2pslinger.store.folder import FolderBusyError


def main() -> int:
    """Run the peer; return the exit code."""

    def ready(address: str) -> None:
        print(f"ready {address}", flush=True)

    try:
        throw_away = os.environ.get("SLINGER_THROW_AWAY")
        run(load(program_bound=True, throw_away=throw_away), ready=ready)
    except FolderBusyError as error:
        print(f"busy {error}", flush=True)
        return 3
    except SlingerError as error:
        print(f"error {error}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
