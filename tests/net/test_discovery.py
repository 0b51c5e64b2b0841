"""Members find each other on the local network; two grids on one never mix.

These use real multicast: on loopback, and between two network namespaces.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator

import pytest

from p2pslinger.ids import GridId, PeerId
from p2pslinger.net.discovery import LanDiscovery, grid_label
from p2pslinger.wire.authkey import from_random
from p2pslinger.wire.keyring import Keyring

HERE = "127.0.0.1"
ANN, BEN, EVE = PeerId(b"a" * 20), PeerId(b"b" * 20), PeerId(b"e" * 20)


class Found(list[tuple[str, int]]):
    """Addresses in the order in which they were found."""

    def __init__(self) -> None:
        super().__init__()
        self.more = asyncio.Event()

    def __call__(self, host: str, port: int) -> None:
        self.append((host, port))
        self.more.set()

    async def until(self, host: str, port: int) -> None:
        """Wait until an address has been found."""
        async with asyncio.timeout(20):
            while (host, port) not in self:
                self.more.clear()
                await self.more.wait()


async def joined(label: str, peer: PeerId, port: int, found: Found) -> LanDiscovery:
    """Start a peer's discovery on loopback."""
    discovery = LanDiscovery(HERE)
    note = await discovery.start(label, peer, port, found)
    if note is not None:
        pytest.skip(f"needs multicast on loopback: {note}")
    return discovery


def fresh_label() -> str:
    """Return a label that no other run of these tests uses."""
    return grid_label(GridId(secrets.token_bytes(8)))


def test_a_label_is_the_same_for_all_members_and_outlives_an_authkey() -> None:
    before = Keyring(from_random(b"g" * 8 + b"s" * 32))
    after = before.follow(b"t" * 32, until=0.0)
    label = grid_label(before.grid)

    assert label == grid_label(after.grid)
    assert label != grid_label(GridId(b"h" * 8))
    assert len(label) == 14
    assert label.isalnum()


def test_two_peers_of_one_host_find_each_other_within_the_budget() -> None:
    async def story() -> None:
        label = fresh_label()
        ann_found, ben_found = Found(), Found()
        ann = await joined(label, ANN, 9001, ann_found)
        async with asyncio.timeout(3):  # design.md: joined by mDNS
            ben = await joined(label, BEN, 9002, ben_found)
            await ann_found.until(HERE, 9002)
            await ben_found.until(HERE, 9001)
        await asyncio.gather(ann.close(), ben.close())

        assert set(ann_found) == {(HERE, 9002)}
        assert set(ben_found) == {(HERE, 9001)}

    asyncio.run(story())


def test_two_grids_on_one_network_do_not_mix() -> None:
    async def story() -> None:
        label = fresh_label()
        eve_found, ann_found, ben_found = Found(), Found(), Found()
        eve = await joined(fresh_label(), EVE, 9003, eve_found)
        ann = await joined(label, ANN, 9001, ann_found)
        ben = await joined(label, BEN, 9002, ben_found)
        await ann_found.until(HERE, 9002)
        await ben_found.until(HERE, 9001)
        await asyncio.gather(eve.close(), ann.close(), ben.close())

        assert eve_found == []
        assert (HERE, 9003) not in ann_found + ben_found

    asyncio.run(story())


def test_a_peer_that_left_and_came_back_is_found_again() -> None:
    async def story() -> None:
        label = fresh_label()
        found = Found()
        ann = await joined(label, ANN, 9001, found)
        ben = await joined(label, BEN, 9002, Found())
        await found.until(HERE, 9002)
        await ben.close()
        ben = await joined(label, BEN, 9004, Found())
        await found.until(HERE, 9004)
        await asyncio.gather(ann.close(), ben.close())

    asyncio.run(story())


def test_it_can_start_again_as_on_another_network() -> None:
    async def story() -> None:
        label = fresh_label()
        ann_found, ben_found = Found(), Found()
        ann = await joined(label, ANN, 9001, ann_found)
        await ann.close()
        assert await ann.start(label, ANN, 9001, ann_found) is None
        ben = await joined(label, BEN, 9002, ben_found)
        await ann_found.until(HERE, 9002)
        await ben_found.until(HERE, 9001)
        await asyncio.gather(ann.close(), ben.close())

    asyncio.run(story())


def test_an_address_that_is_not_ours_is_noted_and_raises_nothing() -> None:
    async def story() -> None:
        discovery = LanDiscovery("203.0.113.7")
        note = await discovery.start(fresh_label(), ANN, 9001, Found())
        await discovery.close()
        await discovery.close()

        assert note is not None
        assert note == discovery.note
        assert "--bootstrap HOST" in note

    asyncio.run(story())


def test_starting_a_peer_without_discovery_does_not_import_zeroconf() -> None:
    script = (
        "import sys, p2pslinger.net.discovery;"
        "sys.exit('zeroconf' in sys.modules or 'ifaddr' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


# --- two machines -----------------------------------------------------------------

NAMES = [f"slinger-{os.getpid()}-{side}" for side in "ab"]

LOOKING = """
import asyncio, sys
from p2pslinger.ids import GridId, PeerId
from p2pslinger.net.discovery import LanDiscovery
label, name = sys.argv[1:]
async def main():
    discovery, found = LanDiscovery(), asyncio.Queue()
    peer = PeerId(name.encode() * 20)
    note = await discovery.start(
        label, peer, 9000 + ord(name), lambda *address: found.put_nowait(address)
    )
    print(note or "started", flush=True)
    if note is None:
        print(*await asyncio.wait_for(found.get(), 20), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
    await discovery.close()
asyncio.run(main())
"""


def ip(*words: str) -> bool:
    """Run the `ip` command; return whether it worked."""
    try:
        done = subprocess.run(["ip", *words], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0


@pytest.fixture
def cable() -> Iterator[list[str]]:
    """Two machines at the two ends of a cable, each a network namespace."""
    a, b = NAMES
    link = ["type", "veth", "peer", "name", "eth0", "netns", b]
    try:
        made = (
            ip("netns", "add", a)
            and ip("netns", "add", b)
            and ip("link", "add", "eth0", "netns", a, *link)
        )
        for number, name in enumerate(NAMES, 1):
            address = f"10.99.0.{number}/24"
            made = (
                made
                and ip("-n", name, "address", "add", address, "dev", "eth0")
                and ip("-n", name, "link", "set", "eth0", "up")
                and ip("-n", name, "route", "add", "224.0.0.0/4", "dev", "eth0")
            )
        if not made:
            pytest.skip("needs namespaces")
        yield NAMES
    finally:
        for name in NAMES:
            ip("netns", "delete", name)


def looker(namespace: str, label: str, name: str) -> subprocess.Popen[str]:
    """Start a peer's discovery inside a namespace."""
    command = ["ip", "netns", "exec", namespace, sys.executable, "-c", LOOKING]
    return subprocess.Popen(
        [*command, label, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_machines_on_one_network_find_each_other(cable: list[str]) -> None:
    label = fresh_label()
    with looker(cable[0], label, "a") as a, looker(cable[1], label, "b") as b:
        for process, found in ((a, "10.99.0.2"), (b, "10.99.0.1")):
            assert process.stdout is not None
            assert process.stdout.readline() == "started\n"
            assert process.stdout.readline().split()[0] == found
        a.communicate("\n")
        b.communicate("\n")

    assert a.returncode == b.returncode == 0


def test_a_machine_without_a_network_says_so_and_goes_on(cable: list[str]) -> None:
    assert ip("-n", cable[0], "link", "set", "eth0", "down")
    with looker(cable[0], fresh_label(), "a") as process:
        said, _ = process.communicate(timeout=30)

    assert "local network can't be found" in said
    assert process.returncode == 0


def test_what_zeroconf_reports_does_not_alarm_the_owner(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        discovery = LanDiscovery("203.0.113.7")
        await discovery.start(fresh_label(), ANN, 9001, Found())
        await discovery.close()

    asyncio.run(story())

    ours = [r for r in caplog.records if r.name.startswith("p2pslinger")]
    assert all(record.levelno < logging.WARNING for record in ours)
