"""Functions leave real programs, and run where nothing of them is installed."""

from __future__ import annotations

from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

Elsewhere = Callable[..., list[object]]
Program = Callable[..., str]

SAVE = """
from pathlib import Path
from p2pslinger.client.packing import pack_function

def save(function, name="packed"):
    Path(name).write_bytes(pack_function(function).code)
"""


@pytest.fixture(autouse=True)
def a_module_to_save_with(tmp_path: Path) -> None:
    (tmp_path / "saving.py").write_text(SAVE)


def test_a_function_of_a_script_runs_elsewhere_with_the_globals_that_it_uses(
    tmp_path: Path, program: Program, elsewhere: Elsewhere
) -> None:
    (tmp_path / "script.py").write_text("""
import math
from math import floor
from saving import save
FACTOR = 3
def scaled(x):
    return floor(math.sqrt(x)) * FACTOR
def f(x, offset=1):
    return scaled(x) + offset
save(f)
""")
    program("script.py")

    assert elsewhere((tmp_path / "packed").read_bytes(), (16,), (81,)) == [13, 28]


def test_a_function_given_with_python_c_runs_elsewhere(
    tmp_path: Path, program: Program, elsewhere: Elsewhere
) -> None:
    program("-c", "from saving import save\ndef f(x): return x + K\nK = 5\nsave(f)")

    assert elsewhere((tmp_path / "packed").read_bytes(), (1,)) == [6]


def test_a_function_typed_at_the_prompt_runs_elsewhere(
    tmp_path: Path, program: Program, elsewhere: Elsewhere
) -> None:
    typed = "from saving import save\nk = 7\ndef f(x):\n    return x * k\n\nsave(f)\n"
    program("-i", stdin=typed)

    assert elsewhere((tmp_path / "packed").read_bytes(), (6,)) == [42]


def test_a_function_of_a_notebook_runs_elsewhere(
    tmp_path: Path, program: Program, elsewhere: Elsewhere
) -> None:
    # What notebooks do: cells compiled one by one and run in __main__'s namespace.
    (tmp_path / "notebook.py").write_text("""
import __main__
from code import InteractiveConsole
console = InteractiveConsole(__main__.__dict__, "<cell>")
for line in [
    "from saving import save",
    "class Box:",
    "    def __init__(self, x): self.x = x",
    "",
    "def f(x): return Box(x).x + 1",
    "",
    "save(f)",
]:
    console.push(line)
""")
    program("notebook.py")

    assert elsewhere((tmp_path / "packed").read_bytes(), (1,)) == [2]


def test_local_modules_travel_with_all_that_they_import(
    tmp_path: Path, program: Program, elsewhere: Elsewhere
) -> None:
    package = tmp_path / "shapes"
    (package / "deep").mkdir(parents=True)
    (package / "__init__.py").write_text("from .area import area\nUNIT = 2\n")
    (package / "area.py").write_text(
        "import json\nfrom . import deep\nfrom .deep.factor import FACTOR\n"
        "def area(x):\n    from shapes import UNIT\n    import plain\n"
        "    return x * FACTOR * UNIT + plain.ONE\n"
    )
    (package / "deep" / "__init__.py").write_text("")
    (package / "deep" / "factor.py").write_text("FACTOR = 10\n")
    (package / "unused.py").write_text("raise RuntimeError('nobody asked for me')\n")
    (tmp_path / "plain.py").write_text("ONE = 1\n")
    (tmp_path / "script.py").write_text("""
import shapes
from shapes.area import area
from saving import save, pack_function
save(area, "direct")
save(lambda x: shapes.area(x), "lambda")
def inner(x):
    from shapes.area import area as a
    return a(x)
save(inner, "inner")
print(*sorted(pack_function(area).modules))
""")
    names = program("script.py").split()

    assert names == ["plain", "shapes", "shapes.area", "shapes.deep",
                     "shapes.deep.factor"]  # fmt: skip
    for name in ("direct", "lambda", "inner"):
        assert elsewhere((tmp_path / name).read_bytes(), (3,)) == [61], name


def test_a_package_without_init_travels_too(
    tmp_path: Path, program: Program, elsewhere: Elsewhere
) -> None:
    (tmp_path / "open" / "sub").mkdir(parents=True)
    (tmp_path / "open" / "sub" / "mod.py").write_text("def f(x):\n    return -x\n")
    program("-c", "from saving import save; from open.sub.mod import f; save(f)")

    assert elsewhere((tmp_path / "packed").read_bytes(), (4,)) == [-4]


def test_a_module_run_with_m_keeps_its_relative_imports(
    tmp_path: Path, program: Program, elsewhere: Elsewhere
) -> None:
    package = tmp_path / "tool"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "part.py").write_text("def double(x):\n    return 2 * x\n")
    (package / "run.py").write_text(
        "from saving import save\n"
        "def f(x):\n    from .part import double\n    return double(x)\n"
        "save(f)\n"
    )
    program("-m", "tool.run")

    assert elsewhere((tmp_path / "packed").read_bytes(), (4,)) == [8]


def test_a_class_of_a_local_module_comes_back_as_the_same_class(
    tmp_path: Path, program: Program
) -> None:
    (tmp_path / "shapes.py").write_text(
        "class Box:\n    def __init__(self, x):\n        self.x = x\n"
        "def grow(box):\n    assert type(box) is Box\n    return Box(box.x + 1)\n"
    )
    (tmp_path / "script.py").write_text("""
import pickle, subprocess, sys
from conftest import RECEIVER
from p2pslinger.client.arguments import shards_of
from p2pslinger.client.packing import pack_function
from p2pslinger.wire.packed import unpack_items
import shapes
package = pack_function(shapes.grow)
(shard,) = shards_of([shapes.Box(1)], shipped=package.modules)
(item,) = unpack_items(shard.data)
assert b"shapes" in bytes(item) and len(item) < 100  # by name
done = subprocess.run(
    [sys.executable, "-s", "-P", "-c", RECEIVER.replace(
        "function(*args)", "function(pickle.loads(args[0]))")],
    input=pickle.dumps((package.code, [(bytes(item),)])), capture_output=True,
    env={}, cwd="/", timeout=60)
assert done.returncode == 0, done.stderr.decode()
(back,) = pickle.loads(done.stdout)
assert type(back) is shapes.Box and back.x == 2
""")
    receiver = Path(__file__).with_name("conftest.py").read_text()
    (tmp_path / "conftest.py").write_text(receiver)
    program("script.py")


def test_arguments_of_classes_that_did_not_travel_go_by_value_and_come_back_the_same(
    tmp_path: Path, program: Program
) -> None:
    (tmp_path / "shapes.py").write_text(
        "SIDES = 4\nclass Box:\n    def sides(self):\n        return SIDES\n"
    )
    (tmp_path / "script.py").write_text("""
import pickle, subprocess, sys
from conftest import RECEIVER
from p2pslinger.client.arguments import shards_of
from p2pslinger.client.packing import pack_function
from p2pslinger.wire.packed import unpack_items
import shapes
class Mine(shapes.Box):
    pass
package = pack_function(lambda box: (box.sides(), box))
assert not package.modules
(shard,) = shards_of([shapes.Box(), Mine()], shipped=package.modules)
items = [(bytes(item),) for item in unpack_items(shard.data)]
done = subprocess.run(
    [sys.executable, "-s", "-P", "-c", RECEIVER.replace(
        "function(*args)", "function(pickle.loads(args[0]))")],
    input=pickle.dumps((package.code, items)), capture_output=True,
    env={}, cwd="/", timeout=60)
assert done.returncode == 0, done.stderr.decode()
first, second = pickle.loads(done.stdout)
assert first[0] == second[0] == 4
assert type(first[1]) is shapes.Box and type(second[1]) is Mine
""")
    receiver = Path(__file__).with_name("conftest.py").read_text()
    (tmp_path / "conftest.py").write_text(receiver)
    program("script.py")


def test_every_kind_of_callable_runs_elsewhere(
    tmp_path: Path, program: Program, elsewhere: Elsewhere
) -> None:
    (tmp_path / "script.py").write_text("""
import functools, math
import numpy as np
from saving import save

class Adder:
    def __init__(self, n): self.n = n
    def __call__(self, x): return x + self.n
    def minus(self, x): return x - self.n
    @classmethod
    def named(cls, x): return (cls.__name__, x)

@functools.cache
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)

@functools.lru_cache(maxsize=5)
def outer(x):
    return inner(x) + 1
@functools.lru_cache(maxsize=7)
def inner(x):
    return outer(x - 1) if x > 0 else 0

def around(n):
    def closure(x):
        return x * n
    return closure

def fact(n):
    return 1 if n == 0 else n * fact(n - 1)

for name, function in {
    "lambda": lambda x: x + 1, "closure": around(3),
    "partial": functools.partial(pow, 2),
    "object": Adder(5), "method": Adder(5).minus, "classmethod": Adder.named,
    "builtin": math.sqrt, "len": len, "int": int, "cached": fib, "mutual": outer,
    "recursive": fact, "ufunc": np.sqrt, "mean": np.mean, "class": Adder,
}.items():
    save(function, name)
""")
    program("script.py")

    def call(name: str, *arguments: object) -> object:
        (value,) = elsewhere((tmp_path / name).read_bytes(), arguments)
        return value

    assert call("lambda", 1) == 2
    assert call("closure", 2) == 6
    assert call("partial", 5) == 32
    assert call("object", 1) == 6
    assert call("method", 1) == -4
    assert call("classmethod", 1) == ("Adder", 1)
    assert call("builtin", 9.0) == 3.0
    assert call("len", [1, 2]) == 2
    assert call("int", "12") == 12
    assert call("cached", 80) == 23416728348467685
    assert call("mutual", 3) == 4
    assert call("recursive", 5) == 120
    assert call("ufunc", 4.0) == 2.0
    assert call("mean", [1, 3]) == 2.0


def test_a_compiled_local_module_is_refused_by_name(
    tmp_path: Path, program: Program
) -> None:
    (tmp_path / "pkg").mkdir()
    suffix = EXTENSION_SUFFIXES[0]
    (tmp_path / "pkg" / "__init__.py").write_text("")
    (tmp_path / "pkg" / f"fast{suffix}").write_bytes(b"")
    (tmp_path / "pkg" / "needs.py").write_text(
        "def f(x):\n    from pkg import fast\n    return x\n"
    )
    (tmp_path / "pkg" / "likes.py").write_text(
        "try:\n    from .fast import f\nexcept ImportError:\n"
        "    def f(x):\n        return x\n"
    )
    said = program(
        "-c",
        "from saving import save\nfrom p2pslinger.errors import PackingError\n"
        "from pkg import needs\n"
        "try:\n    save(needs.f)\nexcept PackingError as error:\n    print(error)\n",
    )

    assert "`pkg.needs.f`" in said
    assert "`pkg.fast`" in said
    assert "compiled extension" in said

    said = program(
        "-c",
        "from saving import save, pack_function\nimport pkg.likes\n"
        "print(*sorted(pack_function(lambda: pkg.likes.f).modules))",
    )
    assert said.split() == ["pkg", "pkg.likes"]


def test_a_module_without_source_is_refused_by_name(
    tmp_path: Path, program: Program
) -> None:
    said = program(
        "-c",
        "import py_compile, pathlib\n"
        "p = pathlib.Path('bare.py'); p.write_text('def f(x): return x')\n"
        "py_compile.compile('bare.py', 'bare.pyc'); p.unlink()\n"
        "import sys; sys.path.insert(0, '')\n"
        "import bare\nfrom saving import save\nfrom p2pslinger.errors import *\n"
        "try:\n    save(bare.f)\nexcept PackingError as error:\n    print(error)\n",
    )

    assert "`bare`, which has no source" in said


def test_a_module_in_a_zip_travels(
    tmp_path: Path, program: Program, elsewhere: Elsewhere
) -> None:
    program(
        "-c",
        "import sys, zipfile\n"
        "with zipfile.ZipFile('lib.zip', 'w') as z:\n"
        "    z.writestr('zipped.py', 'def f(x):\\n    return x + 100\\n')\n"
        "sys.path.insert(0, 'lib.zip')\n"
        "import zipped\nfrom saving import save\nsave(zipped.f)\n",
    )

    assert elsewhere((tmp_path / "packed").read_bytes(), (1,)) == [101]


def test_packing_imports_little_and_nothing_that_waits(program: Program) -> None:
    said = program(
        "-X",
        "importtime",
        "-c",
        "import sys, time\nstart = time.perf_counter()\n"
        "import p2pslinger.client.packing, p2pslinger.client.arguments\n"
        "import p2pslinger.client.values\n"
        "print(round(1000 * (time.perf_counter() - start), 1), 'ms')\n"
        "assert 'asyncio' not in sys.modules\n",
    )
    print("import of the client's packing modules:", said)
