"""Runs are the same in every process that was started with a fixed hash seed."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import asyncio, sys
from random import Random
from p2pslinger.testing import Network, current, ensure_hash_seed, reproducible, run

ensure_hash_seed()
assert reproducible()

async def main():
    network = Network(current(), Random(current().seed), loss=0.1)
    for name in {f"host {n}" for n in range(50)}:  # a set: walked by hash
        network.host(name)
        await current().create_datagram_endpoint(asyncio.DatagramProtocol, (name, 1))
    socket, _ = await current().create_datagram_endpoint(
        asyncio.DatagramProtocol, ("host 0", 2)
    )
    for n in range(50):
        socket.sendto(bytes(n), (f"host {n}", 1))
    await asyncio.sleep(1)
    return network.trace

print(sys.argv[1:], run(main, seed=4))
"""


def run_program(*flags: str, seed: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *flags, "-c", PROGRAM, "an argument"],
        env={
            **os.environ,
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_processes_agree_whatever_hash_seed_they_were_started_with() -> None:
    outputs = {run_program(seed=seed).stdout for seed in ("random", "1", "0")}

    assert len(outputs) == 1
    assert outputs.pop().startswith("['an argument'] ")


def test_a_python_that_ignores_the_variable_is_told_so() -> None:
    path = f"import sys; sys.path[:] = {sys.path!r}\n"
    done = subprocess.run(
        [sys.executable, "-E", "-c", path + PROGRAM],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "start it without -E and -I" in done.stderr
