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
        polite: All its slots get what nobody else wants.
    """

    control: int
    daemon: int
    scratch: str
    confinement: Confinement
    user: int
    polite: bool

    @classmethod
    def from_arguments(cls, words: Sequence[str]) -> Terms:
        """Read what `arguments` has written."""
        control, daemon, scratch, kind, user, polite = words
        return cls(
            control=int(control),
            daemon=int(daemon),
            scratch=scratch,
            confinement=Confinement(kind),
            user=int(user),
            polite=polite == "polite",
        )

    def arguments(self) -> list[str]:
        """Return the terms as words of a command line."""
        numbers = [str(self.control), str(self.daemon)]
        words = [self.scratch, self.confinement.value, str(self.user)]
        return [*numbers, *words, "polite" if self.polite else "nice"]
