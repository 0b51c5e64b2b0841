"""What a grid costs that does nothing: five peers with a slot each, for a minute.

A minute, because neighbours compare their notices every 30 s: a shorter look sees
either none of that or too much. What happens more rarely still (a card is renewed about
twice an hour) is not in these figures.

CPU and memory come from the process table. Traffic is what the loopback device has
carried, TCP's acknowledgements and all headers included; each packet is counted once,
for its sender. For that the whole benchmark moves into a network namespace of its own,
where nobody else talks; where the system does not allow that, others' traffic is
counted too, and this says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import p2pslinger as slinger
from benchmarks._daemons import daemons
from benchmarks.figures import MILLI, show

PEERS = 5

#: Seconds for what belongs to starting, and seconds of watching: two rounds of digests.
SETTLE, WATCH = 5.0, 60.0

#: Set in the process that has the network to itself.
ALONE = "SLINGER_BENCH_ALONE"

UP = "ip link set lo up 2>/dev/null || ifconfig lo up && exec "


def move() -> bool:
    """Run this script again in a network of its own; return whether that worked."""
    tool = shutil.which("unshare")
    if tool is None or sys.platform != "linux":
        return False
    alone = [tool, "--map-root-user", "--net", "sh", "-c", UP + '"$0" "$@"']
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        return False
    environment = {**os.environ, ALONE: "yes"}
    subprocess.run([*alone, sys.executable, __file__], env=environment, check=True)
    return True


def carried() -> tuple[int, int]:
    """Return the bytes and packets that the loopback device has carried."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, counters = line.partition(":")
        if name.strip() == "lo":
            received = counters.split()
            return int(received[0]), int(received[1])
    return 0, 0


def watch() -> None:
    """Start the peers, let them settle, and watch them."""
    with slinger.local(peers=PEERS, slots=1):
        time.sleep(SETTLE)
        peers = daemons()
        slots = [peer.slots() for peer in peers]
        started = time.perf_counter()
        before, (size, packets) = [peer.cpu() for peer in peers], carried()
        time.sleep(WATCH)
        taken = time.perf_counter() - started
        after, (size_after, packets_after) = [peer.cpu() for peer in peers], carried()
        cpu = [100 * (b - a) / taken for a, b in zip(before, after, strict=True)]
        show("idle daemon, CPU", cpu, "% of a core", most=0.5)
        show("idle daemon, RSS", [peer.memory() for peer in peers], "MB", most=60)
        both = [sum(p.memory_info().rss for p in pair) / 1e6 for pair in slots]
        show("idle zygote and slot, RSS", both, "MB", most=30)
        own = [sum(p.memory_full_info().pss for p in pair) / 1e6 for pair in slots]
        show("idle zygote and slot, PSS (shared pages once)", own, "MB")
        rate = (size_after - size) / taken / PEERS / MILLI
        show("idle peer, sent", [rate], "kB/s", most=1)
        rate = (packets_after - packets) / taken * 60 / PEERS
        show("idle peer, sent", [rate], "packets/minute", most=30)


def main() -> None:
    """Watch, if possible in a network of our own."""
    if os.environ.get(ALONE):
        watch()
    elif not move():
        print("no network of its own: the traffic of others is counted as well")
        watch()


if __name__ == "__main__":
    main()
