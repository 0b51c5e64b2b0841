"""The machine on which everything is measured, in words."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

import psutil


def describe() -> list[str]:
    """Return what a reader has to know of this machine, a sentence each."""
    cores = os.cpu_count() or 1
    memory = psutil.virtual_memory().total / 2**30
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    quiet = "" if load < 0.5 else ", so other programs ran and the figures suffer"
    return [
        f"{cores} cores ({processor()}), {memory:.0f} GiB of memory.",
        f"{platform.system()} {platform.release()} on {platform.machine()}, "
        f"{platform.python_implementation()} {platform.python_version()}.",
        f"Measured on {time.strftime('%Y-%m-%d')}; the load before was {load:.1f}"
        f"{quiet}.",
    ]


def processor() -> str:
    """Return the processor's name, as far as the system knows it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # no Linux
    return platform.processor() or "of an unknown kind"
