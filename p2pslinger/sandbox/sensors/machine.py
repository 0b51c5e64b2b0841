"""This machine's sensors, as they are."""

from __future__ import annotations

import asyncio
import time

from p2pslinger.rules.permits import Facts
from p2pslinger.sandbox.sensors import input, power
from p2pslinger.sandbox.sensors.load import LoadMeter
from p2pslinger.sandbox.sensors.sensor import Question


class Machine:
    """Implements `p2pslinger.sandbox.sensors.sensor.Sensors`."""

    def __init__(self) -> None:
        self._meter = LoadMeter(time.monotonic)
        self._sources = {
            "power": "not asked",
            "input": "not asked",
            "load": "not asked",
        }

    async def look(self, question: Question) -> Facts:
        """Look; beside the loop, because a bus or a full process table take a while."""
        if question.input or question.load is not None:
            return await asyncio.to_thread(self._look, question)
        return self._look(question)

    def _look(self, question: Question) -> Facts:
        battery = power.on_battery() if question.power else None
        if question.power:
            told = "the power supply" if battery is not None else "no battery is known"
            self._sources["power"] = told
        idle = None
        if question.input:
            idle, self._sources["input"] = input.idle(time.time())
        load = None
        if question.load is not None:
            load = self._meter.measure(question.load, question.own, question.programs)
            self._sources["load"] = "the process table"
        if load is None:
            return Facts(battery, idle)
        return Facts(battery, idle, load.share, load.lately, load.program, load.most)

    def week(self, wall: float) -> float:
        """Return the local minute of the week, Monday 0:00 being 0."""
        local = time.localtime(wall)
        hours = 24 * local.tm_wday + local.tm_hour
        return 60 * hours + local.tm_min + local.tm_sec / 60

    def sources(self) -> dict[str, str]:
        """Return by what each thing was last measured, or why it could not be."""
        return dict(self._sources)
