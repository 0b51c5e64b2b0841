"""Another machine: a Python that shares no folder and no module with this one."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

#: Loads a package as its format says, calls the function once per argument tuple.
RECEIVER = """
import importlib.abc, importlib.util, json, linecache, pickle, struct, sys, traceback

code, calls = pickle.load(sys.stdin.buffer)
(length,) = struct.unpack_from("<I", code)
header = json.loads(code[4 : 4 + length])
payload = code[4 + length :]


class Shipped(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    modules = {module["name"]: module for module in header["modules"]}

    def find_spec(self, name, path=None, target=None):
        module = self.modules.get(name)
        if module is None:
            return None
        spec = importlib.util.spec_from_loader(
            name, self, origin=module["file"], is_package=module["package"]
        )
        return spec

    def exec_module(self, module):
        shipped = self.modules[module.__name__]
        exec(compile(shipped["source"], shipped["file"], "exec"), module.__dict__)


sys.meta_path.insert(0, Shipped())
if header["kind"] == "pickle":
    assert header["python"] == list(sys.version_info[:2])
    function = pickle.loads(payload)
else:
    assert header["python"] is None
    space = {"__name__": "slinger_source"}
    exec(compile(payload, "source", "exec"), space)
    function = space[header["name"]]
values = [function(*args) for args in calls]
try:
    blob = pickle.dumps(values)
except Exception:
    import cloudpickle

    blob = cloudpickle.dumps(values)
sys.stdout.buffer.write(blob)
"""


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Callable[..., list[object]]:
    """Call a packed function on another machine, once per tuple of arguments."""
    empty = tmp_path / "elsewhere"
    empty.mkdir()

    def call(code: bytes, *calls: tuple[object, ...]) -> list[object]:
        run = subprocess.run(
            [sys.executable, "-s", "-P", "-c", RECEIVER],
            input=pickle.dumps((code, calls)),
            capture_output=True,
            cwd=empty,
            env=_environment(),
            timeout=60,
            check=False,
        )
        assert run.returncode == 0, run.stderr.decode()
        values = pickle.loads(run.stdout)
        assert isinstance(values, list)
        return values

    return call


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., str]:
    """Run Python with these arguments and input, p2pslinger in reach; give its output.

    The folder it runs in is `tmp_path`.
    """

    def run(*arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            input=stdin,
            capture_output=True,
            cwd=tmp_path,
            env=_environment() | {"PYTHONPATH": str(ROOT)},
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
