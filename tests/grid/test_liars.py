"""A volunteer that lies harms neither programs nor peers, and they say what it did."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import p2pslinger as slinger
from p2pslinger.client.connect import TrustWarning
from p2pslinger.client.grid import Grid
from p2pslinger.client.values import Trust
from p2pslinger.errors import PeerError, RemoteError, UntrustedValueError
from p2pslinger.ids import from_text, to_text
from tests.grid import liar
from tests.grid.place import HANGING, Peer, Place, line, until


def square(x: int) -> int:
    return x * x


class Scene(SimpleNamespace):
    """Anna, who has no slots, and a liar who computes for her.

    Attributes:
        place: Where they are.
        anna: Her peer.
        file: What the liar says.
        owned: Is there once code of the liar's has run.
    """

    place: Place
    anna: Peer
    file: Path
    owned: Path

    def lie(self, name: str) -> None:
        """Have the liar tell this from now on."""
        self.file.write_text(name)
        self.owned.unlink(missing_ok=True)

    def type(self, *words: str) -> str:
        """Type a command on Anna's machine; return all that it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "p2pslinger", *words],
            env=self.place.environment | {"SLINGER_DATA": str(self.anna.data)},
            capture_output=True,
            text=True,
            timeout=HANGING,
            check=False,
        )
        return done.stdout + done.stderr

    @contextlib.contextmanager
    def program(self, trust: Trust = "safe") -> Iterator[Grid]:
        """Connect as a program on her machine."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TrustWarning)
            grid = slinger.connect(data=self.anna.data, trust=trust)
        with grid:
            yield grid


@pytest.fixture(scope="module")
def scene(module_place: Place, anna: Peer) -> Scene:
    """Anna and the liar, connected."""
    file = module_place.folder / "lie"
    file.write_text("nothing")
    process = module_place.start(
        "-m",
        "tests.grid.liar",
        str(file),
        anna.address,
        SLINGER_DATA=str(module_place.folder / "liar"),
        SLINGER_AUTHKEY=module_place.key,
    )
    assert line(process).startswith("listening on ")
    with anna.connect() as grid:
        until(lambda: len(grid.peers()) == 2)
        assert list(grid.map(square, range(5))) == [0, 1, 4, 9, 16]
    return Scene(
        place=module_place,
        anna=anna,
        file=file,
        owned=module_place.folder / "owned",
    )


def test_code_in_a_result_does_not_run_unless_the_program_says_so(scene: Scene) -> None:
    scene.lie("code")
    refused = pytest.raises(UntrustedValueError, match=r"posix\.system.*trust=")
    with scene.program() as grid, refused:
        grid.submit(square, 2).result(15)
    assert not scene.owned.exists()

    with scene.program("pickle") as grid:  # the attack does work
        grid.submit(square, 2).result(15)
    assert scene.owned.exists()


def test_who_asks_for_pickles_is_told_once_what_that_means(scene: Scene) -> None:
    with pytest.warns(TrustWarning, match="can run code in it") as told:
        slinger.connect(data=scene.anna.data, trust="pickle").shutdown()
    assert len(told) == 1
    assert str(told[0].filename) == __file__


def test_only_whom_the_owner_allows_is_unpickled_whatever_he_calls_himself(
    scene: Scene,
) -> None:
    scene.lie("code")
    with scene.program() as grid:
        (them,) = [one for one in grid.peers() if not one.this]
        assert them.name == liar.NAME
    scene.type("name", them.peer, "grandma")
    with scene.program() as grid, pytest.raises(UntrustedValueError):
        grid.submit(square, 3).result(15)
    assert not scene.owned.exists()

    scene.type("allow", "@grandma")
    with scene.program() as grid:
        grid.submit(square, 4).result(15)
    assert scene.owned.exists()

    scene.owned.unlink()
    scene.type("allow", "@grandma", "--remove")
    with scene.program() as grid, pytest.raises(UntrustedValueError):
        grid.submit(square, 5).result(15)
    assert not scene.owned.exists()
    assert to_text(from_text(them.peer)) == them.peer


@pytest.mark.parametrize("lie", ["laughs", "deep", "huge", "more", "garbage"])
def test_bombs_and_garbage_cost_their_own_tasks_their_results(
    scene: Scene, lie: str
) -> None:
    scene.lie(lie)
    with scene.program() as grid:
        with pytest.raises((PeerError, UntrustedValueError)):
            grid.submit(square, 2).result(15)
        scene.lie("nothing")
        assert grid.submit(square, 3).result(15) == 9


def shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    ("lie", "kind"), [("error", ValueError), ("strange error", RemoteError)]
)
def test_an_error_neither_runs_code_nor_drives_a_terminal(
    scene: Scene, lie: str, kind: type[Exception]
) -> None:
    scene.lie(lie)
    with scene.program() as grid, pytest.raises(kind) as raised:
        grid.submit(square, 2).result(15)

    assert type(raised.value) is kind
    assert not scene.owned.exists()
    text = shown(raised.value)
    assert is_harmless(text), text
    assert "owned" in text


def is_harmless(text: str) -> bool:
    return all(one.isprintable() or one in "\n\t" for one in text)


def test_what_commands_print_is_harmless_whatever_a_peer_says(scene: Scene) -> None:
    scene.lie("output")
    with scene.program() as grid:
        printing = grid.start(square, range(3), keepers=0)
        assert printing.wait(15)
        scene.lie("strange error")
        failing = grid.start(square, range(3), keepers=0)
        assert failing.wait(15)

    for words in (
        ("peers",),
        ("peers", "--json"),
        ("tally",),
        ("tally", "--json"),
        ("status",),
        ("doctor",),
        ("job", printing.id),
        ("job", printing.id, "--follow"),
        ("results", printing.id, "--output"),
        ("results", failing.id),
        ("results", failing.id, "--errors"),
        ("results", failing.id, "--errors", "--json"),
    ):
        said = scene.type(*words)
        assert said
        assert is_harmless(said), (words, said)
    (them,) = [
        one for one in json.loads(scene.type("peers", "--json")) if not one["this"]
    ]
    assert them["name"] == liar.NAME
    # Without a petname, nothing that looks like one is shown.
    scene.type("name", them["peer"], "--remove")
    assert "@" not in scene.type("peers")


@pytest.mark.parametrize("lie", ["others", "digest"])
def test_results_that_nobody_has_asked_for_are_not_taken(
    scene: Scene, lie: str
) -> None:
    scene.lie(lie)
    honest = scene.place.volunteer(f"bert {lie}", scene.anna)
    with scene.program() as grid:
        assert list(grid.map(square, range(50))) == [x * x for x in range(50)]
    honest.kill()
