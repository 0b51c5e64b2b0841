"""Room on the disk that is taken while there is some, for when there is none.

A full disk must not keep a peer from writing down the little that helps: that a job is
forgotten, say, which frees the space of its blobs.
"""

from __future__ import annotations

from pathlib import Path

from p2pslinger.limits import KIB

#: Bytes held back: enough for some ten small commits.
RESERVE = 256 * KIB


class Reserve:
    """A file that is only there to take room.

    Args:
        path: The file; None if there is no disk.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def make(self) -> None:
        """Take the room, if the disk has it and it is not taken."""
        if self._path is None:
            return
        try:
            if not self._path.exists() or self._path.stat().st_size < RESERVE:
                self._path.touch(0o600)
                self._path.write_bytes(bytes(RESERVE))
        except OSError:
            self.spend()  # too little for it now; a later probe tries again

    def spend(self) -> bool:
        """Give the room back to the disk; return whether there was any."""
        try:
            if self._path is not None:
                self._path.unlink()
                return True
        except OSError:
            pass  # spent before, or the disk is in worse trouble than being full
        return False
