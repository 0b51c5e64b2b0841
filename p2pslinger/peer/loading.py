"""A peer's modules are loaded without the garbage collector.

They make some hundred thousand objects that stay until the end. To look through these
again and again while they come takes a tenth of the start, and finds nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Collect nothing while modules are imported, and never look at what they made.

    Only for a process that is about to be a peer: it is its whole collector's business.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
