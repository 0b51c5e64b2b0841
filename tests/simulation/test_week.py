"""A week in the life of a family's laptop: every transition, and a reason for each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace

from p2pslinger.ids import PeerId
from p2pslinger.peer.computing.governing import Governing, Ground
from p2pslinger.peer.computing.wishes import SpokenWishes
from p2pslinger.peer.events import Events
from p2pslinger.rules.hours import DAY, WEEK, read_hours
from p2pslinger.rules.permits import BUSY, QUIET, Permit
from p2pslinger.rules.preferences import DEFAULTS, UNTIL_RESUMED, Preferences
from p2pslinger.rules.reasons import Reason
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.sensors import MONDAY, Played
from p2pslinger.testing.virtual import current

HOUR, MINUTE = 60, 1

#: Seconds between two looks: as the peer looks, and where nothing changes for long.
FINE, COARSE = 2.0, 30.0

#: Minutes before and after a change of the script in which there is a fine look.
AROUND = 3

#: What the owner wants: never while school is on, and not on battery.
WISHES = replace(DEFAULTS, hours=read_hours("mon-fri 14:00-08:00, sat-sun 00:00-24:00"))


@dataclass(frozen=True)
class Change:
    """At one minute of the week, something is different from then on."""

    minute: int
    machine: dict[str, object]
    wishes: Preferences | None = None


def script() -> list[Change]:
    """Return what happens in the week."""
    changes = []
    for day in range(5):  # after school the laptop is taken to the sofa
        start = day * DAY
        changes += [
            Change(start + 15 * HOUR, {"on_battery": True, "idle": 0.0}),
            Change(start + 17 * HOUR, {"on_battery": False}),
            Change(start + 18 * HOUR, {"load": 0.6, "program": "game"}),
            Change(start + 20 * HOUR, {"load": 0.05, "program": "", "idle": 3600.0}),
        ]
    saturday, sunday = 5 * DAY, 6 * DAY
    changes += [
        Change(saturday + 9 * HOUR, {}, replace(WISHES, when_idle=True)),
        Change(saturday + 10 * HOUR, {"idle": 1.0}),
        Change(saturday + 11 * HOUR, {"idle": 299.0}),
        Change(saturday + 12 * HOUR, {"idle": 301.0}),
        Change(saturday + 13 * HOUR, {}, WISHES),
        Change(saturday + 20 * HOUR, {}, paused(saturday + 22 * HOUR)),
        Change(sunday + 8 * HOUR, {}, replace(WISHES, paused_until=UNTIL_RESUMED)),
        Change(sunday + 9 * HOUR, {}, WISHES),
        Change(sunday + 10 * HOUR, {}, replace(WISHES, enabled=False)),
        Change(sunday + 12 * HOUR, {}, WISHES),
        Change(sunday + 15 * HOUR, {"load": 0.9, "program": "make"}),
        Change(sunday + 16 * HOUR, {"on_battery": True}),
        Change(sunday + 17 * HOUR, {"on_battery": False}),
        Change(sunday + 18 * HOUR, {"load": 0.0, "program": ""}),
    ]
    return sorted(changes, key=lambda change: change.minute)


def paused(until: int) -> Preferences:
    return replace(WISHES, paused_until=MONDAY + 60 * until)


#: What is to be seen: from which minute on (seconds later), for what reason.
#: Monday's night would have been Sunday's: it has no hours before school either.
SCHOOL = [(d * DAY + 8 * HOUR * (d > 0), 0.0, Reason.OUT_OF_HOURS) for d in range(5)]
SEEN = sorted(
    SCHOOL
    + [(d * DAY + 14 * HOUR, 0.0, None) for d in range(5)]
    + [(d * DAY + 15 * HOUR, 0.0, Reason.ON_BATTERY) for d in range(5)]
    + [(d * DAY + 17 * HOUR, 0.0, None) for d in range(5)]
    + [(d * DAY + 18 * HOUR, BUSY, Reason.FOREIGN_LOAD) for d in range(5)]
    + [(d * DAY + 20 * HOUR, QUIET, None) for d in range(5)]
    + [
        (5 * DAY + 10 * HOUR, 0.0, Reason.IN_USE),
        (5 * DAY + 12 * HOUR, 0.0, None),
        (5 * DAY + 20 * HOUR, 0.0, Reason.PAUSED),
        (5 * DAY + 22 * HOUR, 0.0, None),
        (6 * DAY + 8 * HOUR, 0.0, Reason.PAUSED),
        (6 * DAY + 9 * HOUR, 0.0, None),
        (6 * DAY + 10 * HOUR, 0.0, Reason.DISABLED),
        (6 * DAY + 12 * HOUR, 0.0, None),
        (6 * DAY + 15 * HOUR, BUSY, Reason.FOREIGN_LOAD),
        (6 * DAY + 16 * HOUR, 0.0, Reason.ON_BATTERY),
        (6 * DAY + 17 * HOUR, 0.0, Reason.FOREIGN_LOAD),
        (6 * DAY + 18 * HOUR, QUIET, None),
    ],
    key=lambda one: one[0],
)


def looks() -> Iterator[float]:
    """Yield the seconds of the week at which there is a look."""
    fine = [minute for minute, _, __ in SEEN] + [one.minute for one in script()]
    near = {minute + i for minute in fine for i in range(-1, AROUND)}
    for minute in range(WEEK):
        step = FINE if minute in near else COARSE
        yield from (60 * minute + i * step for i in range(int(60 / step)))


def test_a_week_of_preferences_sees_every_transition_and_a_reason_for_each(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        played, wishes = Played(), SpokenWishes()
        wishes.preferences = WISHES
        permits: list[Permit] = []
        loop = current()
        began = loop.time()
        governing = Governing(
            loop,
            wishes=wishes,
            sensors=played,
            ground=ground(lambda: MONDAY + loop.time() - began),
            apply=permits.append,
            changed=lambda: None,
            events=Events(),
        )
        governing.begin()
        changes = script()
        seen: list[tuple[float, str | None]] = []
        last: str | None = None
        for second in looks():
            await asyncio.sleep(began + second - loop.time())
            while changes and 60 * changes[0].minute <= second:
                change = changes.pop(0)
                for name, value in change.machine.items():
                    setattr(played, name, value)
                wishes.preferences = change.wishes or wishes.preferences
            await governing.look()
            now = permits[-1]
            assert now.suspended == (now.reason is not None)
            assert governing.reason == now.reason
            reason = now.reason
            if reason is not None:
                assert reason.text
                assert reason.advice
            code = reason.code if reason is not None else None
            if code != last:
                seen.append((second, code))
                assert abs(now.since - (MONDAY + second)) < 1e-3
            last = code
        assert len(seen) == len(SEEN)
        for (second, code), (minute, later, right) in zip(seen, SEEN, strict=True):
            assert code == right
            late = second - 60 * minute - later  # a look covers the seconds before it
            assert -FINE <= late <= 1 + FINE, (second, minute)

    virtual.run(main)


def ground(wall: object) -> Ground:
    assert callable(wall)

    def listed(_: PeerId) -> bool:
        return False

    return Ground(
        slots=2,
        possible=lambda: True,
        used=lambda: 0.0,
        programs=set,
        short_lived=False,
        listed=listed,
        wall=wall,
    )
