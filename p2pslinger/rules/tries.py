"""Tasks that have killed a process: who has tried them, and who may try again.

Each is granted alone, so that it takes nobody along, and elsewhere if there is an
elsewhere. A volunteer may report the same death twice; so a try has a name, its MAC.
"""

from __future__ import annotations

from collections.abc import Iterable, Set

from p2pslinger.ids import PeerId


class Tries:
    """The tries that died, of tasks that are not done."""

    def __init__(self) -> None:
        self._tries: dict[int, dict[bytes, PeerId]] = {}

    def add(self, task: int, mac: bytes, volunteer: PeerId) -> int:
        """Note that a try has died; return how many of the task's have."""
        tries = self._tries.setdefault(task, {})
        tries[mac] = volunteer
        return len(tries)

    def of(self, task: int) -> list[PeerId]:
        """Return who has tried a task and lost it, a name for each try."""
        return list(self._tries.get(task, {}).values())

    def among(self, start: int, stop: int) -> list[int]:
        """Return the tasks of [start, stop) that have killed a process."""
        return [task for task in self._tries if start <= task < stop]

    def forget(self, start: int, stop: int) -> None:
        """Forget the tasks of [start, stop): they are done."""
        for task in self.among(start, stop):
            del self._tries[task]

    def next_for(
        self, volunteer: PeerId, tasks: Iterable[int], others: Set[PeerId]
    ) -> int | None:
        """Return one of `tasks` that a volunteer may try, in view of the others."""
        for task in tasks:
            losers = set(self._tries[task].values())
            if volunteer not in losers or not others - losers:
                return task
        return None
