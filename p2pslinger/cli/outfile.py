"""Files that a command writes: complete under their name, or not there at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from p2pslinger.errors import DiskError


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """Give a file that gets its name when the block has ended well.

    Raises:
        DiskError: it can't be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as file:
            yield file
        part.replace(path)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise DiskError(f"{path} can't be written: {why}") from None
    finally:
        with suppress(OSError):
            part.unlink()
