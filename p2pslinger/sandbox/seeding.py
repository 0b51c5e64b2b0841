"""Random numbers that depend on the task, not on the slot that happens to run it.

Before each task the global generators of `random` and `numpy.random` are seeded from
the job's seed and the task's index. Only those that are loaded: nothing here imports
them, and a task whose function never does pays nothing. One that is loaded in the
middle of a task comes out seeded for that task, by way of an import hook.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from struct import unpack
from types import ModuleType

from p2pslinger.sandbox.frames import AT, CELL, IDLE

#: Modules with a global generator, and how each is seeded from 32 bytes.
GENERATORS: dict[str, Callable[[ModuleType, bytes], object]] = {
    "random": lambda module, raw: module.seed(int.from_bytes(raw, "little")),
    "numpy.random": lambda module, raw: module.seed(list(unpack("<8I", raw))),
}

#: Interruption of a run: a generator has been loaded, the next task must be seeded.
LOADED = "a generator has been loaded"


class Seeder:
    """Seeds the generators that are loaded. Also the hook in `sys.meta_path`.

    Args:
        cells: The slot's shared memory: knows the task being computed.
        interruptions: Where to say that a generator has been loaded.
    """

    def __init__(self, cells: memoryview, interruptions: list[str]) -> None:
        self.seed: bytes | None = None
        self._cells = cells
        self._interruptions = interruptions
        self._outside = False
        # A .pth file of this installation may have loaded one at start-up.
        self._loaded = {n: sys.modules[n] for n in GENERATORS if n in sys.modules}

    def seeded(self, call: Callable[..., object]) -> Callable[..., object]:
        """Return a call that seeds first, or the same if there is nothing to seed."""
        if self.seed is None or not self._loaded:
            return call
        cells, reseed = self._cells, self._reseed

        def seeded_call(argument: object) -> object:
            reseed(cells[AT], self._loaded)
            return call(argument)

        return seeded_call

    @contextmanager
    def outside_tasks(self) -> Iterator[None]:
        """Make numbers drawn while a function is loaded the same in every slot."""
        if self.seed is not None:
            self._reseed(IDLE - 1, self._loaded)
        self._outside = True
        try:
            yield
        finally:
            self._outside = False

    def loaded(self, name: str, module: ModuleType) -> None:
        """Take note of a generator just imported, and seed it for the task at hand."""
        self._loaded[name] = module
        at = IDLE - 1 if self._outside else self._cells[AT]
        if self.seed is not None and at != IDLE:
            self._reseed(at, {name: module})
            self._interruptions.append(LOADED)

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Find a generator where the other finders find it, and watch it load."""
        if name not in GENERATORS:
            return None
        for finder in sys.meta_path:
            if finder is not self:
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    spec.loader = _Watched(spec.loader, self)  # type: ignore[assignment]
                    return spec
        return None

    def _reseed(self, index: int, modules: dict[str, ModuleType]) -> None:
        if not modules:
            return
        from hashlib import sha256  # costs the start of every slot 4 ms

        raw = sha256((self.seed or b"") + CELL.pack(index)).digest()
        for name, module in modules.items():
            GENERATORS[name](module, raw)


class _Watched:
    """The loader of a generator, which tells the seeder when it is done."""

    def __init__(self, loader: object, seeder: Seeder) -> None:
        self._loader = loader
        self._seeder = seeder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        spec.loader = self._loader  # type: ignore[assignment]
        module: ModuleType | None = self._loader.create_module(spec)  # type: ignore[attr-defined]
        spec.loader = self  # type: ignore[assignment]
        return module

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        assert spec is not None
        spec.loader = module.__loader__ = self._loader  # type: ignore[assignment]
        self._loader.exec_module(module)  # type: ignore[attr-defined]
        self._seeder.loaded(spec.name, module)
