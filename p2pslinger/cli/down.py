"""`slinger down`: end this machine's peer, and return when it is gone."""

from __future__ import annotations

import time

import click

from p2pslinger import paths
from p2pslinger.cli.ask import ask
from p2pslinger.cli.commands import Command
from p2pslinger.errors import UnavailableError
from p2pslinger.store.folder import DataFolder, FolderBusyError
from p2pslinger.wire.control import Done, Stop

#: Seconds that a peer may take to end its slots and say goodbye.
ENDING = 15.0

#: Seconds between two looks.
LOOK = 0.05


@click.command(cls=Command, epilog="slinger down")
def down() -> None:
    """Stop this machine's peer.

    Returns when it is gone. Other peers compute again what it had not finished.
    """
    ask(Stop(), Done)
    _wait(DataFolder(paths.default_data_folder()))
    click.echo("the peer is stopped")


def _wait(folder: DataFolder) -> None:
    """Wait until no process holds the data folder."""
    patience = time.monotonic() + ENDING
    while True:
        try:
            folder.lock().release()
            return
        except FolderBusyError as busy:
            if time.monotonic() > patience:
                raise UnavailableError(
                    f"the peer (process {busy.pid}) was told to stop {ENDING:.0f} s "
                    "ago and still runs: end that process"
                ) from None
        time.sleep(LOOK)
