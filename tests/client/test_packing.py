"""Functions are packed once, afresh when they changed, and refused with a reason."""

from __future__ import annotations

import functools
import gc
import json
import math
import struct
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from p2pslinger.client.packing import FunctionPackage, pack_function, pack_source
from p2pslinger.errors import PackingError
from p2pslinger.sandbox.packages import unpack

Elsewhere = Callable[..., list[object]]
Known = Callable[..., None]


def in_main(source: str, name: str = "f") -> tuple[Any, dict[str, Any]]:
    """Define a function as a program does: in `__main__`, with globals of its own."""
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(source, space)
    return space[name], space


@pytest.fixture
def known_to_main(monkeypatch: pytest.MonkeyPatch) -> Known:
    """Put names where plain pickle looks for them: into the real `__main__`."""

    def know(space: dict[str, Any], *names: str) -> None:
        for name in names:
            monkeypatch.setattr(f"__main__.{name}", space[name], raising=False)

    return know


def header_of(package: FunctionPackage) -> dict[str, Any]:
    (length,) = struct.unpack_from("<I", package.code)
    header = json.loads(package.code[4 : 4 + length])
    assert isinstance(header, dict)
    return header


def test_a_package_says_what_it_is() -> None:
    package = pack_function(math.sqrt)
    header = header_of(package)

    assert header["kind"] == "pickle"
    assert header["name"] == package.name == "math.sqrt"
    assert tuple(header["python"]) == package.python
    assert header["modules"] == []


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (len, "len"),
        (functools.partial(math.pow, 2), "partial(math.pow)"),
        (in_main("f = lambda: 1")[0], "<lambda>"),
        (in_main("def f(): pass")[0], "f"),
        ("abc".upper, "str.upper"),
    ],
)
def test_a_function_has_a_name_for_people(function: Any, name: str) -> None:
    assert pack_function(function).name == name


# --- packed once, never stale --------------------------------------------------------


def test_an_unchanged_function_is_packed_once() -> None:
    f, _ = in_main("import math\nK = [1, {'a': 2}]\ndef f(x): return math.sqrt(x), K")
    assert pack_function(f) is pack_function(f)


def test_five_thousand_submits_pack_once() -> None:
    f, _ = in_main(
        "import math\nN = 3\ndef g(x): return x + N\ndef f(x): return g(math.sqrt(x))"
    )
    first = pack_function(f)
    start = time.perf_counter()
    assert all(pack_function(f) is first for _ in range(5_000))
    each = (time.perf_counter() - start) / 5_000
    print(f"packing an unchanged function again: {each * 1e6:.1f} µs")


@pytest.mark.parametrize(
    "change",
    [
        "N = 4",
        "LIST.append(1)",
        "TABLE['k'] = 2",
        "def g(x): return -x",
        "DEEP[0][0].append(1)",
        "Config.depth = 9",
        "Config.added = 1",
        "del Config.limit",
        "point.x = 7",
        "f.__defaults__ = (5,)",
        "f.note = 1",
        "later = 1",
        "g.__code__ = (lambda x: 0).__code__",
        "def method(self): return 2\nConfig.method = method",
        "append = [0].append",
        "append(3)",
    ],
)
def test_whatever_a_function_uses_may_change_and_is_seen(
    change: str, known_to_main: Known
) -> None:
    f, space = in_main("""
N, LIST, TABLE, DEEP = 3, [], {}, ([[]],)
def g(x): return x + N
class Config:
    depth = 1
    limit = 2
    items_ = []
    def method(self): return 1
class Point:
    def __init__(self): self.x = 1
point = Point()
append = [1].append
def f(x, y=2):
    try:
        later
    except NameError:
        pass
    append
    return g(x), LIST, TABLE, DEEP, Config, point, y
""")
    known_to_main(space, "Point")
    before = pack_function(f)
    assert pack_function(f) is before
    exec(change, space)
    after = pack_function(f)
    assert after is not before
    assert after.code != before.code


def test_a_changed_cell_is_seen() -> None:
    def counter() -> tuple[Callable[[], int], Callable[[], None]]:
        count = 0

        def read() -> int:
            return count

        def increase() -> None:
            nonlocal count
            count += 1

        return read, increase

    read, increase = counter()
    before = pack_function(read)
    assert pack_function(read) is before
    increase()
    assert pack_function(read) is not before


def test_dataclasses_and_enums_do_not_prevent_remembering(
    known_to_main: Known,
) -> None:
    f, space = in_main("""
import abc, dataclasses, enum, typing
@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: list = dataclasses.field(default_factory=list)
class Colour(enum.Enum):
    RED = 1
class Shape(abc.ABC):
    @property
    def area(self): return 1
    @abc.abstractmethod
    def name(self): ...
class Pair(typing.NamedTuple):
    a: int
def f(x): return Point(x), Colour.RED, Shape, Pair(1)
""")
    known_to_main(space, "Colour")
    assert pack_function(f) is pack_function(f)


def test_what_cannot_be_compared_is_packed_each_time() -> None:
    f, space = in_main("OPS = {'neg': lambda x: -x}\ndef f(x): return OPS['neg'](x)")
    before = pack_function(f)
    space["OPS"]["pos"] = lambda x: x
    assert pack_function(f).code != before.code


def test_methods_are_remembered_by_their_object(known_to_main: Known) -> None:
    point, space = in_main(
        "class P:\n    n = 1\n    def get(self, x): return self.n + x", "P"
    )
    known_to_main(space, "P")
    one, other = point(), point()
    package = pack_function(one.get)
    assert pack_function(one.get) is package
    assert pack_function(other.get) is not package
    one.n = 5
    assert pack_function(one.get) is not package


def test_equal_callables_are_not_taken_for_each_other() -> None:
    equal, _ = in_main("""
class E:
    def __init__(self, n): self.n = n
    def __call__(self): return self.n
    def __eq__(self, other): return True
    def __hash__(self): return 1
""", "E")  # fmt: skip
    assert pack_function(equal(1)).code != pack_function(equal(2)).code


def test_remembering_keeps_no_function_alive() -> None:
    f, space = in_main("def f(n): return n and f(n - 1)")
    pack_function(f)
    gone = weakref.ref(f)
    space.clear()
    del f, space
    gc.collect()
    assert gone() is None


# --- refused, with a reason -----------------------------------------------------------


def refusal(function: Any) -> str:
    with pytest.raises(PackingError) as caught:
        pack_function(function)
    return str(caught.value)


def test_the_global_that_cannot_be_sent_is_named() -> None:
    f, _ = in_main("import threading\nlock = threading.Lock()\ndef f(): lock.acquire()")
    assert refusal(f) == (
        "the function `f` uses the global variable `lock` of type _thread.lock, which "
        "can't be sent to other machines (cannot pickle '_thread.lock' object); "
        "create it inside the function"
    )


def test_a_name_that_is_only_an_attribute_is_not_blamed() -> None:
    f, _ = in_main(
        "import threading\nlock = queue = threading.Lock()\n"
        "def f(x): return x.lock, queue"
    )
    assert "`queue`" in refusal(f)
    g, _ = in_main("import threading\nlock = threading.Lock()\ndef f(x): return x.lock")
    pack_function(g)


def test_the_way_to_a_hidden_culprit_is_told() -> None:
    f, _ = in_main("""
import threading
config = {"name": "x", "parts": [1, threading.Lock()]}
def g(): return config
def f(): return g()
""")
    assert (
        "the function `f` uses the global variable `g`, which uses the global variable "
        "`config`, which holds the item 'parts', which holds the item 1 of type "
        "_thread.lock"
    ) in refusal(f)


def test_cells_and_defaults_are_blamed() -> None:
    lock = threading.Lock()

    def closure() -> object:
        return lock

    def default(guard: object = lock) -> object:
        return guard

    def keyword(*, guard: object = lock) -> object:
        return guard

    assert "the variable `lock` of the function around it" in refusal(closure)
    assert "the parameter `guard` with a default" in refusal(default)
    assert "the parameter `guard` with a default" in refusal(keyword)
    assert "`lock`" in refusal(functools.cache(closure))
    assert "holds an argument" in refusal(functools.partial(math.pow, lock))  # type: ignore[arg-type]


def test_attributes_of_objects_and_classes_are_blamed() -> None:
    space = {"__name__": "__main__", "lock": threading.Lock()}
    exec("""
class Task:
    def __init__(self): self.guard = lock
    def __call__(self): pass
class Slotted:
    __slots__ = ("guard",)
    __init__ = Task.__init__
    __call__ = Task.__call__
class Shared:
    guard = lock
def f(): return Shared
""", space)  # fmt: skip
    task: Any = space["Task"]
    slotted: Any = space["Slotted"]
    for function in (task(), task().__call__, slotted(), space["f"]):
        assert "holds the attribute `guard` of type _thread.lock" in refusal(function)


def test_a_generator_gets_a_remedy_of_its_own() -> None:
    f, _ = in_main("rows = (n for n in range(3))\ndef f(): return rows")
    assert "send a list of what it yields" in refusal(f)


def test_blaming_ends_for_things_that_hold_themselves() -> None:
    f, _ = in_main(
        "import threading\nloop = [threading.Lock()]\nloop.insert(0, loop)\n"
        "def f(): return loop, f"
    )
    assert "_thread.lock" in refusal(f)


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("def f():\n    yield 1", "generator"),
        ("async def f(): pass", "coroutine"),
        ("async def f():\n    yield 1", "asynchronous generator"),
        ("f = 3", "not a function"),
    ],
)
def test_what_no_grid_can_call_is_refused(source: str, word: str) -> None:
    assert word in refusal(in_main(source)[0])


# --- source ---------------------------------------------------------------------------


def test_source_text_runs_elsewhere(elsewhere: Elsewhere) -> None:
    package = pack_source("K = 2\ndef f(x):\n    return x * K\n", "f")

    assert package.python is None
    assert elsewhere(package.code, (4,)) == [8]


def test_a_source_file_brings_the_modules_beside_it(
    tmp_path: Path, elsewhere: Elsewhere
) -> None:
    (tmp_path / "script.py").write_text(
        "import json\nfrom beside_it import K\n"
        "if K:\n    def f(x):\n        return x * K\n"
    )
    (tmp_path / "beside_it.py").write_text("K = 5\n")

    for path in (tmp_path / "script.py", str(tmp_path / "script.py")):
        package = pack_source(path, "f")
        assert package.modules == {"beside_it"}
        assert elsewhere(package.code, (4,)) == [20]


def test_source_that_is_none_is_refused() -> None:
    with pytest.raises(PackingError, match=r"not Python source.*line 1"):
        pack_source("def f(:\n", "f")
    with pytest.raises(PackingError, match="does not define `g`; it defines `f`"):
        pack_source("def f():\n    def g(): pass\n", "g")
    with pytest.raises(PackingError, match=r"can't read the source file nowhere\.py"):
        pack_source("nowhere.py", "f")
    with pytest.raises(PackingError, match="not Python source"):
        pack_source("def f(): return '\ud800'\n\0", "f")


# --- the slot's side -----------------------------------------------------------------


def test_a_slot_reads_what_is_packed_here() -> None:
    f, _ = in_main("def f(x): return x + 1")
    for package in (pack_function(f), pack_source("def f(x): return x + 1", "f")):
        assert unpack(package.code).load()(1) == 2
