"""Whether a volunteer can compute a job, and what it lacks if it can't.

Peers that do not fit never see a task: the volunteer does not ask the keepers of such
jobs, and a keeper does not grant them to it.
"""

from __future__ import annotations

from typing import NamedTuple

from p2pslinger.wire.needs import NOTHING, Needs, Offer, Offered

#: What systems and machines are called otherwise.
_SYSTEMS = {"macos": "darwin", "win32": "windows", "osx": "darwin"}
_MACHINES = {"amd64": "x86_64", "x64": "x86_64", "aarch64": "arm64"}


class Lack(NamedTuple):
    """What a volunteer does not have.

    Attributes:
        kind: "python", "platform" or "package".
        what: "3.12", "linux-arm64", "numpy>=2".
    """

    kind: str
    what: str

    @property
    def words(self) -> str:
        """What it is, for a sentence."""
        words = {"python": "Python ", "platform": "a machine like "}
        return words.get(self.kind, "") + self.what


def lacks(python: str | None, needs: Needs, offer: Offer) -> Lack | None:
    """Return what a volunteer lacks first of what a job needs, or None if it fits."""
    if needs.platform and not _is_on(needs.platform, offer.platform):
        return Lack("platform", needs.platform)
    right = [one for one in offer.slots if python in (None, one.python)]
    if not right:
        return Lack("python", python or "")
    if not needs.packages:
        return None
    missing = [[p for p in needs.packages if p not in one.has] for one in right]
    least = min(missing, key=len)
    return Lack("package", least[0]) if least else None


def choose(python: str | None, needs: Needs, offer: Offer) -> Offered | None:
    """Return the first interpreter that can run a job, or None if none can."""
    for one in offer.slots:
        if lacks(python, needs, Offer(offer.platform, (one,))) is None:
            return one
    return None


def fits(python: str | None, needs: Needs, offer: Offer) -> bool:
    """Tell whether a volunteer can compute a job."""
    if needs == NOTHING:  # the common case, on the path of every task
        return python is None or any(one.python == python for one in offer.slots)
    return lacks(python, needs, offer) is None


def _is_on(needed: str, there: str) -> bool:
    """Tell whether a machine is of a platform: "linux" is met by "linux-x86_64"."""
    return there == needed or there.startswith(f"{needed}-")


def platform_name(system: str, machine: str) -> str:
    """Return a machine's own platform, from what Python calls its parts."""
    system, machine = system.lower(), machine.lower()
    system = _SYSTEMS.get(system, system)
    machine = _MACHINES.get(machine, machine)
    return f"{system}-{machine}" if machine else system
