"""A notebook, executed: functions of cells, displays, progress, an interrupt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.grid.place import Peer

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

#: Outputs of a cell, by kind and MIME type: the text of each.
Outputs = list[tuple[str, str]]


@pytest.fixture(scope="module")
def run(peer: Peer) -> Iterator[Callable[[str], Outputs]]:
    """Run cells in one kernel, whose program is connected to the module's peer."""
    notebook: Any = nbformat.v4.new_notebook()
    client = nbclient.NotebookClient(notebook, timeout=60)
    with client.setup_kernel():

        def run(source: str) -> Outputs:
            notebook.cells.append(nbformat.v4.new_code_cell(source))
            number = len(notebook.cells) - 1
            cell = client.execute_cell(notebook.cells[-1], number)
            return [each for output in cell.outputs for each in _texts(output)]

        run(f"""
            import os, signal, threading, time
            import p2pslinger as slinger
            grid = slinger.connect(data={str(peer.data)!r})
        """)
        yield run
        run("grid.shutdown(cancel_futures=True)")


def _texts(output: Any) -> Iterator[tuple[str, str]]:
    if output.output_type == "stream":
        yield output.name, output.text
    yield from output.get("data", {}).items()


def test_functions_of_cells_are_computed_as_they_are_now(
    run: Callable[[str], Outputs],
) -> None:
    run("""
        FACTOR = 3
        class Box:
            def __init__(self, x): self.x = x
        def grow(box): return Box(box.x * FACTOR)
    """)
    grown = "[box.x for box in grid.map(grow, map(Box, range(3)))]"
    assert ("text/plain", "[0, 3, 6]") in run(grown)
    run("FACTOR = 5")
    assert ("text/plain", "[0, 5, 10]") in run(grown)


def test_a_grid_its_peers_jobs_and_tally_are_tables(
    run: Callable[[str], Outputs],
) -> None:
    run("job = grid.start(abs, [-1, -2], name='<b>bold</b>', keepers=0); job.wait(60)")
    for shown in ("grid", "grid.peers()", "grid.jobs()", "job", "job.tally()"):
        html = dict(run(shown))["text/html"]
        assert "<table>" in html
        assert "<b>bold" not in html
    assert "&lt;b&gt;bold&lt;/b&gt;" in dict(run("job"))["text/html"]


def test_progress_is_one_display_that_is_updated(
    run: Callable[[str], Outputs],
) -> None:
    outputs = run("sum(grid.map(abs, range(1000), progress=True))")
    shown = [text for kind, text in outputs if kind == "text/html"]
    assert len(shown) == 1
    assert "1,000 of 1,000 tasks" in shown[0]
    assert ("text/plain", "499500") in outputs
    watched = dict(run("job.watch()"))
    assert "2 of 2 tasks" in watched["text/html"]


def test_an_interrupt_cancels_a_map_and_the_next_cell_runs(
    run: Callable[[str], Outputs],
) -> None:
    outputs = run("""
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            list(grid.map(time.sleep, [600] * 20, progress=True))
        except KeyboardInterrupt:
            print("interrupted")
    """)
    assert ("stdout", "interrupted\n") in outputs
    assert ("text/plain", "7") in run("grid.submit(abs, -7).result(30)")
