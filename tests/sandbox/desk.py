"""A desk in front of real slots: hands functions in, and gives back what came out."""

from __future__ import annotations

import asyncio
import json
import math
import pickle
import struct
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import cloudpickle

from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.interpreter import Interpreter
from p2pslinger.sandbox.interpreters import Interpreters
from p2pslinger.sandbox.launcher import Launcher
from p2pslinger.sandbox.packed import (
    CALLS,
    PLAIN,
    SCALAR_VALUES,
    STAR,
    pack_items,
    unpack_items,
)
from p2pslinger.sandbox.process import SlotProcess
from p2pslinger.sandbox.slot import Exit, Failure, Order, Outcome, Piece

Function = Callable[..., object]

MEMORY = 1 << 30

#: Seconds after which an answer that has not come never will.
PATIENCE = 30.0

SEED = bytes(range(16))


def packaged(
    function: Function,
    *,
    modules: Sequence[tuple[str, str]] = (),
    packages: Sequence[str] = (),
    python: list[int] | None = None,
) -> bytes:
    """Package a function by value, with modules given as (name, source)."""
    module = sys.modules.get("tests")
    by_value = module is not None and function.__module__.startswith("tests.")
    if by_value:
        cloudpickle.register_pickle_by_value(module)
    payload = cloudpickle.dumps(function, 5)
    if by_value:
        cloudpickle.unregister_pickle_by_value(module)
    return wrapped(
        payload,
        "pickle",
        function.__name__,
        modules=modules,
        packages=packages,
        python=python,
    )


def source(text: str, name: str) -> bytes:
    """Package a function of a source text."""
    return wrapped(text.encode(), "source", name)


def wrapped(
    payload: bytes,
    kind: str,
    name: str,
    *,
    modules: Sequence[tuple[str, str]] = (),
    packages: Sequence[str] = (),
    python: list[int] | None = None,
) -> bytes:
    """Put a header before a payload."""
    shipped = [
        {"name": n, "file": f"/home/ann/{n}.py", "package": n in packages, "source": s}
        for n, s in modules
    ]
    header = {"kind": kind, "name": name, "python": python, "modules": shipped}
    raw = json.dumps(header).encode()
    return struct.pack("<I", len(raw)) + raw + payload


def decoded(outcome: Outcome) -> list[object]:
    """Return an outcome's values, with the failure in place of each that failed."""
    failed = {failure.index: failure for failure in outcome.failures}
    values: list[object]
    if outcome.form == SCALAR_VALUES:
        values = list(pickle.loads(outcome.values))
    else:
        items = unpack_items(outcome.values)
        values = [pickle.loads(item) if item else None for item in items]
    assert len(values) == outcome.stop - outcome.start
    return [failed.get(outcome.start + i, value) for i, value in enumerate(values)]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something about another process that sends no event."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - there is none to wait for
            await asyncio.sleep(0)


class Worker:
    """One slot, its outcomes and its exit."""

    def __init__(self) -> None:
        self.slot: SlotProcess
        self.outcomes: asyncio.Queue[Outcome] = asyncio.Queue()
        self.exits: asyncio.Queue[Exit] = asyncio.Queue()
        self._jobs = 0

    def load(
        self,
        code: bytes,
        arguments: Sequence[object],
        *,
        form: int = PLAIN,
        seed: bytes | None = None,
    ) -> int:
        """Give a new job with one shard; return its number."""
        self._jobs += 1
        self.slot.load(self._jobs, code, seed)
        items = [cloudpickle.dumps(argument, 5) for argument in arguments]
        plain = form in {PLAIN, STAR}
        data = pickle.dumps(list(arguments), 5) if plain else pack_items(items)
        self.slot.shard(self._jobs, 0, form, data)
        return self._jobs

    def order(
        self, job: int, low: int, high: int, *, slice: float = math.inf, start: int = 0
    ) -> None:
        """Order tasks of a job; the first task's index is `start` plus `low`."""
        self.slot.run(Order(job, start + low, (Piece(0, low, high),), slice))

    async def outcome(self) -> Outcome:
        """Wait for the next outcome."""
        async with asyncio.timeout(PATIENCE):
            return await self.outcomes.get()

    async def exit(self) -> Exit:
        """Wait for the exit."""
        async with asyncio.timeout(PATIENCE):
            return await self.exits.get()

    async def compute(
        self,
        code: bytes,
        arguments: Sequence[object],
        *,
        form: int = PLAIN,
        seed: bytes | None = None,
    ) -> list[object]:
        """Compute a new job to its end."""
        job = self.load(code, arguments, form=form, seed=seed)
        self.order(job, 0, len(arguments))
        return decoded(await self.outcome())

    async def call(self, function: Function, *args: object) -> object:
        """Call a function once; return its value or its failure."""
        (value,) = await self.compute(packaged(function), [(args, {})], form=CALLS)
        return value

    async def fail(self, function: Function, *args: object) -> Failure:
        """Call a function that fails."""
        failure = await self.call(function, *args)
        assert isinstance(failure, Failure)
        return failure

    async def die(self, function: Function, *args: object) -> Exit:
        """Call a function that ends the slot."""
        job = self.load(packaged(function), [(args, {})], form=CALLS)
        self.order(job, 0, 1)
        return await self.exit()


class Desk:
    """A launcher and as many workers as a test asks for."""

    def __init__(self, launcher: Launcher) -> None:
        self.launcher = launcher

    async def worker(
        self,
        *,
        memory: int = MEMORY,
        confinement: Confinement = Confinement.OWN,
        interpreter: Interpreter | None = None,
    ) -> Worker:
        """Start a slot."""
        worker = Worker()
        worker.slot = await self.launcher.slot(
            worker.outcomes.put_nowait,
            worker.exits.put_nowait,
            memory,
            confinement,
            interpreter,
        )
        return worker


def another() -> Interpreter | None:
    """Return an interpreter of another version, if this machine has one."""
    found = asyncio.run(Interpreters(search=True).find())
    return found[1] if len(found) > 1 else None


def at_a_desk(
    scenario: Callable[[Desk], Awaitable[None]], *, polite: bool = False
) -> None:
    """Play a scenario with a launcher of its own, and close it.

    Args:
        polite: Slots for others take the idle class: on a busy machine they wait.
    """

    async def play() -> None:
        with tempfile.TemporaryDirectory() as folder:
            launcher = Launcher(Path(folder) / "scratch", polite=polite)
            try:
                await scenario(Desk(launcher))
            finally:
                await launcher.close()
            assert not list((Path(folder) / "scratch").glob("*"))

    asyncio.run(play())


def with_a_worker(scenario: Callable[[Worker], Awaitable[None]]) -> None:
    """Play a scenario with one slot."""

    async def play(desk: Desk) -> None:
        await scenario(await desk.worker())

    at_a_desk(play)
