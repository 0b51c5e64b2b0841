"""`slinger up`: become this machine's peer, here or in the background."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pslinger.cli.commands import Command

if TYPE_CHECKING:
    from p2pslinger.peer.config import Config
    from p2pslinger.wire.records import Address

EPILOG = (
    "slinger up\n"
    "slinger up --slots 2 --bootstrap node.example.org\n"
    "slinger up --slots 0 --port 8468 --detach"
)


def read_addresses(
    _: click.Context, __: click.Parameter, values: tuple[str, ...]
) -> tuple[Address, ...]:
    """Return bootstrap addresses, each as HOST, HOST:PORT, IPv6 or [IPv6]:PORT.

    Raises:
        BadParameter: one is none of these.
    """
    from p2pslinger.peer.settings import read_address

    read = []
    for value in values:
        try:
            read.append(read_address(value))
        except ValueError:
            raise click.BadParameter(
                f"{value!r} is no address such as 192.168.1.5, node.example.org:8468 "
                "or [2001:db8::5]:8468"
            ) from None
    return tuple(read)


@click.command(cls=Command, epilog=EPILOG)
@click.option(
    "--slots",
    type=click.IntRange(0, 4096),
    metavar="N",
    help="Tasks computed at once; all cores but one if not given, 0 for none.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="Port, TCP and UDP, and no other; 8468 or the next free one if not given.",
)
@click.option(
    "--bootstrap",
    metavar="HOST[:PORT]",
    multiple=True,
    callback=read_addresses,
    help="A peer to join through; several times for several.",
)
@click.option(
    "--trust-members",
    is_flag=True,
    help="Treat every member as you: no sandbox. Tasks can do whatever you can.",
)
@click.option("--name", help="What to call this machine; its host name if not given.")
@click.option("--no-mdns", is_flag=True, help="Do not use discovery on the LAN.")
@click.option("--detach", is_flag=True, help="Return once the peer is ready.")
@click.option("--verbose", is_flag=True, help="Print what happens.")
@click.option("--log-file", type=click.Path(path_type=Path), hidden=True)
def up(  # noqa: PLR0917 - click passes them by name
    slots: int | None,
    port: int | None,
    bootstrap: tuple[Address, ...],
    trust_members: bool,
    name: str | None,
    no_mdns: bool,
    detach: bool,
    verbose: bool,
    log_file: Path | None,
) -> None:
    """Start this machine's peer.

    It stays in the foreground until Ctrl-C or `slinger down`. With --detach it runs
    in the background and writes peer.log in the data folder.
    """
    from p2pslinger.peer.loading import loading

    with loading():
        from p2pslinger.peer.config import load

    config = load(
        slots=slots,
        port=port,
        bootstrap=bootstrap or None,
        trust_members=trust_members or None,
        name=name,
        mdns=False if no_mdns else None,
    )
    if detach:
        from p2pslinger.cli.detach import start_detached

        start_detached(config)
    else:
        _stay(config, log_file, verbose=verbose)


def _stay(config: Config, log_file: Path | None, *, verbose: bool) -> None:
    """Be the peer until somebody ends it."""
    from p2pslinger.cli.announce import Announcer
    from p2pslinger.cli.logs import log_to
    from p2pslinger.peer.loading import loading

    with loading():
        from p2pslinger.peer.run import run

    level = config.log_level if verbose or log_file else "warning"
    announcer = Announcer(config.data)
    with log_to(log_file, level):
        try:
            run(config, ready=announcer.listening)
        finally:
            announcer.end()
