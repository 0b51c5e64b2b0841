"""What a start has to wait for: the modules that every peer and every program loads.

Each of these costs some milliseconds, is needed seldom or later, and once came along.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Needed for discovery, for requirements, and for measuring on some systems.
SLOW = {"zeroconf", "ifaddr", "packaging", "psutil", "importlib.metadata"}

#: Needed for files, mistakes and values that most never see.
RARE = {"difflib", "fractions", "html", "pickletools", "statistics", "zoneinfo"}

LOADED = """
import sys
before = set(sys.modules)
import {module}
print(*set(sys.modules) - before)
"""

COLLECTOR = """
import gc
from p2pslinger.peer.loading import loading
try:
    with loading():
        print(gc.isenabled())
        raise ImportError
except ImportError:
    print(gc.isenabled(), gc.get_freeze_count() > 0)
"""


def printed(program: str) -> list[str]:
    command = [sys.executable, "-c", program]
    return subprocess.check_output(command, text=True, timeout=60).split()


@pytest.mark.parametrize(
    ("module", "spared"),
    [
        ("p2pslinger.peer.run", SLOW | RARE | {"json", "tomllib"}),
        ("p2pslinger.client.connect", SLOW | RARE | {"asyncio", "tomllib"}),
        ("p2pslinger.sandbox.zygote", SLOW | RARE | {"asyncio", "msgspec", "pathlib"}),
    ],
)
def test_a_start_does_not_wait_for_modules_that_are_needed_seldom(
    module: str, spared: set[str]
) -> None:
    assert spared.isdisjoint(printed(LOADED.format(module=module)))


def test_the_collector_rests_while_a_peer_is_loaded_and_works_again_then() -> None:
    assert printed(COLLECTOR) == ["False", "True", "True"]
