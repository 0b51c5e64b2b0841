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
        kind: "python", "platform", "package", "sandbox" or "memory".
        what: "3.12", "linux-arm64", "numpy>=2", "", "2 GiB".
    """

    kind: str
    what: str

    @property
    def words(self) -> str:
        """What it is, for a sentence."""
        words = {
            "python": "Python {}",
            "platform": "a machine like {}",
            "sandbox": "a good sandbox",
            "memory": "{} of memory for a slot",
        }
        return words.get(self.kind, "{}").format(self.what)


def lacks(
    python: str | None, needs: Needs, offer: Offer, *, own: bool = False
) -> Lack | None:
    """Return what a volunteer lacks first of what a job needs, or None if it fits.

    Args:
        python: The minor version that the job's function needs, or None for any.
        needs: What the job needs besides.
        offer: What the volunteer has.
        own: The job is its own.
    """
    lack = installation_lacks(python, needs, offer)
    if lack is not None:
        return lack
    if needs.sandbox and not offer.sandbox:
        return Lack("sandbox", "")
    given = offer.own if own and not needs.sandbox else offer.memory
    if needs.memory > given:
        return Lack("memory", size_in_words(needs.memory))
    return None


def installation_lacks(python: str | None, needs: Needs, offer: Offer) -> Lack | None:
    """Return what is not there, whatever a slot may use of the machine."""
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
        if installation_lacks(python, needs, Offer(offer.platform, (one,))) is None:
            return one
    return None


def fits(python: str | None, needs: Needs, offer: Offer, *, own: bool = False) -> bool:
    """Tell whether a volunteer can compute a job; see `lacks`."""
    if needs == NOTHING:  # the common case, on the path of every task
        return python is None or any(one.python == python for one in offer.slots)
    return lacks(python, needs, offer, own=own) is None


def _is_on(needed: str, there: str) -> bool:
    """Tell whether a machine is of a platform: "linux" is met by "linux-x86_64"."""
    return there == needed or there.startswith(f"{needed}-")


def platform_name(system: str, machine: str) -> str:
    """Return a machine's own platform, from what Python calls its parts."""
    system, machine = system.lower(), machine.lower()
    system = _SYSTEMS.get(system, system)
    machine = _MACHINES.get(machine, machine)
    return f"{system}-{machine}" if machine else system


def size_in_words(size: int) -> str:
    """Return bytes as people write them: "2 GiB", "1.5 GiB", "700 MiB"."""
    for unit, name in ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB")):
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size} bytes"
