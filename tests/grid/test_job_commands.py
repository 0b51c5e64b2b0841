"""Started jobs at the command line: submitted, followed, decided, handed on."""

from __future__ import annotations

import json
import select
import stat
from pathlib import Path

import pytest

from p2pslinger.ids import to_text
from tests.grid.place import HANGING, Place, line, output, until
from tests.grid.shell import Shell, squares

pytestmark = pytest.mark.usefixtures("trio")


def test_results_are_printed_on_any_machine(here: Shell, there: Shell) -> None:
    job = here.submit("script.py:square", "-", said="1\n2\n\n3\n")

    assert squares(here, job) == [1, 4, 9]
    assert squares(there, job) == [1, 4, 9]
    assert squares(here, job[:7]) == [1, 4, 9]


def test_source_text_is_submitted_without_running_it(here: Shell) -> None:
    job = here.submit("script.py:square", "-", "--source", said="1\n2\n")

    assert squares(here, job) == [1, 4]
    code, _, err = here.run("submit", "script.py:no", "-", "--source", said="1\n")
    assert code == 2
    assert "does not define `no`" in err


def test_submit_says_all_there_is_as_json(here: Shell, module_place: Place) -> None:
    (module_place.folder / "pairs.jsonl").write_text("[1, 2]\n[3, 4]\n")
    words = ("script.py:add", "pairs.jsonl", "--star", "--name", "sums", "--json")
    said = json.loads(here.out("submit", *words))

    assert said["kept"] == [2, 2]
    assert (said["name"], said["tasks"], said["warning"]) == ("sums", 2, "")
    assert squares(here, said["job"]) == [3, 7]


def test_nothing_is_submitted_if_a_line_is_wrong(here: Shell) -> None:
    before = here.out("jobs", "--json")
    code, out, err = here.run("submit", "script.py:square", "-", said="1\n2\n{3}\n")

    assert (code, out) == (2, "")
    assert "line 3 of standard input is no JSON value" in err
    assert len(json.loads(here.out("jobs", "--json"))) == len(json.loads(before))


def test_failures_leave_a_null_and_are_told_on_demand(here: Shell) -> None:
    job = here.submit("script.py:square", "-", said="2\n-1\n3\n")

    code, out, err = here.run("results", job)
    assert (code, out) == (1, "4\nnull\n9\n")
    assert err.startswith("Note: 1 task failed, the first: task 1, ValueError: no -1")
    _, out, _ = here.run("results", job, "--errors")
    assert out.startswith("task 1: ValueError: no -1 today\n    Traceback")
    _, out, _ = here.run("results", job, "--json")
    first, second, third = map(json.loads, out.splitlines())
    assert (first, third) == ({"task": 0, "value": 4}, {"task": 2, "value": 9})
    assert second["error"] == "ValueError: no -1 today"
    _, out, _ = here.run("results", job, "--output")
    assert "squaring 2" in out
    assert "squaring -1" in out


def test_results_go_into_files(here: Shell, module_place: Place) -> None:
    job = here.submit("script.py:square", "-", said="2\n3\n")

    assert here.out("results", job, "--out", "found.jsonl") == ""
    assert (module_place.folder / "found.jsonl").read_text() == "4\n9\n"
    here.out("results", job, "--pickle", "found.pickle")
    read = "import pickle; print(pickle.load(open('found.pickle', 'rb')))"
    assert module_place.run(read) == "[4, 9]\n"
    code, _, err = here.run("results", job, "--out", "no/such/folder")
    assert (code, err.count("\n")) == (1, 1)
    assert "can't be written: no such file or directory" in err


def test_what_json_cannot_say_is_text(here: Shell) -> None:
    job = here.submit("script.py:pair", "-", said="1\n")
    code, out, err = here.run("results", job)

    assert (code, out) == (0, '"{1, 2}"\n')
    assert "1 value can't be said in JSON" in err


def test_what_is_not_there_yet_need_not_be_waited_for(here: Shell, gate: Path) -> None:
    done = str(gate.parent)
    said = "".join(f"{json.dumps(str(one))}\n" for one in (done, gate))
    job = here.submit("script.py:wait_for", "-", said=said)

    facts = ("job", job, "--json")
    until(lambda: json.loads(here.out(*facts))["accepted"])
    code, out, err = here.run("results", job, "--no-wait")
    assert (code, out) == (1, f"{json.dumps(done)}\nnull\n")
    assert err == "Note: 1 task without a result yet\n"
    gate.touch()
    assert squares(here, job) == [done, str(gate)]


def test_a_cancelled_job_shows_what_it_has(here: Shell, gate: Path) -> None:
    said = "".join(f"{json.dumps(str(one))}\n" for one in (gate, gate.parent))
    job = here.submit("script.py:wait_for", "-", said=said)
    until(lambda: json.loads(here.out("job", job, "--json"))["accepted"])
    here.out("cancel", job)

    for words in (("results", job), ("results", job, "--no-wait")):
        code, out, err = here.run(*words)
        assert (code, out) == (1, f"null\n{json.dumps(str(gate.parent))}\n")
        assert err.startswith("Note: 1 task without a result")
    assert "the job was cancelled" in here.run("results", job)[2]


def test_a_job_is_followed_live_to_its_end(
    here: Shell, there: Shell, gate: Path
) -> None:
    job = here.submit("script.py:wait_for", "-", said=f"{json.dumps(str(gate))}\n")
    followers = [
        here.start("job", job, "--follow"),
        there.start("job", job, "--follow"),
    ]

    assert all(line(one).startswith("0 of 1 tasks (0.0 %)") for one in followers)
    gate.touch()
    for one in followers:
        said = output(one).splitlines()
        assert "computed" in said[-1] or "computed" in said[-2]
        assert any("task 0 on" in text and "waiting" in text for text in said)
        assert any(text.startswith("1 of 1 tasks (100.0 %)") for text in said)


def test_submit_can_wait_and_tells_by_its_exit_code(here: Shell) -> None:
    code, _, err = here.run("submit", "script.py:square", "-", "--wait", said="1\n2\n")
    assert code == 0
    assert "2 of 2 tasks (100.0 %)" in err

    code, _, err = here.run("submit", "script.py:square", "-", "--wait", said="-1\n")
    assert code == 1
    assert "1 failed" in err


def test_a_job_is_decided_by_command(here: Shell, gate: Path) -> None:
    said = f"{json.dumps(str(gate))}\n"
    job = here.submit("script.py:wait_for", "-", "--priority", "-5", said=said)
    short = job[:7]

    assert here.out("pause", short) == f"job {short} is paused\n"
    assert "paused" in here.out("jobs")
    assert here.out("pause", short) == f"job {short} is paused already\n"
    assert here.out("resume", short) == f"job {short} goes on\n"
    assert here.out("resume", short) == f"job {short} is not paused\n"
    assert here.out("priority", short, "-7") == f"job {short} has priority -7 now\n"
    assert (
        here.out("extend", short, "3w") == f"job {short} is kept for 21.0 d from now\n"
    )
    facts = json.loads(here.out("job", short, "--json"))
    assert (facts["priority"], facts["state"]) == (-7, "open")
    shown = here.out("job", short)
    assert "kept      by 3 of 3 peers\n" in shown
    assert "bert" in shown
    assert here.out("cancel", short) == f"job {short} is cancelled\n"
    assert here.out("cancel", short) == f"job {short} is cancelled already\n"
    assert here.out("forget", short) == f"job {short} is forgotten\n"
    code, _, err = here.run("job", short)
    assert (code, err.count("\n")) == (1, 1)
    assert f"knows no job '{short}'" in err


def test_a_finished_job_is_not_said_to_be_paused_or_cancelled(here: Shell) -> None:
    job = here.submit("script.py:square", "-", "--wait", said="3\n")
    short = job[:7]

    for words in (["pause", short], ["resume", short], ["priority", short, "3"]):
        code, out, err = here.run(*words)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert f"job {short} is computed: none of its tasks is left" in err
    done = f"job {short} is computed: nothing is left to be cancelled\n"
    assert here.out("cancel", short) == done
    assert here.out("results", short) == "9\n"
    assert here.out("extend", short, "2w").startswith(f"job {short} is kept for")


def test_who_waits_for_results_is_told_why_none_come(here: Shell) -> None:
    needs = ("--requires", "no-such-package", "--keepers", "0")
    job = here.submit("script.py:square", "-", *needs, said="3\n")
    waiting = here.start("results", job)

    told = waiting.stderr
    assert told is not None
    until(lambda: select.select([told], [], [], 0)[0])
    said = told.readline()
    here.out("cancel", job)
    waiting.communicate(timeout=HANGING)
    assert said.startswith("Note: waiting: it needs no-such-package")


def test_a_ticket_goes_from_machine_to_machine(
    here: Shell, there: Shell, module_place: Place
) -> None:
    job = here.submit("script.py:square", "-", said="1\n")
    file = module_place.folder / "squares.ticket"

    code, out, err = here.run("ticket", job, "--owner", "--out", file.name)
    assert (code, out) == (0, "the ticket is in squares.ticket\n")
    assert "as you would a password" in err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    said = there.out("ticket", "--use", file.name)
    assert said.startswith(f"found job {job} (square)")
    assert "may decide for it now" in said
    assert there.out("extend", job, "1h").startswith(f"job {job[:7]} is kept for")

    text = here.out("ticket", job)
    assert text.startswith("ticket-")
    _, out, _ = there.run("ticket", "--use", "-", said=text)
    assert "may decide" not in out


def test_what_another_machine_may_not_decide_is_refused_in_a_sentence(
    here: Shell, there: Shell
) -> None:
    job = here.submit("script.py:square", "-", said="1\n")

    for words in (["pause", job], ["forget", job], ["cancel", job]):
        code, _, err = there.run(*words)
        assert (code, err.count("\n")) == (1, 1)
        assert "slinger ticket JOB --owner" in err


def test_a_job_that_nobody_knows_is_said_to_be_unknown(here: Shell) -> None:
    code, _, err = here.run("results", "aaaaaaa")
    assert code == 1
    assert "found by its whole id" in err

    code, _, err = here.run("job", to_text(b"nobody has this job."))
    assert (code, err.count("\n")) == (1, 1)
