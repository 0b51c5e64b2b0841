"""Real processes on a network of their own; skipped where that is not permitted."""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.grid.place import Place
from tests.lab.lab import Lab
from tests.lab.namespaces import why_not

missing = functools.cache(why_not)


@pytest.fixture
def lab() -> Iterator[Lab]:
    """An empty laboratory; all that was in it is gone at the end, whatever happens."""
    if missing():
        pytest.skip(missing())
    with pytest.MonkeyPatch.context() as patch, ExitStack() as end:
        folder = Path(tempfile.mkdtemp(prefix="sl-", dir="/tmp"))
        end.callback(shutil.rmtree, folder)
        place = Place(folder)
        for name in ("XDG_RUNTIME_DIR", "TMPDIR", "SLINGER_CONFIG"):
            patch.setenv(name, place.environment[name])
        # Where mkdtemp looks: this process may have asked before.
        patch.setattr(tempfile, "tempdir", place.environment["TMPDIR"])
        made = Lab(place)
        end.callback(made.close)
        end.callback(show_logs, made)
        end.callback(place.check_empty)
        end.callback(place.end)
        yield made


def show_logs(lab: Lab) -> None:
    """Print the end of every peer's log: pytest shows it where a test has failed."""
    for machine in lab.machines:
        print(f"--- {machine}\n{machine.said()}")
