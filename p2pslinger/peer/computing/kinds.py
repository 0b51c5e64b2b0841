"""Chooses the kind of slot that a job needs."""

from __future__ import annotations

from collections.abc import Callable

from p2pslinger.peer.computing.assignments import Assignment
from p2pslinger.peer.computing.confining import Confining
from p2pslinger.peer.computing.jobshere import JobHere
from p2pslinger.peer.computing.keepers import KeeperLink
from p2pslinger.peer.computing.kind import Kind
from p2pslinger.peer.computing.offering import Pythons
from p2pslinger.peer.computing.station import Station
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.interpreter import Interpreter


class Kinds:
    """Chooses slots for jobs.

    Args:
        confining: Chooses how slots are confined.
        pythons: Knows what they can be of.
        doubt: Called when a slot can't be made as `confining` says.
    """

    def __init__(
        self, confining: Confining, pythons: Pythons, doubt: Callable[[str], None]
    ) -> None:
        self._confining = confining
        self._pythons = pythons
        self._doubt = doubt

    def assign(
        self, station: Station, keeper: KeeperLink, job: JobHere
    ) -> Assignment | None:
        """Return an empty assignment for a station, or None if the job is not for us.

        A keeper may not know yet what we lack, or whose work we refuse.
        """
        function, needs = job.manifest.function, job.manifest.needs
        confinement = self._confining.of(job.submitter, sandbox=needs.sandbox)
        own = confinement is Confinement.OWN
        fits = self._pythons.fits(function.python, needs, own=own)
        if confinement is None or not fits:
            return None
        interpreter = self._pythons.choose(job.manifest, station.kind.interpreter)
        return Assignment(keeper, job, Kind(confinement, interpreter, needs.memory))

    def unusable(self, why: str, interpreter: Interpreter | None) -> None:
        """Hear that a slot could not be made.

        Args:
            why: What went wrong.
            interpreter: What it was of, or None if that was the daemon's Python: then
                it is because of how it was confined.
        """
        if interpreter is None:
            self._doubt(why)
        else:
            self._pythons.doubt(interpreter, why)
