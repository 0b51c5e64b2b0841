"""Interpreters of a simulated machine: what a test says that it has."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from p2pslinger.sandbox.interpreter import Interpreter


class Interpreters:
    """Stands for `p2pslinger.sandbox.interpreters.Interpreters`.

    Attributes:
        own: The daemon's.
        others: Those that are found beside it.
        packages: Versions by name, of what is installed for all of them.
        system, machine: What the machine is.
    """

    def __init__(self) -> None:
        self.own = Interpreter(sys.executable, "{}.{}".format(*sys.version_info))
        self.others: tuple[Interpreter, ...] = ()
        self.packages: dict[str, str] = {}
        self.system, self.machine = "Linux", "x86_64"
        self.notes: list[str] = []

    async def find(self) -> tuple[Interpreter, ...]:
        """Return the interpreters of this machine."""
        return (self.own, *self.others)

    async def versions(self, interpreter: Interpreter) -> Mapping[str, str]:
        """Return what is installed for one of them."""
        return dict(self.packages)
