"""minimalcluster's two classes, on peers: a program for it needs another import only.

    from p2pslinger.compat.minimalcluster import MasterNode, WorkerNode

A `MasterNode` is a peer that listens at HOST and PORT, a `WorkerNode` one that joins
there. Both trust each other as that program's author meant: workers compute for every
holder of the AUTHKEY, and what they return is unpickled. What differs:

- what was refused with a printed line and None raises, with that line as its text;
- when a call fails, `execute` raises as well, and the error holds the other results;
- chunks are as large as the measured time suggests, whatever `chunksize` says;
- an AUTHKEY that is left out is a strong one; a weak one is warned of, once.
"""

from p2pslinger.compat.master import ExecuteError, MasterNode
from p2pslinger.compat.worker import WorkerNode

__all__ = ["ExecuteError", "MasterNode", "WorkerNode"]
