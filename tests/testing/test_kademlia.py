"""The kademlia package, unmodified, at home on the simulated network."""

from __future__ import annotations

import time
from random import Random

from kademlia.network import Server

from p2pslinger.testing.fixtures import VirtualTime

PEERS, VALUES = 200, 30


def test_200_peers_join_and_find_each_others_values(virtual: VirtualTime) -> None:
    async def main() -> tuple[int, str]:
        network = virtual.network()
        servers = []
        for number in range(PEERS):
            host = network.host(f"10.0.{number // 250}.{number % 250 + 1}")
            server = Server()
            await server.listen(8468, interface=host.ip)
            await server.bootstrap([("10.0.0.1", 8468)])
            servers.append(server)
        chance = Random(0)
        for n in range(VALUES):
            await chance.choice(servers).set(f"key {n}", f"value {n}")
        found = [await chance.choice(servers).get(f"key {n}") for n in range(VALUES)]
        for server in servers:
            server.stop()
        hits = sum(value == f"value {n}" for n, value in enumerate(found))
        return hits, network.trace

    started = time.perf_counter()
    first = virtual.run(main)

    assert first[0] == VALUES
    assert time.perf_counter() - started < 30
    assert virtual.run(main) == first
