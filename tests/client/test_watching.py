"""Progress and facts as people see them, outside of a notebook too."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import TextIO

import msgspec
import pytest

from p2pslinger.client.overdue import Overdue
from p2pslinger.client.progress import Progress
from p2pslinger.client.rows import Rows
from p2pslinger.client.tables import CELL, ROWS, Facts, grid_html, job_html, table
from p2pslinger.client.watching import Display, Plain, Terminal, Watch, line_of
from p2pslinger.errors import UnavailableError
from p2pslinger.wire.facts import PeerFacts, ReasonFacts, TallyFacts
from p2pslinger.wire.ownfacts import StatusFacts
from tests.client.scripted import facts

EVIL = '<script src="http://x">\x1b[2J"\'&'


def test_names_of_other_machines_mean_nothing_in_html() -> None:
    peer = PeerFacts("a-b", EVIL, (EVIL,), EVIL, 1, (EVIL,), EVIL, False, 0.0, 0.0)
    tally = TallyFacts(EVIL, EVIL, 1, 0, 0.0, 1.0)
    reason = ReasonFacts("x", EVIL, EVIL)
    status = StatusFacts(
        EVIL, EVIL, EVIL, EVIL, "", 0.0, 1, 1, 0, reason, 0, 0, 0, {}, ()
    )
    job = msgspec.structs.replace(
        facts(bytes(20), 5, sealed=True), name=EVIL, waiting=reason, volunteers=(tally,)
    )
    shown = [
        Facts([peer])._repr_html_(),
        Facts([tally])._repr_html_(),
        grid_html(status, [peer]),
        job_html(job),
        Facts([EVIL])._repr_html_(),
    ]
    for html in shown:
        assert "<script" not in html
        assert "\x1b" not in html
        assert "src=" not in html.replace("&lt;script src=", "")


def test_tables_are_bounded() -> None:
    html = table(["x"], [["y" * 10_000]] * (ROWS + 5))

    assert html.count("<tr>") == ROWS + 1
    assert "and 5 more" in html
    assert "y" * CELL not in html
    assert Facts[object](())._repr_html_() == "<p>none</p>"


def test_facts_are_printed_in_columns() -> None:
    tally = TallyFacts("k3mvb2a-aaaaaaa", "attic\x1b[2J\n", 1200, 1, 3.21, 1.0)

    assert str(Facts([tally])).splitlines() == [
        "peer     name        tasks  failed  checks  CPU seconds  share",
        "k3mvb2a  attic?[2J?  1,200  1       0       3.2          100.0 %",
    ]
    assert str(Facts[object](())) == "none"
    many = str(Facts([tally] * (ROWS + 3))).splitlines()
    assert (len(many), many[-1]) == (ROWS + 2, "and 3 more")
    assert len(str(Facts([msgspec.structs.replace(tally, name="x" * 999)]))) < 4 * CELL


def test_facts_are_the_tuple_that_they_always_were() -> None:
    assert Facts([1, 2]) == (1, 2)
    assert isinstance(Facts([1]), tuple)


@pytest.mark.parametrize(
    ("progress", "seconds", "line"),
    [
        (Progress(0, 0, 0, {}), 0.0, "0 tasks, 0 s"),
        (Progress(1, 4, 1, {"a": 1}), 1.0, "1 of 4 tasks, 1 failed, on 1 peer, 1 s"),
        (
            Progress(1, 4, 0, {"a": 1, "b": 0}, {2: 1.0}),
            10.0,
            "1 of 4 tasks, on 2 peers, 10 s, 10 s left",
        ),
    ],
)
def test_a_line_says_how_many_and_how_much_longer(
    progress: Progress, seconds: float, line: str
) -> None:
    assert line_of(progress, seconds) == line


def test_a_terminal_shows_one_line() -> None:
    file = io.StringIO()
    with Watch(lambda: Progress(1, 2, 0, {}), "f", Terminal(file)):
        pass
    said = file.getvalue()
    assert said.count("\n") == 1
    assert "f [############------------] 1 of 2 tasks" in said


@pytest.mark.parametrize("display", [Terminal, Plain])
def test_a_jobs_name_does_nothing_to_the_terminal(
    display: Callable[[TextIO], Display],
) -> None:
    """Anybody in the grid may have submitted it."""
    file = io.StringIO()
    evil = "a\x1b]0;b\x07\nc\u202e"
    with Watch(lambda: Progress(1, 2, 0, {}), evil, display(file)):
        pass

    assert "a?]0;b??c?" in file.getvalue()
    assert "\x07" not in file.getvalue()
    assert file.getvalue().count("\n") == 1


def test_elsewhere_there_are_few_lines() -> None:
    file = io.StringIO()
    with Watch(lambda: Progress(1, 2, 0, {}), "f", Plain(file)):
        pass

    assert file.getvalue() == "f: 1 of 2 tasks, 0 s\n"


def test_what_can_not_be_drawn_disturbs_nobody() -> None:
    file = io.StringIO()
    file.close()
    with Watch(lambda: Progress(1, 2, 0, {}), "f", Terminal(file)):
        done = True

    assert done
    assert not [one for one in threading.enumerate() if one.name == "slinger watch"]


REASON = ReasonFacts("all-busy", "all slots are busy", "wait")


def test_the_peer_is_asked_why_only_when_nothing_has_come_for_a_while() -> None:
    asked: list[float] = []
    clock = [0.0]

    def why() -> ReasonFacts:
        asked.append(clock[0])
        return REASON

    overdue = Overdue(why, lambda: clock[0])
    said = []
    for clock[0], done in [(0, 0), (4, 0), (6, 1), (10, 1), (11, 1), (12, 1), (13, 2)]:
        said.append(overdue.look(done))
    assert asked == [11]
    assert said == ["", "", "", "", "all slots are busy", "all slots are busy", ""]


def test_a_peer_that_does_not_answer_is_no_reason() -> None:
    def gone() -> ReasonFacts:
        raise UnavailableError("the peer has gone")

    clock = [0.0]
    overdue = Overdue(gone, lambda: clock[0])
    overdue.look(0)
    clock[0] = 6.0
    assert overdue.look(0) == ""


def test_why_it_waits_stands_on_a_line_of_its_own() -> None:
    for display in (Terminal, Plain):
        file = io.StringIO()
        shown = display(file)
        shown.show("0 of 3 tasks", 0.0, "f")
        shown.waits("all slots are busy", "f")
        shown.waits("", "f")
        shown.close()
        lines = file.getvalue().replace("\r\x1b[K", "\n").splitlines()
        assert "f: waiting: all slots are busy" in lines


def test_rows_know_how_far_they_are() -> None:
    rows = Rows(keep=False)
    rows.finish(3)

    assert rows.progress == Progress(0, 3, 0, {})
