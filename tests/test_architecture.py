"""The layers of the design, held to by a test rather than by goodwill.

Each rule is a function from the sources to complaints, and each is shown to bite: the
last tests break the rules on purpose.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent / "p2pslinger"

#: Each part may import itself and the parts on earlier lines. Parts on one line are
#: strangers to each other.
LAYERS = (
    {"errors", "limits", "version"},
    {"ids"},
    {"wire"},
    {"rules"},
    {"paths"},
    {"net", "store", "sandbox"},
    {"peer"},
    {"client"},
    {"web", "compat", "testing"},
    {"cli"},
    {"__main__"},
)

#: What `wire` and `rules` may not touch: a clock, chance, or the outside world.
PURE = {"wire", "rules"}
IMPURE = {"asyncio", "os", "pathlib", "random", "secrets", "socket", "ssl", "time"}

#: These stand above the peer but reach it through its control socket alone, as any
#: other program could. So they import nothing that is inside it.
OUTSIDE = {"client", "web", "compat", "cli", "__main__"}
INSIDE = {"peer", "net", "store", "sandbox"}

#: Exceptions: a file, the parts that it may import all the same, and the reason.
EXCEPTIONS: dict[str, tuple[set[str], str]] = {
    "client/memory.py": ({"sandbox"}, "hands memory over as slots get it, on one host"),
    "client/sharing.py": ({"sandbox"}, "its handles are what tasks find in a slot"),
    "client/initializer.py": ({"sandbox"}, "a slot unpacks what it makes"),
    "compat/dask.py": ({"sandbox"}, "what it sends is unpacked in a slot"),
    "compat/joblib.py": ({"sandbox"}, "what it sends is unpacked in a slot"),
    "cli/init.py": ({"peer", "store"}, "stores the authkey before there is a peer"),
    "cli/up.py": ({"peer"}, "is the process that becomes the peer"),
    "cli/detach.py": ({"peer", "store"}, "starts that process, if none runs"),
    "cli/down.py": ({"store"}, "waits until the data folder is free"),
    "cli/doctor.py": ({"peer"}, "reads the settings when no peer may be running"),
    "cli/acquaintance.py": (
        {"store"},
        "writes what is said when no peer may be running",
    ),
    "cli/prefs.py": ({"store"}, "sets preferences, whether or not a peer runs"),
    "cli/rekey.py": ({"peer", "store"}, "stores the next authkey, as init the first"),
    "cli/checks.py": ({"peer", "store"}, "looks at a peer's files without the peer"),
}

#: The overlay's packages, and how many files of `net` may know them.
OVERLAY = {"kademlia", "rpcudp"}
OVERLAY_FILES = 2

#: What runs beside hostile code, and the only package that it may import.
BESIDE_HOSTILE_CODE = (
    "sandbox/__main__.py",
    "sandbox/zygote.py",
    "sandbox/runner.py",
    "sandbox/underpdb.py",
)
SHIPPED = {"cloudpickle"}

#: Names under which a task group is known. Whatever else has a `create_task` starts
#: tasks that nobody owns.
GROUP = re.compile(r"_*(.+_)?(group|tasks)")

#: Exceptions: files that start tasks and own them in another way, and how.
OWNERS: dict[str, str] = {
    "net/streams.py": "a Listening cancels its handshakes and reports their failures",
}

#: Lines beyond which a file has more than one idea. The aim is 300.
LONGEST = 400

#: Names that say nothing, and so collect everything.
EMPTY_NAMES = {"base", "common", "helper", "helpers", "manager", "util", "utils"}


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the package: its path inside it, and what it says."""

    name: str
    text: str

    @property
    def part(self) -> str:
        """Return the layer's part that the file belongs to: "wire", "errors"."""
        return self.name.split("/")[0].removesuffix(".py")

    @property
    def tree(self) -> ast.Module:
        """Return the file's syntax tree."""
        return ast.parse(self.text, self.name)


def package() -> list[Source]:
    """Read every file of the package but its front door, which is lazy."""
    files = sorted(ROOT.rglob("*.py"))
    sources = [Source(f.relative_to(ROOT).as_posix(), f.read_text()) for f in files]
    return [source for source in sources if source.name != "__init__.py"]


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield every module imported anywhere below `tree`, function bodies too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "p2pslinger":
            yield from (f"p2pslinger.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def parts_imported(source: Source) -> set[str]:
    """Return the parts of the package that a file imports, its own left out."""
    names = [name.split(".") for name in imports(source.tree)]
    ours = {name[1] for name in names if name[0] == "p2pslinger" and len(name) > 1}
    return ours - {source.part, "__version__"}


def layer_of(part: str) -> int:
    """Return a part's layer, or -1 if it has none."""
    return next((i for i, layer in enumerate(LAYERS) if part in layer), -1)


def pointing_up(sources: list[Source]) -> Iterator[str]:
    """Complain of imports that do not point down the layers."""
    for source in sources:
        here = layer_of(source.part)
        if here < 0:
            yield f"{source.name}: {source.part} is in no layer: add it to LAYERS"
        for part in parts_imported(source):
            if layer_of(part) < 0:
                yield f"{source.name} imports {part}, which is in no layer"
            elif layer_of(part) >= here:
                yield f"{source.name} may not import {part}"


def not_in_full(sources: list[Source]) -> Iterator[str]:
    """Complain of imports that hide which part they mean."""
    for source in sources:
        for name in imports(source.tree):
            if name.startswith(".") or name in {"p2pslinger", "p2pslinger.*"}:
                yield f"{source.name}: write imports in full, not {name!r}"


def impure(sources: list[Source]) -> Iterator[str]:
    """Complain of pure parts that look outside."""
    for source in sources:
        modules = {name.split(".")[0] for name in imports(source.tree)}
        if source.part in PURE and modules & IMPURE:
            yield f"{source.name} imports {sorted(modules & IMPURE)}"


def reaching_inside(sources: list[Source]) -> Iterator[str]:
    """Complain of programs' parts that import the peer instead of talking to it."""
    for source in sources:
        allowed, _ = EXCEPTIONS.get(source.name, (set(), ""))
        inside = parts_imported(source) & INSIDE
        if source.part in OUTSIDE and inside - allowed:
            yield f"{source.name} imports {sorted(inside - allowed)}"
        if allowed - inside:
            yield f"{source.name} no longer needs {sorted(allowed - inside)}"


def knowing_the_overlay(sources: list[Source]) -> Iterator[str]:
    """Complain when the overlay's packages are known beyond two files of `net`."""
    knowing = [
        source
        for source in sources
        if OVERLAY & {name.split(".")[0] for name in imports(source.tree)}
    ]
    yield from (f"{s.name} imports the overlay" for s in knowing if s.part != "net")
    if len(knowing) > OVERLAY_FILES:
        yield f"too many files know the overlay: {[s.name for s in knowing]}"


def beside_hostile_code(sources: list[Source]) -> Iterator[str]:
    """Complain of what the zygote and the runner import, directly or not."""
    by_module = {module_of(source): source for source in sources}
    pending = {module_of(s) for s in sources if s.name in BESIDE_HOSTILE_CODE}
    seen: set[str] = set()
    while pending:
        module = pending.pop()
        seen.add(module)
        for name in set(imports(by_module[module].tree)):
            known = [m for m in by_module if name == m or name.startswith(f"{m}.")]
            if name.startswith("p2pslinger.sandbox") and known:
                pending |= set(known) - seen
            elif name.split(".")[0] not in sys.stdlib_module_names | SHIPPED:
                yield f"{module} imports {name}"


def module_of(source: Source) -> str:
    """Return the dotted name of a file."""
    name = source.name.removesuffix(".py").removesuffix("/__init__")
    return "p2pslinger." + name.replace("/", ".")


def unowned_tasks(sources: list[Source]) -> Iterator[str]:
    """Complain of tasks that are started without a group to own them."""
    for source in sources:
        starts = [
            f"{source.name}:{node.lineno} starts a task without an owner"
            for node in ast.walk(source.tree)
            if isinstance(node, ast.Call) and starts_unowned(node.func)
        ]
        if source.name not in OWNERS:
            yield from starts
        elif not starts:
            yield f"{source.name} starts no tasks: take it out of OWNERS"


def starts_unowned(function: ast.expr) -> bool:
    """Return whether a called function starts a task outside a group."""
    *owner, name = ast.unparse(function).split(".")
    if name == "create_task":
        return not owner or not GROUP.fullmatch(owner[-1])
    return name == "ensure_future"


def too_long(sources: list[Source]) -> Iterator[str]:
    """Complain of files that nobody reads to the end."""
    for source in sources:
        lines = source.text.count("\n")
        if lines > LONGEST:
            yield f"{source.name} has {lines} lines: split it"


def badly_named(sources: list[Source]) -> Iterator[str]:
    """Complain of names that say nothing."""
    for source in sources:
        if set(source.name.removesuffix(".py").split("/")) & EMPTY_NAMES:
            yield f"{source.name}: name it after its one idea"


def test_imports_point_down_the_layers() -> None:
    assert list(pointing_up(package())) == []


def test_imports_are_written_in_full() -> None:
    assert list(not_in_full(package())) == []


def test_wire_and_rules_touch_nothing_outside() -> None:
    assert list(impure(package())) == []


def test_programs_reach_a_peer_through_its_control_socket_only() -> None:
    assert list(reaching_inside(package())) == []


def test_only_two_files_know_the_overlay() -> None:
    assert list(knowing_the_overlay(package())) == []


def test_what_runs_beside_hostile_code_imports_nothing_that_knows_keys() -> None:
    sources = package()
    assert set(BESIDE_HOSTILE_CODE) <= {source.name for source in sources}
    assert list(beside_hostile_code(sources)) == []


def test_a_zygote_really_loads_nothing_that_knows_keys() -> None:
    modules = [module_of(Source(name, "")) for name in BESIDE_HOSTILE_CODE]
    script = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    command = [sys.executable, "-S", "-c", script]  # -S: .pth files import at will
    path = [*sys.path, str(ROOT.parent)]
    loaded = subprocess.run(
        command,
        env={"PYTHONPATH": ":".join(path)},
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split()

    ours = {name for name in loaded if name.startswith("p2pslinger.")}
    assert {name.split(".")[1] for name in ours} == {"sandbox", "version"}
    others = {name.split(".")[0] for name in loaded} - sys.stdlib_module_names
    assert others <= SHIPPED | {"p2pslinger", "__main__"}
    assert "random" not in loaded, "tasks must find it unseeded by us"


def test_every_task_has_an_owner() -> None:
    assert list(unowned_tasks(package())) == []


def test_files_are_short_and_named_after_their_idea() -> None:
    files = [
        f for part in ("tests", "examples") for f in (HERE.parent / part).rglob("*.py")
    ]
    others = [
        Source(f.relative_to(HERE.parent).as_posix(), f.read_text()) for f in files
    ]
    assert list(too_long(package() + others)) == []
    assert list(badly_named(package() + others)) == []


def test_every_folder_is_a_package() -> None:
    folders = {file.parent for file in ROOT.rglob("*.py")}
    assert not {folder for folder in folders if not (folder / "__init__.py").exists()}


def test_the_layers_hold_against_a_file_that_breaks_them() -> None:
    upward = Source("wire/frames.py", "def f():\n    import p2pslinger.rules.board")
    sideways = Source("net/dht.py", "from p2pslinger import store, ids")
    nowhere = Source("misc.py", "")
    assert len(list(pointing_up([upward, sideways, nowhere]))) == len("uds")

    relative = Source("net/dht.py", "from .overlay import Overlay")
    whole = Source("net/dht.py", "import p2pslinger")
    assert len(list(not_in_full([relative, whole]))) == len("rw")

    clock = Source("rules/board.py", "from time import monotonic")
    assert list(impure([clock, Source("net/dht.py", "import time")])) == [
        "rules/board.py imports ['time']"
    ]


def test_the_peers_wall_holds_against_a_file_that_climbs_it() -> None:
    shortcut = Source("client/grid.py", "from p2pslinger.peer.peer import Peer")
    composed = Source("testing/grid.py", "from p2pslinger.peer.peer import Peer")
    assert len(list(reaching_inside([shortcut, composed]))) == 1

    direct = Source("sandbox/runner.py", "from p2pslinger.wire.frames import read")
    by_way = [
        Source("sandbox/zygote.py", "from p2pslinger.sandbox.spawn import spawn"),
        Source("sandbox/spawn.py", "import psutil"),
    ]
    assert len(list(beside_hostile_code([direct, *by_way]))) == len("db")

    three = [
        Source(f"net/{i}.py", "from kademlia.network import Server") for i in "123"
    ]
    assert len(list(knowing_the_overlay(three))) == 1
    assert len(list(knowing_the_overlay([Source("peer/a.py", "import rpcudp")]))) == 1


def test_tasks_without_an_owner_are_found_however_they_are_started() -> None:
    lines = (
        "asyncio.create_task(f())",
        "self._loop.create_task(f())",
        "asyncio.get_running_loop().create_task(f())",
        "create_task(f())",
        "ensure_future(f())",
    )
    for line in lines:
        assert list(unowned_tasks([Source("net/dht.py", line)])), line
    for line in ("group.create_task(f())", "self._tasks.create_task(f())"):
        assert not list(unowned_tasks([Source("net/dht.py", line)])), line
