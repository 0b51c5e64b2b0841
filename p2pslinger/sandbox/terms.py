"""On what terms a zygote works, as the daemon says in its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from p2pslinger.sandbox.confine.confinement import Confinement


class Terms(NamedTuple):
    """A zygote's arguments.

    Attributes:
        control: Descriptor of its control socket.
        daemon: Process id of the daemon.
        scratch: Folder in which its runners have their folders, or "" if they get none.
        user: The user id to take in a sandbox of its own; elsewhere, whether runners
            take one of their own. 0: none, since the daemon is an ordinary user's.
    """

    control: int
    daemon: int
    scratch: str
    confinement: Confinement
    user: int

    @classmethod
    def from_arguments(cls, words: Sequence[str]) -> Terms:
        """Read what `arguments` has written."""
        control, daemon, scratch, confinement, user = words
        kind = Confinement(confinement)
        return cls(int(control), int(daemon), scratch, kind, int(user))

    def arguments(self) -> list[str]:
        """Return the terms as words of a command line."""
        control, daemon, scratch, confinement, user = self
        return [str(control), str(daemon), scratch, confinement.value, str(user)]
