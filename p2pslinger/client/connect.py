"""Ways to a Grid: this machine's peer, or a throw-away grid of local ones."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import get_args

from p2pslinger import paths
from p2pslinger.client.children import start_peer
from p2pslinger.client.grid import Grid
from p2pslinger.client.initializer import check_initializer
from p2pslinger.client.link import Link, NoPeerError
from p2pslinger.client.localgrid import LocalGrid
from p2pslinger.client.needing import asked
from p2pslinger.client.values import Trust
from p2pslinger.errors import UnavailableError, UsageError
from p2pslinger.wire.control import GetStatus

#: Seconds that a peer gets to start.
START = 30.0

#: Seconds between two looks at whether another program's peer has started, or has gone.
LOOK = 0.02

#: What a program is told once that decodes whatever comes.
TRUSTS_ALL = (
    'trust="pickle": whoever computes a task of this program can run code in it, with '
    "all that you may do here. Values of other peers are unpickled; leave trust out to "
    "have plain data only, or name your own types in types="
)


class TrustWarning(UserWarning):
    """A program decodes whatever others send."""


#: Looks before it is tried to start one after all.
LOOKS = 25


def connect(
    *,
    trust: Trust = "safe",
    data: str | Path | None = None,
    requires: Iterable[str] | None = None,
    platform: str | None = None,
    memory: int | str | None = None,
    sandbox: bool = False,
    initializer: Callable[..., object] | None = None,
    initargs: tuple[object, ...] = (),
    types: Iterable[type] = (),
) -> Grid:
    """Connect to this machine's peer; if none runs, start one that ends with us.

    Args:
        trust: How far values from other peers are decoded: "safe" (plain data) or
            "pickle" (anything: whoever computed it could run code here).
        data: The peer's data folder, if it is not the usual one.
        requires: Packages that a peer must have to compute this program's functions,
            as "numpy>=2". Others never see the tasks.
        platform: What its machine must be: "linux", "macos-arm64" and the like.
        memory, sandbox: As for `Grid.options`, for all functions.
        initializer: Called by each slot before it calls a function for the first time.
            If it fails, so does everything.
        initargs: Its arguments.
        types: Dataclasses, named tuples and enums that results may hold beside plain
            data, dates, exact numbers, paths, UUIDs and NumPy arrays.

    Raises:
        UsageError: a requirement is none, or a type is of another kind, or there is no
            such trust.
        UnavailableError: no peer runs, and none can be started; the text says why.
        IncompatibleError: the peer is of another version.
    """
    needs = asked(requires, platform, memory=memory, sandbox=sandbox)
    check_initializer(initializer)
    if trust not in get_args(Trust):
        raise UsageError(f'trust={trust!r} is neither "safe" nor "pickle"')
    folder = Path(data) if data is not None else paths.default_data_folder()
    if trust == "pickle":
        warnings.warn(TRUSTS_ALL, TrustWarning, stacklevel=2)
    return Grid(
        _link(folder),
        trust=trust,
        needs=needs,
        initializer=initializer,
        initargs=initargs,
        types=types,
    )


def local(
    peers: int = 2,
    *,
    slots: int | Sequence[int] = 1,
    strangers: bool = False,
    prefs: Mapping[str, object] | None = None,
    initializer: Callable[..., object] | None = None,
    initargs: tuple[object, ...] = (),
    types: Iterable[type] = (),
) -> Grid:
    """Start a throw-away grid of real peers on this machine; it ends with the Grid.

    Args:
        peers: How many peer processes. The program is connected to the first.
        slots: Slots of each, or one number for each peer: `slots=[0, 1, 1]` has the
            program's own peer compute nothing.
        strangers: The peers treat each other and this program as they would strangers
            on other machines: tasks run in the sandbox, results are plain data. What
            works like this works on any grid.
        prefs: What all peers let each other have, as in `slinger prefs`, such as
            `{"core_share": "25%"}`. Without it there are none: a throw-away grid
            computes whatever else its machine does.
        initializer, initargs: As for `connect`.
        types: As for `connect`; of use among strangers.

    Raises:
        UsageError: there is no peer, or not one number of slots for each.
        UnavailableError: a peer does not start, or this machine can't confine the
            tasks of strangers; the text says why.
    """
    check_initializer(initializer)
    each = [slots] * peers if isinstance(slots, int) else list(slots)
    if peers < 1 or min(each, default=0) < 0:
        raise UsageError("a local grid needs at least one peer, and no negative slots")
    if len(each) != peers:
        raise UsageError(
            f"{len(each)} numbers of slots were given for {peers} local peers: give "
            "one for each peer, or a single one for all"
        )
    grid = LocalGrid(each, strangers=strangers, prefs=prefs)
    trust: Trust = "safe" if strangers else "mine"
    return Grid(
        grid.link,
        trust=trust,
        on_close=grid.close,
        keepers=0,
        initializer=initializer,
        initargs=initargs,
        types=types,
    )


def _link(folder: Path) -> Link:
    """Connect to the peer that runs on `folder`; start one if there is none.

    Several programs may do so at once: one of their peers gets the folder, and the
    others' say so and end. And a peer that is found running may just be leaving.
    """
    deadline = time.monotonic() + START
    looks, brought = 1, False
    while True:
        for look in range(looks):
            time.sleep(LOOK if look else 0)
            try:
                link = _taken_by(paths.control_path(folder))
                link.brought = brought
                return link
            except NoPeerError:
                if time.monotonic() > deadline:
                    raise
        child = start_peer({"SLINGER_DATA": str(folder)})
        try:
            child.wait_until_ready(START)
        except UnavailableError:
            child.end()
            raise
        child.let_go()
        brought = True
        looks = LOOKS


def _taken_by(path: Path) -> Link:
    """Connect to a peer, and make sure that it has taken us.

    A peer that leaves with its last program may do so at the very moment that we
    connect; once it has answered, it has counted us.

    Raises:
        NoPeerError: there is none, or it has just left.
    """
    link = Link.open(path)
    try:
        link.request(GetStatus(), timeout=START)
    except UnavailableError as error:
        link.close()
        raise NoPeerError(str(error)) from None
    return link
