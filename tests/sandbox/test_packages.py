"""Functions arrive with their modules, which are each job's own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from struct import pack

import pytest

from p2pslinger.sandbox.packages import unpack
from p2pslinger.sandbox.packed import CALLS
from p2pslinger.sandbox.slot import Failure
from tests.sandbox.desk import Worker, decoded, packaged, source, with_a_worker, wrapped

NONE: object = ((), {})


def whose() -> object:
    import shop  # type: ignore[import-not-found]

    return shop.owner()


def deep() -> object:
    from tree.branch import leaf  # type: ignore[import-not-found]

    return leaf.COLOUR, leaf.__name__, sys.modules["tree"].__name__


async def one(worker: Worker, code: bytes) -> object:
    (value,) = await worker.compute(code, [NONE], form=CALLS)
    return value


def test_modules_that_come_along_are_imported_from_memory() -> None:
    code = packaged(whose, modules=[("shop", "def owner(): return __file__")])

    async def scenario(worker: Worker) -> None:
        assert await one(worker, code) == "/home/ann/shop.py"

    with_a_worker(scenario)


def test_packages_come_with_and_without_an_init() -> None:
    leaf = ("tree.branch.leaf", "from tree.branch import leaf as me; COLOUR = 'green'")
    bare = packaged(deep, modules=[leaf])
    full = [("tree", "X = 1"), ("tree.branch", "from tree import X"), leaf]
    with_init = packaged(deep, modules=full, packages=["tree", "tree.branch"])

    async def scenario(worker: Worker) -> None:
        for code in (bare, with_init):
            assert await one(worker, code) == ("green", "tree.branch.leaf", "tree")

    with_a_worker(scenario)


def test_two_jobs_may_bring_different_modules_of_one_name() -> None:
    counting = "n = 0\ndef owner():\n    global n\n    n += 1\n    return '{}', n"

    async def scenario(worker: Worker) -> None:
        anns, bobs = [
            worker.load(
                packaged(whose, modules=[("shop", counting.format(name))]),
                [NONE] * 9,
                form=CALLS,
            )
            for name in ("ann", "bob")
        ]
        seen = []
        for job in (anns, bobs, anns, bobs, anns):
            worker.order(job, 0, 1)
            seen += decoded(await worker.outcome())
        expected = [("ann", 1), ("bob", 1), ("ann", 2), ("bob", 2), ("ann", 3)]
        assert seen == expected
        worker.slot.forget(anns, None)
        failure = await one(worker, packaged(whose))
        assert isinstance(failure, Failure)
        worker.order(bobs, 0, 1)
        assert decoded(await worker.outcome()) == [("bob", 3)]

    with_a_worker(scenario)


def test_a_module_that_comes_along_covers_the_hosts_for_its_job_only() -> None:
    def dump() -> object:
        import json

        return json.dumps(1)

    async def scenario(worker: Worker) -> None:
        own = packaged(dump, modules=[("json", "def dumps(x): return 'mine'")])
        assert await one(worker, packaged(dump)) == "1"
        assert await one(worker, own) == "mine"
        assert await one(worker, packaged(dump)) == "1"

    with_a_worker(scenario)


def test_tracebacks_show_the_lines_of_modules_that_came_along() -> None:
    text = "def owner():\n    raise ValueError('broke')  # {}\n"

    async def scenario(worker: Worker) -> None:
        for name in ("ann", "bob"):
            code = packaged(whose, modules=[("shop", text.format(name))])
            failure = await one(worker, code)
            assert isinstance(failure, Failure)
            assert 'File "/home/ann/shop.py", line 2, in owner' in failure.traceback
            assert f"raise ValueError('broke')  # {name}" in failure.traceback

    with_a_worker(scenario)


def test_a_module_that_is_not_there_is_named() -> None:
    text = "import no_such_module_anywhere\ndef f(x): return x"

    async def scenario(worker: Worker) -> None:
        for value in await worker.compute(source(text, "f"), [1, 2]):
            assert isinstance(value, Failure)
            assert value.type == "ModuleNotFoundError"
            lacks = f"'no_such_module_anywhere', which {sys.executable} lacks"
            assert lacks in value.message
            assert value.arguments in {"1", "2"}

    with_a_worker(scenario)


def test_a_function_may_come_as_source() -> None:
    text = (
        "from dataclasses import dataclass\n"
        "@dataclass\nclass Point:\n    x: int\n"
        "class Maker:\n"
        "    @staticmethod\n    def make(x): return Point(x)\n"
        "    @staticmethod\n    def fail(x): raise KeyError(x)\n"
    )

    async def scenario(worker: Worker) -> None:
        (point,) = await worker.compute(source(text, "Maker.make"), [3])
        assert point.x == 3, "its class is known in the slot only, and came by value"  # type: ignore[attr-defined]
        (failure,) = await worker.compute(source(text, "Maker.fail"), [3])
        assert isinstance(failure, Failure)
        assert "def fail(x): raise KeyError(x)" in failure.traceback
        (failure,) = await worker.compute(source("def f(:", "f"), [3])
        assert isinstance(failure, Failure)
        assert failure.type == "SyntaxError"
        (failure,) = await worker.compute(source("f = 3", "f"), [3])
        assert isinstance(failure, Failure)
        assert failure.message == "f is not a function but <class 'int'>"
        (failure,) = await worker.compute(source("raise SystemExit", "f"), [3])
        assert isinstance(failure, Failure)
        assert failure.type == "SystemExit"

    with_a_worker(scenario)


def test_a_function_of_another_python_says_so() -> None:
    async def scenario(worker: Worker) -> None:
        failure = await one(worker, packaged(whose, python=[3, 5]))
        assert isinstance(failure, Failure)
        here = ".".join(map(str, sys.version_info[:2]))
        assert (
            f"whose was packed by Python 3.5, this host has {here}" in failure.message
        )

    with_a_worker(scenario)


@pytest.mark.parametrize(
    "code",
    [
        b"",
        b"\xff\xff\xff\xff",
        b"\x02\0\0\0{}",
        pack("<I", 4) + b"null",
        b"\x02\0\0\0\xff\xff",
        pack("<I", 200) + json.dumps({"modules": [3]}).encode(),
    ],
)
def test_what_is_no_package_is_refused(code: bytes) -> None:
    with pytest.raises(ValueError, match="not a function package"):
        unpack(code)


def test_what_is_no_package_fails_each_task() -> None:
    async def scenario(worker: Worker) -> None:
        values = await worker.compute(b"garbage", [1, 2])
        assert [isinstance(value, Failure) for value in values] == [True, True]
        values = await worker.compute(wrapped(b"garbage", "pickle", "f"), [1])
        assert isinstance(values[0], Failure)

    with_a_worker(scenario)


def test_a_zygote_finds_its_own_p2pslinger_wherever_it_lies() -> None:
    def where() -> str:
        import p2pslinger

        return str(p2pslinger.__file__)

    async def scenario(worker: Worker) -> None:
        import p2pslinger

        assert Path(str(await worker.call(where))) == Path(str(p2pslinger.__file__))

    with_a_worker(scenario)
