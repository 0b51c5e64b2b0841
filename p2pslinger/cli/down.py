"""`slinger down`: end this machine's peer, and return when it is gone."""

from __future__ import annotations

import time

import click

from p2pslinger import paths
from p2pslinger.cli.ask import ask
from p2pslinger.cli.commands import Command
from p2pslinger.cli.words import counted
from p2pslinger.errors import UnavailableError
from p2pslinger.store.folder import DataFolder, FolderBusyError
from p2pslinger.wire.control import Done, Stop
from p2pslinger.wire.resigning import Resign, Resigning

#: Seconds that a peer may take to end its slots and say goodbye.
ENDING = 15.0

#: Seconds between two looks.
LOOK = 0.05


#: Seconds that jobs may take to be handed over, and between two questions about it.
RESIGNING, ASK = 60.0, 0.5


@click.command(cls=Command, epilog="slinger down\nslinger down --resign")
@click.option(
    "--resign",
    is_flag=True,
    help="First give the jobs that it keeps to other peers; up to a minute.",
)
def down(*, resign: bool) -> None:
    """Stop this machine's peer.

    Returns when it is gone. Other peers compute again what it had not finished. What it
    keeps for others stays on its disk until it is started again, unless it resigns.
    """
    if resign:
        _resign()
    ask(Stop(), Done)
    _wait(DataFolder(paths.default_data_folder()))
    click.echo("the peer is stopped")


def _resign() -> None:
    """Have the peer hand over its jobs, and say what became of that."""
    patience = time.monotonic() + RESIGNING
    found = ask(Resign(), Resigning)
    if found.left > found.stuck:
        jobs = counted(found.left, "job")
        click.echo(f"handing over {jobs} to other peers, for up to {RESIGNING:.0f} s")
    while found.left > found.stuck and time.monotonic() < patience:
        time.sleep(ASK)
        found = ask(Resign(), Resigning)
    if not found.left:
        jobs = counted(found.jobs, "job")
        click.echo(f"{jobs} handed over" if found.jobs else "it keeps no job")
        return
    why = "no other peer can take it over" if found.stuck else "others lack some of it"
    click.echo(
        f"{counted(found.left, 'job')} of {found.jobs} not handed over: {why} now. "
        "What this machine has of it stays on its disk, for when its peer runs again",
        err=True,
    )


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
