"""Attacks by what a task answers: values, errors, output, lies in the slot's framing.

No daemon unpickles anything that comes from a slot, nor does the program that asks for
it; and each holds no more of it than its bounds say.
"""

from __future__ import annotations

import pickle
import resource
import struct
from pathlib import Path

import psutil
import pytest

from p2pslinger.errors import (
    PeerError,
    RemoteError,
    SlingerError,
    TaskKilledError,
    UntrustedValueError,
)
from p2pslinger.sandbox import frames, output
from p2pslinger.sandbox.packed import ITEM_VALUES, SCALAR_VALUES, VALUE_BYTES
from p2pslinger.wire.packed import pack_items
from tests.attacks import answers
from tests.attacks.siege import PATIENCE, Siege


def codec_bombs(mark: str) -> dict[str, tuple[bytes, int, type[SlingerError]]]:
    """Return values of a range that are none, their form, and what the program raises.

    Those that act when they are unpickled make a folder at `mark`.
    """
    bomb = answers.Bomb(mark)
    return {
        "a function by name": (
            pickle.dumps([bomb], 5),
            SCALAR_VALUES,
            UntrustedValueError,
        ),
        "a numbered place of the memo far away": (
            b"\x80\x05]r\xff\xff\xff\x7f.",
            SCALAR_VALUES,
            UntrustedValueError,
        ),
        "bytes longer than the world": (
            b"\x80\x05\x8e" + struct.pack("<Q", 1 << 60) + b".",
            SCALAR_VALUES,
            PeerError,
        ),
        "more values than tasks": (
            pickle.dumps([1, 2, 3], 5),
            SCALAR_VALUES,
            PeerError,
        ),
        "no list": (pickle.dumps({}, 5), SCALAR_VALUES, PeerError),
        "noise": (b"\xff" * 64, SCALAR_VALUES, PeerError),
        "nothing": (b"", SCALAR_VALUES, PeerError),
        "items without an end": (struct.pack("<Q", 1 << 60), ITEM_VALUES, PeerError),
        "an item that names a function": (
            pack_items([pickle.dumps(bomb, 5)]),
            ITEM_VALUES,
            UntrustedValueError,
        ),
    }


def framed(*fields: object, kind: int = frames.DONE) -> bytes:
    body = frames.DONE_BODY.pack(*fields)
    return frames.HEAD.pack(kind, len(body)) + body


#: Frames that no honest slot sends. There are more in tests/sandbox/test_hostile.py.
LIES = {
    "an endless frame": frames.HEAD.pack(frames.DONE, 2**32 - 1),
    "a result that nobody asked for": framed(9, 9, 0, False, 0.0, 0.0, 0, 0) * 3,
}


def test_a_value_that_acts_when_unpickled_is_unpickled_nowhere(
    besieged: Siege, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    future = besieged.call(answers.answer_with_a_bomb, str(mark))
    with pytest.raises(UntrustedValueError, match="mkdir"):
        future.result(PATIENCE)
    assert not mark.exists()
    besieged.goes_on()


def test_an_error_that_acts_when_unpickled_is_told_in_words(
    besieged: Siege, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    error = besieged.call(answers.fail_with_a_bomb, str(mark)).exception(PATIENCE)
    assert isinstance(error, RemoteError)
    assert "LoadedError" in str(error)
    assert not mark.exists()
    besieged.goes_on()


def test_an_error_with_a_hostile_text_is_cut(besieged: Siege) -> None:
    error = besieged.call(answers.fail_endlessly).exception(PATIENCE)
    assert isinstance(error, RemoteError)
    assert len(str(error)) + len(str(error.__cause__)) < 50_000
    besieged.goes_on()


def test_a_value_that_is_too_large_or_too_deep_fails_alone(besieged: Siege) -> None:
    large = besieged.call(answers.answer_at_length, VALUE_BYTES + 1)
    deep = besieged.call(answers.answer_deeply, 100_000)
    error = large.exception(PATIENCE)
    assert isinstance(error, MemoryError) or "too large" in str(error)
    assert "recursion" in str(deep.exception(PATIENCE))
    besieged.goes_on()


def test_a_value_that_is_small_only_when_packed_is_refused(besieged: Siege) -> None:
    with pytest.raises(PeerError, match="repeats itself without end"):
        besieged.call(answers.answer_folded).result(PATIENCE)
    besieged.goes_on()


def test_endless_output_is_held_in_part(besieged: Siege) -> None:
    size = 100_000_000
    before = besieged.daemon.memory_info().rss
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert besieged.call(answers.talk, size).result(PATIENCE) == size
    assert besieged.daemon.memory_info().rss - before < size / 2
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - own
    assert grown * 1024 < size / 2
    assert size / 100 > output.KEPT
    besieged.goes_on()


def test_an_argument_that_acts_when_unpickled_acts_in_the_slot(
    besieged: Siege, tmp_path: Path
) -> None:
    """The other way round: a submitter against the volunteer."""
    mark = tmp_path / "mark"
    error = besieged.call(answers.take, answers.Bomb(str(mark))).exception(PATIENCE)
    assert isinstance(error, OSError)
    assert not mark.exists()
    besieged.goes_on()


@pytest.mark.parametrize("bomb", codec_bombs("mark"))
def test_values_that_are_none_are_an_error_and_no_code(
    bomb: str, besieged: Siege, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    data, form, error = codec_bombs(str(mark))[bomb]
    before = psutil.Process().memory_info().rss
    future = besieged.call(answers.answer_with, data, form)
    with pytest.raises(error):
        future.result(PATIENCE)
    assert psutil.Process().memory_info().rss - before < 100_000_000
    assert not mark.exists()
    besieged.goes_on()


@pytest.mark.parametrize("lie", LIES)
def test_a_slot_that_lies_in_its_framing_is_killed_alone(
    lie: str, besieged: Siege
) -> None:
    lying = besieged.call(answers.say, LIES[lie])
    besieged.goes_on()
    with pytest.raises(TaskKilledError, match="SIGKILL"):
        lying.result(PATIENCE)
    besieged.goes_on()
