"""What tasks print comes with the run that printed it, in time and within bounds."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from p2pslinger.sandbox.output import KEPT
from p2pslinger.sandbox.packed import CALLS
from tests.sandbox.desk import Worker, decoded, packaged, with_a_worker


def speak(x: int) -> int:
    if x % 2 == 0:
        print(f"task {x}")
        os.write(2, b"directly\n")
    return x


def test_output_goes_with_its_run_however_fast_runs_follow() -> None:
    async def scenario(worker: Worker) -> None:
        job = worker.load(packaged(speak), range(200))
        for x in range(200):
            worker.order(job, x, x + 1)
        for x in range(200):
            output = (await worker.outcome()).output
            expected = b"task %d\ndirectly\n" % x if x % 2 == 0 else b""
            assert output == expected

    with_a_worker(scenario)


def test_output_of_programs_and_of_text_without_newline_is_captured() -> None:
    def several() -> None:
        print("one", end="")
        sys.stdout.flush()
        subprocess.run(["sh", "-c", "printf two; printf three >&2"], check=True)
        print("four", end="")

    async def scenario(worker: Worker) -> None:
        job = worker.load(packaged(several), [((), {})], form=CALLS)
        worker.order(job, 0, 1)
        assert (await worker.outcome()).output == b"onetwothreefour"

    with_a_worker(scenario)


def test_megabytes_of_output_block_nobody_and_keep_their_end() -> None:
    def shout() -> None:
        for i in range(20_000):
            print(f"{i:05}", "x" * 500)

    async def scenario(worker: Worker) -> None:
        job = worker.load(packaged(shout), [((), {})], form=CALLS)
        worker.order(job, 0, 1)
        output = (await worker.outcome()).output
        assert output.startswith(b"[10")
        assert b"bytes of output left out]\n" in output[:80]
        assert output.endswith(b"19999 " + b"x" * 500 + b"\n")
        assert len(output) < KEPT + 100

    with_a_worker(scenario)


def test_a_process_that_prints_for_ever_blocks_nobody() -> None:
    def leave_talker() -> None:
        subprocess.Popen(["sh", "-c", "while :; do echo talk; done"])

    async def scenario(worker: Worker) -> None:
        await worker.call(leave_talker)
        job = worker.load(packaged(speak), [1])
        said = b""
        while said.count(b"talk\n") < 50:
            worker.order(job, 0, 1)
            outcome = await worker.outcome()
            assert decoded(outcome) == [1]
            assert len(outcome.output) < KEPT + 100
            said += outcome.output
        worker.slot.kill()
        assert len((await worker.exit()).output) < KEPT + 100

    with_a_worker(scenario)


def test_standard_input_is_empty() -> None:
    def read() -> tuple[str, bytes]:
        return sys.stdin.read(), os.read(0, 1)

    async def scenario(worker: Worker) -> None:
        for _ in range(2):
            assert await worker.call(read) == ("", b"")

    with_a_worker(scenario)


def test_closed_and_redirected_streams_are_whole_again_for_the_next_run() -> None:
    def close() -> None:
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            stream.close()
        os.closerange(0, 3)
        Path("file").open("w")  # noqa: SIM115 - has descriptor 0 now

    def redirect() -> None:
        class Strange:
            __hash__ = None  # type: ignore[assignment]

            def flush(self) -> None:
                raise SystemExit

        sys.stdout = Strange()
        os.set_blocking(2, False)

    async def scenario(worker: Worker) -> None:
        for function in (close, redirect, close):
            assert await worker.call(function) is None
            job = worker.load(packaged(speak), [0])
            worker.order(job, 0, 1)
            outcome = await worker.outcome()
            assert decoded(outcome) == [0]
            assert outcome.output == b"task 0\ndirectly\n"

    with_a_worker(scenario)


def test_the_output_of_a_run_that_ends_the_slot_is_its_last_words() -> None:
    def die(x: int) -> None:
        print(f"dying of {x}", flush=True)
        print("no newline", end="", file=sys.stderr)
        sys.stderr.flush()
        os._exit(1)

    async def scenario(worker: Worker) -> None:
        job = worker.load(packaged(speak), [0])
        worker.order(job, 0, 1)
        deadly = worker.load(packaged(die), [5])
        worker.order(deadly, 0, 1)
        ended = await worker.exit()
        assert ended.output == b"dying of 5\nno newline"
        assert (await worker.outcome()).output == b"task 0\ndirectly\n"
        await asyncio.sleep(0)

    with_a_worker(scenario)
