"""Line n of a job's results is task n, whatever came of it."""

from __future__ import annotations

import json

from p2pslinger.cli.lines import Lines
from p2pslinger.client.values import RemoteTraceback


def failure(text: str) -> Exception:
    error = ValueError(text)
    error.__cause__ = RemoteTraceback(f"Traceback\n  here\nValueError: {text}\n")
    return error


def written(
    *results: object, only_errors: bool = False, as_json: bool = False
) -> Lines:
    lines = Lines(LINES.append, only_errors=only_errors, as_json=as_json)
    LINES.clear()
    for task, result in enumerate(results):
        lines.take(task, result)
    return lines


LINES: list[str] = []


def test_values_are_json_and_what_is_none_is_text() -> None:
    lines = written(1, "é\n", None, (1, 2), {1}, float("nan"), {"a": [True]})

    assert [json.loads(line) for line in LINES] == [
        1, "é\n", None, [1, 2], "{1}", "nan", {"a": [True]}
    ]  # fmt: skip
    assert lines.summary.complete
    assert lines.summary.sentences() == [
        "2 values can't be said in JSON and printed as text: use --pickle FILE for the "
        "values themselves"
    ]


def test_null_stands_where_there_is_no_value() -> None:
    lines = written(1, failure("no 1\ntoday"), 3)
    lines.lack()

    assert LINES == ["1", "null", "3", "null"]
    assert not lines.summary.complete
    assert lines.summary.sentences() == [
        "1 task failed, the first: task 1, ValueError: no 1; see --errors",
        "1 task without a result yet",
    ]


def test_json_names_the_task_and_leaves_out_what_is_missing() -> None:
    lines = written(1, failure("no"), as_json=True)
    lines.lack()

    first, second = map(json.loads, LINES)
    assert first == {"task": 0, "value": 1}
    assert (second["task"], second["error"]) == (1, "ValueError: no")
    assert "here" in second["traceback"]


def test_errors_come_with_their_traceback_and_without_values() -> None:
    written(1, failure("no"), only_errors=True)

    assert LINES == [
        "task 1: ValueError: no",
        "    Traceback",
        "      here",
        "    ValueError: no",
    ]
