"""minimalcluster's master: where workers join, and what gives them work."""

from __future__ import annotations

import os
import secrets
import string
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from socket import getfqdn

from p2pslinger.client.grid import Grid
from p2pslinger.compat.nodes import (
    JOIN,
    Node,
    Worker,
    key_bytes,
    master_node,
    warn_of_weak,
    worker_node,
    workers_among,
)
from p2pslinger.errors import (
    PackingError,
    TaskError,
    UnavailableError,
    UsageError,
)

#: Letters of an AUTHKEY that is made here: 112 bits.
LETTERS = 24


class ExecuteError(TaskError):
    """Some calls of the target function failed. The first failure is the `__cause__`.

    Attributes:
        errors: What was raised, by argument.
        results: The results of all other calls, by argument.
    """

    def __init__(
        self, text: str, errors: dict[object, Exception], results: dict[object, object]
    ) -> None:
        super().__init__(text, errors, results)
        self.errors = errors
        self.results = results

    def __str__(self) -> str:
        return str(self.args[0])


class MasterNode:
    """Where workers join and what distributes the work.

    Args:
        HOST: Address to listen on.
        PORT: Port to listen on.
        AUTHKEY: The cluster's secret; None to have one made (see the attribute).
        chunksize: Accepted and ignored.
    """

    def __init__(
        self,
        HOST: str = "127.0.0.1",  # noqa: N803  # minimalcluster's own names
        PORT: int = 8888,  # noqa: N803
        AUTHKEY: str | bytes | None = None,  # noqa: N803
        chunksize: int = 50,
    ) -> None:
        self.HOST = HOST
        self.PORT = PORT
        self.AUTHKEY = _made_key() if AUTHKEY is None else key_bytes(AUTHKEY)
        warn_of_weak(self.AUTHKEY)
        self.chunksize = chunksize
        self.server_status = "off"
        self.as_worker = False
        self.master_fqdn = getfqdn()
        self.target_fun: str | None = None
        self._made = AUTHKEY is None
        self._source = ""
        self._arguments: list[object] = []
        self._node: Node | None = None
        self._worker: Node | None = None
        self._grid: Grid | None = None
        self._busy = False

    # --- the cluster --------------------------------------------------------------

    def start_master_server(self, if_join_as_worker: bool = True) -> None:
        """Start to listen; by default also compute.

        Raises:
            UnavailableError: no peer can listen there; the text says why.
        """
        self._node = master_node(self.AUTHKEY, self.HOST, self.PORT)
        self._grid = Grid(self._node.link, trust="mine")
        self.server_status = "on"
        made = f" with authkey `{self.AUTHKEY.decode()}`" if self._made else ""
        print(
            f"[{datetime.now()}] Master Node started at {self.HOST}:{self.PORT}{made}."
        )
        if if_join_as_worker:
            self.join_as_worker()

    def join_as_worker(self) -> None:
        """Compute on this machine as well, with all its processors.

        Raises:
            UnavailableError: the worker can't start or join.
        """
        if self.as_worker:
            print(
                "[WARNING] This node has already joined the cluster as a worker node."
            )
            return
        master, cores = self._started(), os.cpu_count() or 1
        worker = worker_node(self.AUTHKEY, self.HOST, self.PORT, cores)
        if not master.wait_for(self._is_worker, JOIN):
            worker.close()
            raise UnavailableError(
                f"this machine's worker did not join {self.HOST}:{self.PORT} in time: "
                "see that a firewall lets it"
            )
        self._worker, self.as_worker = worker, True
        print(
            "[INFO] Current node has joined the cluster as a Worker Node "
            f"(using {cores} processors; Process ID: {worker.pid})."
        )

    def stop_as_worker(self) -> None:
        """Compute no more on this machine."""
        if self._worker is None:
            print("[WARNING] The master node has not started as a worker yet.")
            return
        self._worker.close()
        self._worker, self.as_worker = None, False
        self._started().wait_for(lambda: not self._is_worker(), JOIN)
        print("[INFO] The master node has stopped working as a worker node.")

    def list_workers(self) -> list[Worker]:
        """Return (host name, cores, process id, busy) of every worker.

        Busy is 1 for all of them while `execute` is running, else 0.
        """
        return workers_among(self._started().peers(), busy=self._busy)

    def shutdown(self) -> None:
        """End the master, and its worker on this machine."""
        if self.as_worker:
            self.stop_as_worker()
        if self._node is None or self._grid is None:
            print("[WARNING] The master node is not started yet or already shut down.")
            return
        self._node.close()
        self._grid.shutdown(cancel_futures=True)
        self._node = self._grid = None
        self.server_status = "off"
        print("[INFO] The master node is shut down.")

    # --- the work -----------------------------------------------------------------

    def load_envir(self, source: str, from_file: bool = True) -> None:
        """Set the Python source that defines the target function: a path, or text."""
        self._source = Path(source).read_text() if from_file else source

    def register_target_function(self, fun_name: str) -> None:
        """Name the function to call."""
        self.target_fun = fun_name

    def load_args(self, args: Iterable[object]) -> None:
        """Set the arguments, one for each call; no two may be equal."""
        self._arguments = list(args)

    def execute(self) -> dict[object, object]:
        """Call the function with every argument; return the results by argument.

        Raises:
            UsageError: no function, a function that the source does not define, or
                arguments that are not unique.
            UnavailableError: there is no worker.
            ExecuteError: a call has failed; the other results are in it.
        """
        self._check()
        grid = self._grid
        assert grid is not None
        assert self.target_fun is not None
        self._busy = True
        try:
            outcomes = list(
                grid.map_source(
                    self._source + "\n",
                    self.target_fun,
                    self._arguments,
                    errors="return",
                )
            )
        except PackingError as error:
            raise UsageError(
                f"[ERROR] The target function registered (`{self.target_fun}`) can't "
                f"be built with the given environment statements. ({error})"
            ) from error
        finally:
            self._busy = False
        return _by_argument(self._arguments, outcomes)

    # --- inside -------------------------------------------------------------------

    def _started(self) -> Node:
        if self._node is None:
            raise UsageError("the master node is not started: start_master_server()")
        return self._node

    def _is_worker(self) -> bool:
        me = (self.master_fqdn, os.getpid())
        return me in [(host, pid) for host, _, pid, _ in self.list_workers()]

    def _check(self) -> None:
        """Refuse what minimalcluster refuses, in its words."""
        if self.target_fun is None:
            raise UsageError("[ERROR] Target function is not registered yet.")
        if len(self._arguments) != len(set(self._arguments)):
            raise UsageError(
                "[ERROR]The arguments to share with worker nodes are not unique. "
                "Please check the data you passed to MasterNode.load_args()."
            )
        if not self.list_workers():
            raise UnavailableError(
                "[ERROR] No worker node is available. Can't proceed to execute"
            )


def _by_argument(
    arguments: list[object], outcomes: list[object]
) -> dict[object, object]:
    pairs = list(zip(arguments, outcomes, strict=True))
    errors = {one: error for one, error in pairs if isinstance(error, Exception)}
    results = {one: value for one, value in pairs if one not in errors}
    if not errors:
        return results
    argument, first = next(iter(errors.items()))
    raise ExecuteError(
        f"{len(errors)} of {len(pairs)} calls failed, the first with the argument "
        f"{argument!r:.80}: {type(first).__name__}: {first}; the others' results are "
        "in this error's `results`",
        errors,
        results,
    ) from first


def _made_key() -> bytes:
    letters = (secrets.choice(string.ascii_uppercase) for _ in range(LETTERS))
    return "".join(letters).encode()
