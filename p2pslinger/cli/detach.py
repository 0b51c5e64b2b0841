"""A peer in the background: start a process of its own, and wait until it answers."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

import p2pslinger.cli
from p2pslinger import paths
from p2pslinger.cli.announce import FINDING, company, who, with_neighbours
from p2pslinger.cli.ask import PATIENCE, put
from p2pslinger.client.link import Link
from p2pslinger.errors import UnavailableError
from p2pslinger.store.folder import DataFolder
from p2pslinger.wire.control import GetStatus, Status

if TYPE_CHECKING:
    from p2pslinger.peer.config import Config

#: Seconds that a peer gets until it answers: a hundred times what it needs.
STARTING = 30.0

#: Seconds between two looks.
LOOK = 0.05

#: Seconds in which a peer that was told of no other may find one before we go: those
#: that it has met before answer sooner than that, if they are there.
ON_ITS_OWN = 1.0

#: Bytes of the log's end in which a failed start's sentence is looked for.
TAIL = 4096


def start_detached(config: Config) -> None:
    """Start a peer in the background; return when it is ready.

    Raises:
        FolderBusyError: one runs already.
        UnavailableError: it did not start; the text says what it said.
    """
    folder = DataFolder.make(config.data)
    folder.lock().release()
    log = folder.path / "peer.log"
    process = _spawn(config, log)
    link = _first_answer(process, folder.path, log)
    with link:
        facts = put(link, GetStatus(), Status).facts
        click.echo(f"listening on {facts.address or 'nothing'}, process {process.pid}")
        click.echo(who(facts))
        patience = FINDING if config.bootstrap else ON_ITS_OWN
        click.echo(company(link, with_neighbours(link, patience)))
    click.echo(f"its log is {log}")
    process.returncode = 0  # it is meant to outlive us: no warning about that


def arguments(config: Config) -> list[str]:
    """Return the options of `slinger up` that lead to the same configuration."""
    given = ["--name", config.name]
    if config.slots is not None:
        given += ["--slots", str(config.slots)]
    if config.port_fixed:
        given += ["--port", str(config.port)]
    for address in config.bootstrap:
        host = f"[{address.host}]" if ":" in address.host else address.host
        given += ["--bootstrap", f"{host}:{address.port}"]
    given += ["--trust-members"] if config.trust_members else []
    given += [] if config.mdns else ["--no-mdns"]
    return given


def _spawn(config: Config, log: Path) -> subprocess.Popen[bytes]:
    root = Path(p2pslinger.cli.__file__).parents[2]
    # -P: a file in the current folder is not to stand in for a module. Unless that
    # folder is where slinger itself comes from.
    safe = [] if Path.cwd() == root else ["-P"]
    command = [sys.executable, *safe, "-m", "p2pslinger", "up", *arguments(config)]
    with log.open("ab") as output:
        return subprocess.Popen(
            [*command, "--log-file", str(log)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _first_answer(process: subprocess.Popen[bytes], data: Path, log: Path) -> Link:
    """Wait until the new peer's control socket can be reached."""
    patience = time.monotonic() + STARTING
    while process.poll() is None and time.monotonic() < patience:
        try:
            return Link.open(paths.control_path(data), PATIENCE)
        except UnavailableError:
            time.sleep(LOOK)
    if process.poll() is None:
        process.terminate()
        process.wait(PATIENCE)
        raise UnavailableError(
            f"the peer did not answer for {STARTING:.0f} s and was ended: see {log}"
        )
    raise UnavailableError(last_words(log) or f"the peer ended at once: see {log}")


def last_words(log: Path) -> str:
    """Return the sentence with which a peer gave up, or "" if it left none."""
    with log.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - TAIL))
        lines = file.read().decode(errors="replace").splitlines()
    said = [line for line in lines if line.startswith("Error: ")]
    return said[-1].removeprefix("Error: ") if said else ""
