"""`python -m p2pslinger.peer`: a peer that a program has brought along.

It is configured by its environment (SLINGER_...; only here SLINGER_THROW_AWAY lets it
remove its data folder at its end, SLINGER_STRANGERS treat its own programs as it does
those of others, and SLINGER_POLITE=no lets slots for others compete with whatever else
runs here), says "ready HOST:PORT" or one line of what is wrong on its standard output,
and ends with its last program. Once it is ready
it complains into peer.log of its data folder: it may outlive the program that started
it, and who reads that program's standard error waits until all have closed it.
"""

from __future__ import annotations

import os
import sys

from p2pslinger.errors import SlingerError
from p2pslinger.peer.loading import loading

with loading():
    from p2pslinger.peer.config import load
    from p2pslinger.peer.run import run
    from p2pslinger.store.folder import FolderBusyError

LOG_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND


def main() -> int:
    """Run the peer; return the exit code."""

    try:
        config = load(
            program_bound=True,
            throw_away=os.environ.get("SLINGER_THROW_AWAY"),
            strangers=os.environ.get("SLINGER_STRANGERS"),
            polite=os.environ.get("SLINGER_POLITE"),
        )

        def ready(address: str) -> None:
            if not config.throw_away:
                log = os.open(config.data / "peer.log", LOG_FLAGS, 0o600)
                os.dup2(log, sys.stderr.fileno())
                os.close(log)
            print(f"ready {address}", flush=True)

        run(config, ready=ready)
    except FolderBusyError as error:
        print(f"busy {error}", flush=True)
        return 3
    except SlingerError as error:
        print(f"error {error}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
