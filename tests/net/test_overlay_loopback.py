"""The directory on real UDP sockets of this machine."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from p2pslinger.net.overlay import Overlay
from p2pslinger.net.ports import PortTakenError
from tests.net.test_overlay import KEY, Peer, identity


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_it_works_on_real_sockets(host: str) -> None:
    if host == "::1" and not Path("/proc/net/if_inet6").exists():
        pytest.skip("no IPv6 here")

    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            peers = []
            for number in range(5):
                overlay = Overlay(
                    identity=identity(number),
                    authkey=KEY,
                    wall=time.time,
                    rng=random.SystemRandom(),
                    spawn=tasks.create_task,
                )
                port = await overlay.open(host, 0)
                peers.append((Peer(overlay, identity(number), host), port))
            first, door = peers[0]
            for peer, _ in peers[1:]:
                assert await peer.overlay.join([(host, door)]) == 1
            for peer, _ in peers:
                assert await peer.overlay.put(peer.card(time.time())) == 5
            for peer, _ in peers:
                assert len(await first.overlay.find(peer.id)) == 1
            with pytest.raises(PortTakenError, match="--port"):
                await Overlay(
                    identity=identity("late"),
                    authkey=KEY,
                    wall=time.time,
                    rng=random.SystemRandom(),
                    spawn=tasks.create_task,
                ).open(host, door)
            for peer, _ in peers:
                assert peer.overlay.dropped == Counter()
                await peer.overlay.close()

    asyncio.run(main())
