"""Of each run's output the end is kept, however much there is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.sandbox.output import KEPT, Output

MARK = b"0123456789abcdef"


@given(st.lists(st.sampled_from([b"hello", b"", b"0123"]), max_size=8), st.data())
def test_runs_are_told_apart_wherever_the_reads_are_cut(
    runs: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(run + MARK for run in runs) + b"rest"
    output = Output(MARK)
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        output.feed(stream[:size], len(runs))
        stream = stream[size:]

    assert [output.take() for _ in runs] == runs
    assert not output.ended
    assert output.rest() == b"rest"


def test_of_megabytes_the_end_is_kept_and_the_rest_counted() -> None:
    output = Output(MARK)
    for _ in range(100):
        output.feed(b"x" * KEPT, 1)
    output.feed(b"end" + MARK + b"next", 1)

    text = output.take()

    assert text.startswith(b"[%d bytes of output left out]\n" % (99 * KEPT + 3))
    assert text.endswith(b"xend")
    assert output.rest() == b"next"


def test_forged_marks_do_not_fill_the_daemon() -> None:
    output = Output(MARK)
    for _ in range(10_000):
        output.feed(b"junk" + MARK, 2)

    taken = [output.take() for _ in range(2)]

    assert taken == [b"junk"] * 2
    assert not output.ended
    assert len(output.rest()) <= KEPT + 100
