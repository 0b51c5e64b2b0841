"""Far more results than a program has memory for, read one after the other."""

from __future__ import annotations

import pytest

from tests.grid.place import Peer, Place
from tests.grid.shell import Shell

#: MiB that a program may take to read results of 5 MiB, whatever their number: Python,
#: what is fetched ahead (64), and one that is being decoded.
BOUND = 160

#: Functions of a program that tells how much memory it takes, also such as it shares.
PROGRAM = """
import re
import p2pslinger as slinger

def big(x):
    return bytes([x % 256]) * (5 << 20)

def taken():
    with open("/proc/self/status") as file:
        own = int(re.search(r"RssAnon:\\s+(\\d+)", file.read())[1]) >> 10
    with open("/proc/self/maps") as file:
        spans = [line.split()[0].split("-") for line in file if "memfd" in line]
    return own + (sum(int(b, 16) - int(a, 16) for a, b in spans) >> 20)

def peak(values, count):
    most = number = 0
    for number, value in enumerate(values, 1):
        assert value == bytes([(number - 1) % 256]) * (5 << 20)
        most = max(most, taken())
    assert number == count, number
    return most
"""


def test_a_map_of_a_gigabyte_takes_little_memory_wherever_it_is_read(
    place: Place,
) -> None:
    peaks = place.run(
        PROGRAM
        + """
if __name__ == "__main__":
    with slinger.connect() as grid:
        print(peak(grid.map(big, range(200)), 200))
        late = grid.map(big, range(60))
        grid.submit(abs, -1).result()
        print(peak(late, 60))
        listed = grid.map(big, list(range(20)))
    print(sum(map(len, listed)))
"""
    )
    *found, listed = map(int, peaks.split())
    assert max(found) < BOUND, found
    assert listed == 20 * (5 << 20)


@pytest.fixture(scope="module")
def job(module_place: Place, anna: Peer, bert: Peer) -> str:
    """A started job of 200 MiB of results."""
    file = module_place.folder / "big.py"
    file.write_text("def big(x):\n    return chr(97 + x % 26) * (5 << 20)\n")
    (module_place.folder / "args.jsonl").write_text("\n".join(map(str, range(40))))
    here = Shell(module_place, anna)
    return here.submit("--keepers", "0", "big.py:big", "args.jsonl", said="")


def test_results_of_a_started_job_take_little_memory(
    module_place: Place, anna: Peer, job: str
) -> None:
    peaks = module_place.run(
        PROGRAM
        + f"""
with slinger.connect() as grid:
    job = grid.job({job!r})
    for _ in range(2):  # they are fetched again
        most = 0
        for number, value in enumerate(job.results()):
            assert value == chr(97 + number % 26) * (5 << 20)
            most = max(most, taken())
        print(most)
"""
    )
    assert max(map(int, peaks.split())) < BOUND, peaks


def test_they_are_written_to_a_file_with_little_memory(
    module_place: Place, anna: Peer, job: str
) -> None:
    file = module_place.folder / "results.jsonl"
    taken = module_place.run(
        PROGRAM
        + f"""
import threading
from p2pslinger.cli.main import main

over, most = threading.Event(), [0]

def watch():
    while not over.wait(0.02):
        most[0] = max(most[0], taken())

watching = threading.Thread(target=watch)
watching.start()
assert main(["results", {job!r}, "--out", {str(file)!r}]) == 0
over.set()
watching.join()
print(most[0])
"""
    )
    assert int(taken) < BOUND, taken
    with file.open() as lines:
        assert [(line[1], len(line)) for line in lines] == [
            (chr(97 + task % 26), (5 << 20) + 3) for task in range(40)
        ]
