"""Whether the machine runs on battery.

    /sys/class/power_supply/AC/{type,online}          Mains, USB: 1 while it feeds us
    /sys/class/power_supply/BAT0/{type,scope,status}  Battery of the machine itself

A mouse with a battery (scope "Device") is no power supply of the machine. A machine
without a battery never runs on one: then nobody asks, and the answer is None.
"""

from __future__ import annotations

import os
import sys

SUPPLIES = "/sys/class/power_supply"

#: What a battery does that has another source beside it.
_FED = {"Charging", "Full", "Not charging"}


def on_battery(folder: str = SUPPLIES) -> bool | None:
    """Return whether the machine runs on battery; None without one, or if unknown."""
    if sys.platform != "linux" and folder == SUPPLIES:
        return _elsewhere()
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return None
    supplies = [f"{folder}/{name}" for name in names]
    batteries = [one for one in supplies if _is_ours(one)]
    if not batteries:
        return None
    if any(_read(one, "online") == "1" for one in supplies if one not in batteries):
        return False
    states = {_read(one, "status") for one in batteries}
    if "Discharging" in states:
        return True
    if states & _FED:
        return False
    return True if _mains(supplies) else None  # all of them say that they give nothing


def _is_ours(supply: str) -> bool:
    return _read(supply, "type") == "Battery" and _read(supply, "scope") != "Device"


def _mains(supplies: list[str]) -> list[str]:
    return [one for one in supplies if _read(one, "type") in {"Mains", "USB"}]


def _read(supply: str, name: str) -> str:
    try:
        with open(f"{supply}/{name}") as file:
            return file.read().strip()
    except OSError:
        return ""


def _elsewhere() -> bool | None:
    """Ask the system by way of psutil (macOS, Windows, BSD)."""
    import psutil

    sensor = getattr(psutil, "sensors_battery", None)
    found = sensor() if sensor is not None else None
    if found is None or found.power_plugged is None:
        return None
    return not found.power_plugged
