"""Options of the grid that are given to a function's call are refused with advice."""

from __future__ import annotations

import asyncio
import functools
import inspect

import pytest

from p2pslinger.client.grid import Grid
from p2pslinger.client.misuse import (
    OF_CALLS,
    OPTIONS,
    MisplacedOptionError,
    check_keywords,
)
from p2pslinger.errors import UsageError
from tests.client.scripted import is_quiet, scripted_grid


def plain(x: int, *, scale: int = 1) -> int:
    return x * scale


def own(x: int, timeout: float = 0.0, requires: str = "") -> int:
    return x


def anything(**keywords: object) -> object:
    return keywords


def test_an_option_of_the_grid_is_refused_where_the_function_takes_none() -> None:
    with scripted_grid() as (peer, grid):
        with pytest.raises(MisplacedOptionError) as caught:
            grid.submit(plain, 1, requires=["numpy"])  # type: ignore[call-arg]
        assert "plain takes no argument 'requires'" in str(caught.value)
        assert "grid.options(requires=...).submit(...)" in str(caught.value)
        assert isinstance(caught.value, (UsageError, TypeError))

        with pytest.raises(MisplacedOptionError, match="takes no argument"):
            asyncio.run(_asubmit(grid))
        assert is_quiet(peer)


async def _asubmit(grid: Grid) -> None:
    await grid.asubmit(plain, 1, timeout=3)  # type: ignore[call-arg]


def test_what_only_a_started_job_can_have_is_named_so() -> None:
    with pytest.raises(MisplacedOptionError, match=r"grid.start\(\.\.\., keepers="):
        check_keywords(plain, {"keepers": 2})


@pytest.mark.parametrize(
    ("function", "keywords"),
    [
        (plain, {"scale": 2}),
        (plain, {"unknown": 2}),  # the task's own error
        (own, {"timeout": 3, "requires": "x"}),
        (anything, {"requires": []}),
        (functools.partial(own, 1), {"timeout": 3}),
        (min, {"timeout": 3}),
    ],
)
def test_the_functions_own_keywords_are_its_own(
    function: object, keywords: dict[str, object]
) -> None:
    check_keywords(function, keywords)  # type: ignore[arg-type]


def test_every_option_is_known() -> None:
    def names(method: object) -> set[str]:
        return set(inspect.signature(method).parameters)  # type: ignore[arg-type]

    assert names(Grid.options) - {"self"} <= OF_CALLS
    started = {"self", "fn", "arguments", "name", "keep", "priority", "tolerance"}
    assert names(Grid.start) - started - {"require_keepers"} <= OPTIONS
