"""How well this machine can confine a slot: found by trying, at the start.

From the strongest way down, a slot is made, and tries from inside what it must not be
able to do. The first way in which all is refused gives the level. What the stronger
ways lack is kept, in words, for `doctor` and the peer card.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import pickle
import struct
from pathlib import Path

from p2pslinger.errors import UnavailableError
from p2pslinger.sandbox import attempts
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.launcher import Launcher
from p2pslinger.sandbox.level import Finding, Level
from p2pslinger.sandbox.packed import STAR
from p2pslinger.sandbox.slot import Exit, Order, Outcome, Piece

#: Seconds that the attempts in one slot may take.
PATIENCE = 10.0

#: Above the numbers of slots that compute meanwhile, also those modulo 4,096.
NUMBERS = (1 << 20) + 2048

#: Bytes of memory for the slot.
MEMORY = 1 << 28


async def probe(scratch: Path) -> Finding:
    """Find this machine's level.

    Args:
        scratch: Folder of this user's; a file is put there and removed.
    """
    missing: list[str] = []
    bait = _bait(scratch)
    launcher = Launcher(scratch, polite=False, after=NUMBERS)
    try:
        for level in (Level.STRONG, Level.GOOD, Level.WEAK):
            confinement = Confinement(level.value)
            try:
                possible = await _possible(launcher, confinement, bait)
            except UnavailableError as error:
                missing.append(f"{level}: {error}")
                continue
            if not possible or level is Level.WEAK:
                return Finding(level, confinement, tuple(missing), possible)
            missing.append(f"{level}: a task could {', '.join(possible)}")
        return Finding(Level.NONE, None, tuple(missing))
    finally:
        await launcher.close()
        os.unlink(bait)


def _bait(scratch: Path) -> str:
    """Return the path of a file that no task may open."""
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    bait = scratch.absolute() / f"probe-{os.getpid()}"
    bait.touch(mode=0o600)
    return str(bait)


async def _possible(
    launcher: Launcher, confinement: Confinement, bait: str
) -> tuple[str, ...]:
    """Return what a slot confined like this can do, of what it must not.

    Raises:
        UnavailableError: There can't be such a slot, or it does not answer.
    """
    answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def done(outcome: Outcome) -> None:
        if not answer.done():
            answer.set_result(outcome.output)

    def ended(exit: Exit) -> None:
        if not answer.done():
            said = exit.output.decode("utf-8", "replace")[-200:]
            error = UnavailableError(f"a slot ended while it was probed: {said}")
            answer.set_exception(error)

    slot = await launcher.slot(done, ended, MEMORY, confinement)
    names = list(attempts.ATTEMPTS)
    arguments = [(name, bait, os.getpid()) for name in names]
    slot.load(0, _code(), None)
    slot.shard(0, 0, STAR, pickle.dumps(arguments, 5))
    slot.run(Order(0, 0, (Piece(0, 0, len(names)),), math.inf))
    try:
        async with asyncio.timeout(PATIENCE):
            text = (await answer).decode("utf-8", "replace")
    except TimeoutError as error:
        raise UnavailableError("a slot did not answer when it was probed") from error
    finally:
        slot.kill()
    said = [line.split("\t") for line in text.splitlines()]
    refused = {words[1] for words in said if words[0] == "refused"}
    return tuple(name for name in names if name not in refused)


def _code() -> bytes:
    """Return the attempts as a function package: see `p2pslinger.sandbox.packages`."""
    header: dict[str, object]
    header = {"kind": "source", "name": "attempt", "python": None, "modules": []}
    raw = json.dumps(header).encode()
    source = Path(attempts.__file__).read_bytes()
    return struct.pack("<I", len(raw)) + raw + source
