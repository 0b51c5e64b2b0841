"""The examples compute what they say, before any grid is asked to."""

from __future__ import annotations

import importlib.util
import math
import random
import struct
import zlib
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_fractal_is_a_picture_with_an_inside_and_many_colours() -> None:
    fractal = example("fractal")
    width, height = 60, 40
    rows = [fractal.row(y, width, height) for y in range(height)]
    picture = fractal.png(width, height, rows)

    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack_from(">II", picture, 16) == (width, height)
    start = picture.index(b"IDAT") + 4
    (size,) = struct.unpack_from(">I", picture, start - 8)
    pixels = zlib.decompress(picture[start : start + size])
    assert pixels == b"".join(b"\0" + row for row in rows)
    colours = {row[x : x + 3] for row in rows for x in range(0, 3 * width, 3)}
    assert bytes(3) in colours
    assert len(colours) > 500


def test_darts_hit_about_as_often_as_they_should() -> None:
    pi = example("pi")
    random.seed(1)
    assert abs(4 * pi.hits(100_000) / 100_000 - math.pi) < 0.02


def test_numbers_are_the_products_of_their_prime_factors() -> None:
    factorize = example("factorize")
    chance = random.Random(2)
    for number, factors in [factorize.product(chance) for _ in range(20)]:
        assert factorize.factorize(number) == factors
    for number in range(1, 1000):
        factors = factorize.factorize(number)
        assert math.prod(factors) == number
        assert all(map(factorize.is_prime, factors))


@pytest.mark.parametrize("name", ["fractal", "pi", "factorize"])
def test_every_example_is_a_program_with_a_main(name: str) -> None:
    assert callable(example(name).main)
