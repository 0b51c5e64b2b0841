"""Facts are shown so that people can read them, and programs too."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.cli.follow import line_of
from p2pslinger.cli.jobs import row as job_row
from p2pslinger.cli.jobs import show_job
from p2pslinger.cli.peers import COLUMNS as PEER_COLUMNS
from p2pslinger.cli.peers import row as peer_row
from p2pslinger.cli.render import Column, draw, plain, show_json
from p2pslinger.cli.status import dropped, show_status
from p2pslinger.cli.tally import show_tally
from p2pslinger.cli.why import show_why
from p2pslinger.cli.words import counted, duration, of_id, percent, printable
from p2pslinger.wire.facts import (
    JobFacts,
    KeeperFacts,
    PeerFacts,
    ReasonFacts,
    TallyFacts,
    WhyFacts,
)
from p2pslinger.wire.ownfacts import StatusFacts

ANN = "k3mvb2a-aaaaaaa-bbbbbbb-ccccccc-ddddddd"
BOB = "z7aaaaa-aaaaaaa-bbbbbbb-ccccccc-ddddddd"
WAITING = ReasonFacts("no-work", "no job is open", "submit one")
TALLY = (
    TallyFacts(ANN, "attic", 1200, 3, 1234.5, 0.9, checks=40),
    TallyFacts(BOB, "[red]cellar", 7, 0, 0.25, 0.1),
)
STATUS = StatusFacts(
    peer=ANN,
    name="attic",
    grid="fr6233x-abcdef",
    software="0.1.0",
    address="192.168.1.5:8468",
    uptime=7200.0,
    neighbours=2,
    slots=3,
    busy=1,
    idle_because=WAITING,
    jobs=1,
    heard=4,
    computed=1,
    dropped={"replayed": 2, "garbage": 10, "oversized": 0},
    notes=("bootstrap host x is unknown",),
)
JOB = JobFacts(
    job=BOB,
    name="sums\x1b[31m",
    state="open",
    tasks=1200,
    sealed=False,
    computed=400,
    running=3,
    failed=1,
    lost=2,
    age=65.0,
    waiting=WAITING,
    volunteers=TALLY,
)
KEPT = msgspec.structs.replace(
    JOB,
    durable=True,
    accepted=300,
    priority=-3,
    keep_until=1.8e9,
    keepers=(
        KeeperFacts(ANN, "attic", "here", True, 65.0),
        KeeperFacts(BOB, "[red]cellar", "away", False, 10.0),
    ),
    wanted=3,
)


def test_a_plain_table_aligns_numbers_at_their_right_end() -> None:
    columns = (Column("name"), Column("tasks", number=True), Column("where"))

    assert plain(columns, [("ann", "7", "attic"), ("barbara", "1,200", "")]) == [
        "name     tasks  where",
        "ann          7  attic",
        "barbara  1,200",
    ]


@given(st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=5))
def test_a_table_has_one_line_for_each_row_whatever_the_cells(
    rows: list[tuple[str, str]],
) -> None:
    clean = [[printable(cell) for cell in row] for row in rows]

    lines = plain((Column("a"), Column("b", number=True)), clean)
    assert len(lines) == len(rows) + 1
    assert not any("\n" in line for line in lines)


def test_a_drawn_table_takes_names_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    draw((Column("name"), Column("tasks", number=True)), [("[red]cellar", "7")])

    out = capsys.readouterr().out
    assert "[red]cellar" in out
    assert "7" in out


LONG = (Column("job"), Column("name", wraps=True), Column("tasks", number=True))
ROWS = [("k3mvb2a-abcdefg", "squares of all the numbers", "1,000"), ("x7", "", "3")]


@pytest.mark.parametrize("columns", [30, 40, 80])
def test_no_id_and_no_number_is_cut_off_where_the_terminal_is_narrow(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    draw(LONG, ROWS)

    out = capsys.readouterr().out
    assert {"k3mvb2a-abcdefg", "1,000", "x7", "3"} <= set(out.split())
    assert "\u2026" not in out


def test_a_table_that_does_not_fit_is_a_block_for_each_row(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    draw(LONG, ROWS)

    assert capsys.readouterr().out == (
        "job    k3mvb2a-abcdefg\nname   squares of all the numbers\ntasks  1,000\n"
        "\njob    x7\ntasks  3\n"
    )


def test_a_job_says_how_much_of_it_stands_still(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_job(msgspec.structs.replace(JOB, still=2))
    assert "running   3, 2 of them standing still\n" in capsys.readouterr().out

    show_why(WhyFacts("computing", None, "k3mvb2a-x", running=3, still=2))
    show_why(WhyFacts("computing", None, "k3mvb2a-x", running=3))
    assert capsys.readouterr().out == (
        "job k3mvb2a runs, 1 task of it now; 2 more stand still, as their machines' "
        "owners wish\njob k3mvb2a runs, 3 tasks of it now\n"
    )


def test_status_says_who_where_and_why_not_more(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_status(STATUS)

    out = capsys.readouterr().out
    assert "peer        k3mvb2a (attic)\n" in out
    assert "slots       3, 1 of them busy\n" in out
    assert "computed    1 task\n" in out
    assert "waiting: no job is open\nadvice:  submit one\n" in out
    assert "note: bootstrap host x is unknown\n" in out


def test_dropped_packets_are_named_by_cause_most_first() -> None:
    assert dropped(STATUS) == "10 garbage, 2 replayed"
    assert dropped(msgspec.structs.replace(STATUS, dropped={})) == "nothing"


def test_a_job_says_that_more_tasks_may_come_and_who_computed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_job(JOB)

    out = capsys.readouterr().out
    assert f"job       {BOB}\n" in out
    assert "name      sums?[31m\n" in out
    assert "tasks     1,200+\n" in out
    assert "waiting: no job is open\nadvice:  submit one\n" in out
    assert "1,234.50" in out


def test_a_job_says_who_keeps_it_and_who_decides(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_job(KEPT)

    out = capsys.readouterr().out
    assert "kept      by 1 of 3 peers\n" in out
    assert "until     2027-01-1" in out
    assert "priority  -3\n" in out
    assert "decides   this machine\n" in out
    assert "k3mvb2a  attic        here   1.1 min  all of it\n" in out
    assert "z7aaaaa  [red]cellar  away      10 s  not all yet\n" in out
    assert job_row(KEPT, whole=False)[7:] == ("1/3", "1.1 min")
    assert job_row(JOB, whole=False)[7] == ""


def test_a_job_says_whose_results_do_not_count(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_job(msgspec.structs.replace(KEPT, excluded=(BOB,)))

    out = capsys.readouterr().out
    assert (
        "excluded  z7aaaaa: results that were not accepted before do not count" in out
    )


def test_a_job_that_ends_with_its_program_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_job(JOB)

    assert "kept      nowhere: it ends with the program" in capsys.readouterr().out


def test_progress_is_a_line_that_says_why_nothing_moves() -> None:
    assert line_of(KEPT, moves=True) == (
        "400 of 1,200+ tasks (33.3 %), 3 running, 1 failed, kept by 1 of 3 peers"
    )
    assert line_of(KEPT, moves=False).endswith(", waiting: no job is open")
    done = msgspec.structs.replace(
        JOB, state="computed", sealed=True, tasks=400, running=0, failed=0
    )
    assert line_of(done, moves=True) == "400 of 400 tasks (100.0 %), computed"


def test_a_tally_gives_cpu_seconds_and_share(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_tally(TALLY)

    title, first, second = capsys.readouterr().out.splitlines()
    assert title.split() == [
        "peer", "name", "tasks", "failures", "checks", "CPU", "seconds", "share"
    ]  # fmt: skip
    attic = ["k3mvb2a", "attic", "1,200", "3", "40", "1,234.50", "90.0", "%"]
    assert first.split() == attic
    assert second.split()[2:] == ["7", "0", "0", "0.25", "10.0", "%"]


def test_a_peer_is_a_row_with_its_clock_only_if_that_is_off() -> None:
    bob = PeerFacts(
        BOB, "cellar", ("10.0.0.2:8468",), "0.1.0", 2, ("3.11",), "none", False, 30, 0.1
    )
    late = msgspec.structs.replace(bob, clock=-90.2)

    assert len(peer_row(bob, whole=False)) == len(PEER_COLUMNS)
    assert peer_row(bob, whole=False)[6:8] == ("30 s", "")
    assert peer_row(late, whole=True)[7] == "-90 s"
    assert peer_row(late, whole=True)[0] == BOB


@pytest.mark.parametrize("facts", [STATUS, JOB, KEPT, TALLY, ()])
def test_json_is_exactly_the_facts(
    facts: msgspec.Struct | tuple[msgspec.Struct, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_json(facts)

    assert json.loads(capsys.readouterr().out) == json.loads(msgspec.json.encode(facts))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (12, "12 s"),
        (90, "1.5 min"),
        (5400, "1.5 h"),
        (200000, "2.3 d"),
    ],
)
def test_a_time_span_has_the_unit_that_suits_it(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_words_for_ids_shares_and_counts() -> None:
    assert of_id(ANN) == "k3mvb2a"
    assert of_id(ANN, whole=True) == ANN
    assert percent(0.3333) == "33.3 %"
    assert [counted(n, "slot") for n in (0, 1, 2000)] == [
        "0 slots",
        "1 slot",
        "2,000 slots",
    ]


@given(st.text())
def test_whatever_is_shown_has_no_control_characters(text: str) -> None:
    assert printable(text).isprintable()
    assert len(printable(text)) == len(text)
