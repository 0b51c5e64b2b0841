"""A program written for minimalcluster, with only its import changed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest

from p2pslinger.compat.minimalcluster import ExecuteError, MasterNode, WorkerNode
from p2pslinger.errors import UnavailableError, UsageError
from tests.grid.place import HANGING, Place, line, until

#: From minimalcluster's own examples: the source that every worker executes.
FACTORIZE = """
def example_factorize_naive(n):
    factors = []
    p = 2
    while True:
        if n == 1:
            return factors
        r = n % p
        if r == 0:
            factors.append(p)
            n = n // p
        elif p * p >= n:
            factors.append(n)
            return factors
        elif p > 2:
            p += 2
        else:
            p += 1

def slow(n):
    import time
    time.sleep(2)
    return n

def picky(n):
    if n % 3 == 0:
        raise ValueError(f"{n} is a multiple of three")
    return n
"""

NUMBERS = [99, 100, 2310, 30030, 6469693230]

KEY = "six unrelated words are long enough"


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture(scope="module")
def master(place: Place) -> Iterator[MasterNode]:
    """A master that computes as well."""
    made = MasterNode("127.0.0.1", free_port(), KEY.encode())
    made.start_master_server()
    made.load_envir(FACTORIZE, from_file=False)
    yield made
    made.shutdown()


WORKER = """
from p2pslinger.compat.minimalcluster import WorkerNode
worker = WorkerNode("127.0.0.1", {port}, "{key}", nprocs=1)
worker.join_cluster()
"""


def worker(place: Place, port: int, key: str = KEY) -> subprocess.Popen[str]:
    """Start a worker's program."""
    return place.program(WORKER.format(port=port, key=key))


# --- the work -------------------------------------------------------------------------


def test_a_master_that_is_a_worker_too_executes_alone(master: MasterNode) -> None:
    (me,) = master.list_workers()
    assert me == (socket.getfqdn(), os.cpu_count(), os.getpid(), 0)
    master.register_target_function("example_factorize_naive")
    master.load_args(NUMBERS)

    assert master.execute() == {
        99: [3, 3, 11],
        100: [2, 2, 5, 5],
        2310: [2, 3, 5, 7, 11],
        30030: [2, 3, 5, 7, 11, 13],
        6469693230: [2, 3, 5, 7, 11, 13, 17, 19, 23, 29],
    }


def test_the_source_may_come_from_a_file(master: MasterNode, place: Place) -> None:
    (place.folder / "envir.py").write_text("def double(n):\n    return 2 * n")
    master.load_envir(str(place.folder / "envir.py"))
    try:
        master.register_target_function("double")
        master.load_args(range(1000))
        assert master.execute() == {n: 2 * n for n in range(1000)}
    finally:
        master.load_envir(FACTORIZE, from_file=False)


def test_a_call_that_fails_costs_no_other_its_result(master: MasterNode) -> None:
    master.register_target_function("picky")
    master.load_args(range(1, 6))

    with pytest.raises(ExecuteError, match=r"1 of 5 calls failed.*with the argument 3"):
        master.execute()
    master.load_args(range(1, 8))
    with pytest.raises(ExecuteError, match="multiple of three") as caught:
        master.execute()
    assert caught.value.results == {n: n for n in (1, 2, 4, 5, 7)}
    assert set(caught.value.errors) == {3, 6}
    assert type(caught.value.__cause__) is ValueError


def test_arguments_have_to_be_unique(master: MasterNode) -> None:
    master.register_target_function("picky")
    master.load_args([1, 2, 1])
    with pytest.raises(UsageError, match="are not unique"):
        master.execute()


def test_a_function_has_to_be_there(master: MasterNode) -> None:
    master.load_args([1])
    master.register_target_function("nowhere")
    with pytest.raises(UsageError, match=r"function registered \(`nowhere`\) can't be"):
        master.execute()
    with pytest.raises(UsageError, match="not registered yet"):
        MasterNode("127.0.0.1", free_port(), KEY).execute()


# --- workers --------------------------------------------------------------------------


def test_workers_come_and_go_and_their_master_says_when_it_is_gone(
    place: Place,
) -> None:
    master = MasterNode("127.0.0.1", free_port(), KEY)
    master.start_master_server(if_join_as_worker=False)
    try:
        assert master.list_workers() == []
        master.load_envir(FACTORIZE, from_file=False)
        master.register_target_function("picky")
        master.load_args([1, 2, 4])
        with pytest.raises(UnavailableError, match="No worker node is available"):
            master.execute()

        first, second = (worker(place, master.PORT) for _ in range(2))
        until(lambda: len(master.list_workers()) == 2)
        assert {pid for _, _, pid, _ in master.list_workers()} == {
            first.pid,
            second.pid,
        }
        assert {one[1] for one in master.list_workers()} == {1}
        assert master.execute() == {1: 1, 2: 2, 4: 4}
        second.send_signal(signal.SIGKILL)
        second.communicate(timeout=HANGING)
        until(lambda: len(master.list_workers()) == 1)
        assert master.execute() == {1: 1, 2: 2, 4: 4}
    finally:
        master.shutdown()
    out, err = first.communicate(timeout=HANGING)
    assert "Lost connection with Master node." in out
    assert (first.returncode, err) == (1, "")


def test_a_worker_with_another_authkey_finds_no_master(
    place: Place, master: MasterNode
) -> None:
    stranger = worker(place, master.PORT, "six other words that nobody has chosen")
    out, _ = stranger.communicate(timeout=HANGING)

    assert "No connection could be made" in out
    assert stranger.returncode == 0
    assert len(master.list_workers()) == 1


def test_a_master_can_stop_to_compute_and_begin_again(
    master: MasterNode, capsys: pytest.CaptureFixture[str]
) -> None:
    master.stop_as_worker()
    assert master.list_workers() == []
    master.stop_as_worker()
    assert "has not started as a worker yet" in capsys.readouterr().out
    master.join_as_worker()
    assert len(master.list_workers()) == 1
    master.join_as_worker()
    assert "has already joined" in capsys.readouterr().out


def test_workers_are_busy_while_something_is_executed(
    place: Place, master: MasterNode
) -> None:
    busy = place.program(f"""
import threading, time
from p2pslinger.compat.minimalcluster import MasterNode
master = MasterNode("127.0.0.1", {free_port()}, "{KEY}")
master.start_master_server()
master.load_envir({FACTORIZE!r}, from_file=False)
master.register_target_function("slow")
master.load_args([1, 2])
results = []
thread = threading.Thread(target=lambda: results.append(master.execute()))
thread.start()
while not master.list_workers()[0][3]:
    time.sleep(0.01)
thread.join()
print(results, master.list_workers()[0][3])
master.shutdown()
""")
    out, err = busy.communicate(timeout=HANGING)
    assert "[{1: 1, 2: 2}] 0" in out
    assert err == ""


# --- keys and numbers -----------------------------------------------------------------


def test_a_weak_authkey_works_and_is_warned_of_once(place: Place) -> None:
    port = free_port()
    program = place.program(f"""
import sys
from p2pslinger.compat.minimalcluster import MasterNode
master = MasterNode(HOST="127.0.0.1", PORT={port}, AUTHKEY=b"secret", chunksize=10)
master.start_master_server()
master.load_envir("def f(x): return -x", from_file=False)
master.register_target_function("f")
master.load_args([1, 2])
print(master.execute())
master.stop_as_worker()
master.join_as_worker()
master.shutdown()
master.shutdown()
""")
    out, err = program.communicate(timeout=HANGING)

    assert "{1: -1, 2: -2}\n" in out
    assert "already shut down" in out
    assert "secret" not in out
    assert err.count("this AUTHKEY is weak") == 1
    assert err.startswith(str(place.folder)), "the warning names the program's line"
    assert program.returncode == 0


def test_an_authkey_that_is_left_out_is_made_and_shown(place: Place) -> None:
    port = free_port()
    program = place.program(f"""
from p2pslinger.compat.minimalcluster import MasterNode
master = MasterNode(PORT={port})
master.start_master_server(if_join_as_worker=False)
print(master.AUTHKEY.decode(), flush=True)
input()
master.shutdown()
""")
    said = line(program)
    key = line(program)
    assert said.endswith(f"started at 127.0.0.1:{port} with authkey `{key}`.")
    joined = worker(place, port, key)
    assert "Building connection" in line(joined)
    assert "Client connected" in line(joined)
    out, err = program.communicate("\n", timeout=HANGING)
    assert (out, err) == ("[INFO] The master node is shut down.\n", "")
    joined.communicate(timeout=HANGING)


def test_a_port_that_is_taken_is_named(master: MasterNode) -> None:
    other = MasterNode("127.0.0.1", master.PORT, KEY)
    with pytest.raises(UnavailableError, match=str(master.PORT)):
        other.start_master_server()
    other.shutdown()


def test_a_worker_uses_no_more_processors_than_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cores = os.cpu_count()
    for given in (10_000, 0, -1):
        assert WorkerNode("127.0.0.1", 1, KEY, nprocs=given).nprocs == cores
        assert f"Using the # of cores ({cores}) instead" in capsys.readouterr().out
    assert WorkerNode("127.0.0.1", 1, KEY, 1).nprocs == 1
    assert capsys.readouterr().out == ""
    with pytest.raises(UsageError, match="must be an integer"):
        WorkerNode("127.0.0.1", 1, KEY, "2")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="either string or byte string"):
        MasterNode("127.0.0.1", 1, 7)  # type: ignore[arg-type]
