"""Governing: what is written holds, as long as it can be understood."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from p2pslinger.ids import PeerId
from p2pslinger.peer.computing.governing import LOOK, Governing, Ground
from p2pslinger.peer.computing.wishes import WrittenWishes
from p2pslinger.peer.events import Events, Unclear
from p2pslinger.rules.permits import Permit
from p2pslinger.rules.reasons import Reason
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.sensors import Played
from p2pslinger.testing.virtual import current

#: Seconds after which a change has been seen.
SEEN = LOOK + 0.1

FRIEND, OTHER = PeerId(b"f" * 20), PeerId(b"o" * 20)

GROUND = Ground(
    slots=3,
    possible=lambda: True,
    used=lambda: 0.0,
    programs=set,
    short_lived=False,
    listed=lambda peer: peer == FRIEND,
    wall=lambda: 1e9,
)


class Scene:
    """A file of preferences, and what follows from it."""

    def __init__(self, file: Path, ground: Ground, *, applies: bool) -> None:
        self.file = file
        self.played = Played()
        self.permits: list[Permit] = []
        self.noted: list[str] = []
        events = Events()
        events.subscribe(
            lambda event: (
                self.noted.append(event.text) if isinstance(event, Unclear) else None
            )
        )
        self.governing = Governing(
            current(),
            wishes=WrittenWishes(file),
            sensors=self.played if applies else None,
            ground=ground,
            apply=self.permits.append,
            changed=lambda: None,
            events=events,
        )

    def write(self, text: str) -> None:
        """Write the file; a clock that is coarse must not hide it."""
        self.file.write_text(text)
        old = self.file.stat()
        os.utime(self.file, ns=(old.st_atime_ns, old.st_mtime_ns + len(text) + 1))

    @property
    def code(self) -> str:
        """Why others get nothing."""
        reason = self.governing.reason
        return reason.code if reason else ""


def play(
    virtual: VirtualTime,
    file: Path,
    act: Callable[[Scene], Awaitable[None]],
    *,
    text: str = "",
    ground: Ground = GROUND,
    applies: bool = True,
) -> None:
    """Have a peer governed while something happens."""

    if text:
        file.write_text(text)

    async def main() -> None:
        scene = Scene(file, ground, applies=applies)
        scene.governing.begin()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(scene.governing.keep_governing())
            await act(scene)
            task.cancel()

    virtual.run(main)


def test_a_change_of_the_file_applies_within_two_seconds(
    virtual: VirtualTime, tmp_path: Path
) -> None:
    async def act(scene: Scene) -> None:
        assert not scene.permits[-1].suspended
        scene.write("cores = 2\ncore_share = 0.5\n")
        await asyncio.sleep(SEEN)
        assert (scene.permits[-1].slots, scene.permits[-1].share) == (2, 0.5)
        scene.file.unlink()
        await asyncio.sleep(SEEN)
        assert (scene.permits[-1].slots, scene.permits[-1].share) == (None, 1.0)

    play(virtual, tmp_path / "prefs.toml", act)


def test_a_file_that_breaks_leaves_what_it_said_and_says_so_once(
    virtual: VirtualTime, tmp_path: Path
) -> None:
    async def act(scene: Scene) -> None:
        assert scene.permits[-1].slots == 1
        scene.write("cores = many")
        await asyncio.sleep(10)
        assert scene.permits[-1].slots == 1
        assert not scene.permits[-1].suspended
        assert len(scene.noted) == 1
        (note,) = scene.governing.notes()
        assert "what it said before holds" in note
        scene.write("cores = 2")
        await asyncio.sleep(SEEN)
        assert scene.permits[-1].slots == 2
        assert scene.governing.notes() == []

    play(virtual, tmp_path / "prefs.toml", act, text="cores = 1\n")


def test_a_file_that_is_broken_from_the_start_gives_others_nothing(
    virtual: VirtualTime, tmp_path: Path
) -> None:
    async def act(scene: Scene) -> None:
        assert scene.permits[-1].suspended
        assert scene.code == Reason.DISABLED
        assert "others get nothing" in scene.governing.notes()[0]
        assert scene.governing.reason is not None
        assert scene.governing.reason.advice == "mend that line"
        scene.write("enabled = true")
        await asyncio.sleep(SEEN)
        assert not scene.permits[-1].suspended

    play(virtual, tmp_path / "prefs.toml", act, text="enabled = maybe")


def test_nobody_else_is_computed_for_while_it_is_not_known_who_is_denied(
    virtual: VirtualTime, tmp_path: Path
) -> None:
    unsure = ["people.toml is no valid TOML"]

    async def act(scene: Scene) -> None:
        assert scene.permits[-1].suspended
        assert scene.governing.reason is not None
        assert "people.toml is no valid TOML" in scene.governing.reason.text
        unsure[0] = ""
        await asyncio.sleep(SEEN)
        assert not scene.permits[-1].suspended

    ground = replace(GROUND, unsure=lambda: unsure[0])
    play(virtual, tmp_path / "prefs.toml", act, ground=ground)


def test_a_short_lived_peer_computes_for_others_only_if_it_is_said(
    virtual: VirtualTime, tmp_path: Path
) -> None:
    async def act(scene: Scene) -> None:
        assert scene.code == Reason.DISABLED
        assert scene.permits[-1].suspended
        scene.write("program_peers = true")
        await asyncio.sleep(SEEN)
        assert not scene.permits[-1].suspended

    brief = replace(GROUND, short_lived=True)
    play(virtual, tmp_path / "prefs.toml", act, ground=brief)


def test_an_owner_may_compute_for_those_alone_that_are_allowed(
    virtual: VirtualTime, tmp_path: Path
) -> None:
    async def act(scene: Scene) -> None:
        assert scene.governing.serves(OTHER)
        scene.write('compute_for = "allowed"')
        await asyncio.sleep(SEEN)
        assert scene.governing.serves(FRIEND)
        assert not scene.governing.serves(OTHER)

    play(virtual, tmp_path / "prefs.toml", act)


def test_where_preferences_do_not_apply_nothing_is_withheld(
    virtual: VirtualTime, tmp_path: Path
) -> None:
    async def act(scene: Scene) -> None:
        await asyncio.sleep(10)
        assert scene.permits == []
        assert scene.governing.serves(OTHER)
        assert scene.code == ""
        report = await scene.governing.report()
        assert not report.governed

    text = 'enabled = false\ncompute_for = "allowed"'
    play(virtual, tmp_path / "prefs.toml", act, text=text, applies=False)


def test_somebody_who_asks_does_not_hurry_the_sensors(
    virtual: VirtualTime, tmp_path: Path
) -> None:
    async def act(scene: Scene) -> None:
        scene.played.load, scene.played.program = 0.9, "make"
        for _ in range(40):
            await asyncio.sleep(0.5)
            report = await scene.governing.report()
        assert scene.played.looks <= 20 / LOOK + 1
        assert report.reason is not None
        assert report.reason.code == Reason.FOREIGN_LOAD
        assert (report.slots, report.program) == (0, "make")
        assert len(scene.permits) == 2, "nothing was applied twice"
        assert scene.permits[-1].since >= 1e9

    play(virtual, tmp_path / "prefs.toml", act)
