"""Who can compute a job: whoever has its Python, its packages and its platform."""

from __future__ import annotations

import msgspec
import pytest

from p2pslinger.rules.fitting import (
    Lack,
    choose,
    fits,
    lacks,
    platform_name,
    size_in_words,
)
from p2pslinger.wire.needs import NOTHING, Needs, Offer, Offered

GIB = 1 << 30

OFFER = Offer(
    "linux-x86_64",
    (Offered("3.11", ("numpy>=2",)), Offered("3.12"), Offered("3.12", ("scipy",))),
    memory=GIB,
    own=2 * GIB,
)


@pytest.mark.parametrize(
    ("python", "needs", "lack"),
    [
        (None, NOTHING, None),
        ("3.12", NOTHING, None),
        ("3.13", NOTHING, Lack("python", "3.13")),
        ("3.1", NOTHING, Lack("python", "3.1")),
        (None, Needs(("numpy>=2",)), None),
        ("3.11", Needs(("numpy>=2",)), None),
        ("3.12", Needs(("numpy>=2",)), Lack("package", "numpy>=2")),
        ("3.12", Needs(("scipy",)), None),
        (None, Needs(("numpy>=2", "scipy")), Lack("package", "scipy")),
        (None, Needs(platform="linux"), None),
        (None, Needs(platform="linux-x86_64"), None),
        (None, Needs(platform="linux-x86"), Lack("platform", "linux-x86")),
        (None, Needs(platform="darwin"), Lack("platform", "darwin")),
        ("3.13", Needs(("scipy",), "darwin"), Lack("platform", "darwin")),
        (None, Needs(memory=GIB), None),
        (None, Needs(memory=GIB + 1), Lack("memory", "1 GiB")),
        ("3.13", Needs(memory=9 * GIB), Lack("python", "3.13")),
        (None, Needs(sandbox=True), Lack("sandbox", "")),
        (None, Needs(memory=9 * GIB, sandbox=True), Lack("sandbox", "")),
    ],
)
def test_a_volunteer_lacks_the_first_thing_that_none_of_its_interpreters_has(
    python: str | None, needs: Needs, lack: Lack | None
) -> None:
    assert lacks(python, needs, OFFER) == lack
    assert fits(python, needs, OFFER) is (lack is None)
    installed = lack is None or lack.kind in {"memory", "sandbox"}
    assert (choose(python, needs, OFFER) is not None) is installed


def test_its_own_jobs_get_more_of_a_machine_unless_they_are_confined() -> None:
    more = Needs(memory=2 * GIB)
    assert lacks(None, more, OFFER, own=True) is None
    assert lacks(None, more, OFFER) == Lack("memory", "2 GiB")
    confined = msgspec.structs.replace(OFFER, sandbox=True)
    assert fits(None, Needs(sandbox=True), confined)
    both = msgspec.structs.replace(more, sandbox=True)
    assert lacks(None, both, confined, own=True) == Lack("memory", "2 GiB")


@pytest.mark.parametrize(
    ("size", "words"),
    [(GIB, "1 GiB"), (3 * GIB // 2, "1.5 GiB"), (700 << 20, "700 MiB"), (5, "5 bytes")],
)
def test_sizes_are_said_as_people_write_them(size: int, words: str) -> None:
    assert size_in_words(size) == words


def test_nobody_fits_before_he_has_said_what_he_has_but_for_any_python() -> None:
    assert not fits("3.12", NOTHING, Offer())
    assert not fits(None, Needs(("numpy",)), Offer())


def test_the_first_interpreter_that_can_run_a_job_does() -> None:
    assert choose(None, NOTHING, OFFER) == OFFER.slots[0]
    assert choose("3.12", NOTHING, OFFER) == OFFER.slots[1]
    assert choose("3.12", Needs(("scipy",)), OFFER) == OFFER.slots[2]


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [
        ("Linux", "x86_64", "linux-x86_64"),
        ("Linux", "aarch64", "linux-arm64"),
        ("Darwin", "arm64", "darwin-arm64"),
        ("Windows", "AMD64", "windows-x86_64"),
        ("Linux", "", "linux"),
    ],
)
def test_a_platform_has_one_name(system: str, machine: str, name: str) -> None:
    assert platform_name(system, machine) == name
