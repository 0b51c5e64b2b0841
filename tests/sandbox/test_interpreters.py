"""Other interpreters are found, asked and run, unless strangers could have put them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from p2pslinger.errors import UnavailableError
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.inquiring import ask_installed, ask_version
from p2pslinger.sandbox.interpreter import Interpreter
from p2pslinger.sandbox.interpreters import Interpreters, candidates, is_safe
from tests.sandbox.desk import Desk, another, at_a_desk, source

HERE = "{}.{}".format(*sys.version_info)

#: What a task tells of the interpreter that it runs on.
TELL = """
import sys
def tell(_):
    import cloudpickle
    try:
        import msgspec
    except ImportError:
        msgspec = None
    return [sys.version_info[:2], sys.executable, msgspec is not None]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home that only its owner can write to, below a folder that others can't."""
    home = Path.home() if os.getuid() else Path("/var")
    made = home / f"slinger-test-{os.getpid()}"
    made.mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(made))
    monkeypatch.setenv("PATH", f"{made}/bin:relative")
    for name in ("PYENV_ROOT", "UV_PYTHON_INSTALL_DIR"):
        monkeypatch.delenv(name, raising=False)
    try:
        yield made
    finally:
        import shutil

        shutil.rmtree(made)


def put(path: Path, text: str = "\x7fELF") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def found(known: set[str]) -> list[str]:
    """Return the candidates that lie where this test has put them."""
    return [one for one in candidates(known) if "slinger-test-" in one]


# --- where they lie -----------------------------------------------------------------


def test_interpreters_lie_on_the_path_and_where_pyenv_and_uv_put_them(
    folder: Path,
) -> None:
    first = put(folder / "bin" / "python3.14")
    put(folder / ".pyenv/versions/3.14.1/bin/python3.14")
    put(folder / ".pyenv/versions/3.15.9/bin/python3.15")
    newest = put(folder / ".pyenv/versions/3.15.10/bin/python3.15")
    uv = put(folder / ".local/share/uv/python/cpython-3.16.0-linux/bin/python3.16")
    put(folder / ".pyenv/versions/3.10.1/bin/python3.10")
    assert found(set()) == [first, newest, uv]
    assert found({"3.14", "3.15"}) == [uv]


def test_scripts_that_choose_an_interpreter_are_none(folder: Path) -> None:
    put(folder / "bin" / "python3.14", "#!/bin/sh\nexec python3.14")
    right = put(folder / ".pyenv/versions/3.14.1/bin/python3.14")
    assert found(set()) == [right]


def test_what_others_can_replace_is_not_run(folder: Path) -> None:
    path = put(folder / "bin" / "python3.14")
    assert is_safe(path, listed=False)
    (folder / "bin").chmod(0o777)
    assert not is_safe(path, listed=False)
    assert not is_safe(path, listed=True)
    (folder / "bin").chmod(0o1777)  # as /tmp: others may add files, not replace these
    assert not is_safe(path, listed=False)
    assert is_safe(path, listed=True)
    (folder / "bin").chmod(0o755)
    Path(path).chmod(0o777)
    assert not is_safe(path, listed=True)
    assert found(set()) == []


def test_a_link_is_as_safe_as_what_it_leads_to(folder: Path) -> None:
    path = put(folder / "other" / "python3.14")
    (folder / "bin").mkdir()
    link = folder / "bin" / "python3.14"
    link.symlink_to(path)
    assert is_safe(str(link), listed=False)
    (folder / "other").chmod(0o777)
    assert not is_safe(str(link), listed=False)


# --- asking -------------------------------------------------------------------------


def test_an_interpreter_says_what_it_is_where_it_lies_and_what_it_has() -> None:
    async def main() -> None:
        one = await ask_version(sys.executable)
        assert (one.path, one.python) == (sys.executable, HERE)
        assert any(place.endswith("/lib") or "/lib/" in place for place in one.places)
        installed = await ask_installed(sys.executable)
        assert "pytest" in installed.versions
        assert installed.is_current

    asyncio.run(main())


def test_what_is_no_python_is_told_in_a_sentence(folder: Path) -> None:
    odd = put(folder / "odd", "#!/bin/sh\necho '[1, 2]'\n")
    broken = put(folder / "broken", "#!/bin/sh\nexit 3\n")
    pypy = put(folder / "pypy", "#!/bin/sh\necho '[\"pypy\", [3, 11], []]'\n")

    async def main() -> None:
        for path, why in (
            (odd, "is no Python: it answers"),
            (broken, "it has ended with code 3"),
            (pypy, "is pypy, not CPython"),
            (str(folder / "missing"), "can't be run"),
        ):
            with pytest.raises(UnavailableError, match=why):
                await ask_version(path)

    asyncio.run(main())


def test_what_the_owner_lists_is_used_or_explained(folder: Path) -> None:
    async def main() -> None:
        old = put(folder / "old", "#!/bin/sh\necho '[\"cpython\", [3, 9], []]'\n")
        new = put(folder / "new", "#!/bin/sh\necho '[\"cpython\", [3, 19], []]'\n")
        interpreters = Interpreters([old, str(folder / "missing"), new, new])
        found = await interpreters.find()
        assert [one.path for one in found] == [sys.executable, new]
        first, second = interpreters.notes
        assert "is Python 3.9: 3.11 or newer" in first
        assert f"there is no {folder}/missing" in second

    asyncio.run(main())


def test_what_is_installed_is_asked_anew_when_packages_come(folder: Path) -> None:
    answer = f'[{{"numpy": "1"}}, ["{folder}/site"]]'
    python = put(folder / "python", f"#!/bin/sh\necho '{answer}'\n")
    (folder / "site").mkdir()

    async def main() -> None:
        interpreters = Interpreters()
        one = Interpreter(python, "3.19")
        assert await interpreters.versions(one) == {"numpy": "1"}
        put(folder / "python", "#!/bin/sh\necho '[{}, []]'\n")
        assert await interpreters.versions(one) == {"numpy": "1"}
        (folder / "site" / "numpy").mkdir()
        assert await interpreters.versions(one) == {}

    asyncio.run(main())


# --- running ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "confinement", [Confinement.OWN, Confinement.GOOD, Confinement.STRONG]
)
def test_tasks_run_on_another_interpreter_that_has_nothing_of_ours_installed(
    confinement: Confinement,
) -> None:
    interpreter = another()
    if interpreter is None:
        pytest.skip("this machine has no other Python")

    tell = source(TELL, "tell")

    async def scenario(desk: Desk) -> None:
        try:
            worker = await desk.worker(confinement=confinement, interpreter=interpreter)
        except UnavailableError as error:
            pytest.skip(f"no such slot here: {error}")
        told = cast("list[object]", (await worker.compute(tell, [0]))[0])
        major, minor = map(int, interpreter.python.split("."))
        assert told[:2] == [(major, minor), interpreter.path]
        mine = await desk.worker(confinement=confinement)
        told = cast("list[object]", (await mine.compute(tell, [0]))[0])
        assert told == [sys.version_info[:2], sys.executable, True]

    at_a_desk(scenario)
