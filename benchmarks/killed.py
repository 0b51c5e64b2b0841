"""How soon a lost volunteer's task runs again elsewhere.

One task runs at one of two volunteers; its peer process is killed with SIGKILL (the
connection is lost) or stopped with SIGSTOP (it falls silent). The second try says when
it began, on the clock that all processes of a machine share.
"""

from __future__ import annotations

import signal
import time

import p2pslinger as slinger
from benchmarks._daemons import Daemon, daemons
from benchmarks.figures import show, wait_until

RUNS = 3

#: Seconds that the task runs: longer than it takes to find and kill its peer.
TASK = 0.5


def when(duration: float) -> float:
    """Return when this try began."""
    import time

    began = time.monotonic()
    time.sleep(duration)
    return began


def lose(by: signal.Signals) -> float:
    """Return the seconds from the loss of a volunteer to the second try."""
    with slinger.local(peers=3, slots=[0, 1, 1]) as grid:
        grid.submit(when, 0.0).result()
        volunteers = daemons()[1:]

        def holder() -> Daemon | None:
            return next((one for one in volunteers if one.status().busy), None)

        future = grid.submit(when, TASK)
        victim = wait_until(holder, 5.0, "starting a task")
        lost = time.monotonic()
        victim.process.send_signal(by)
        try:
            again = future.result(timeout=60) - lost
            assert again > 0, "the first try has got through"
            return again
        finally:
            victim.process.kill()


def main() -> None:
    """Lose volunteers in both ways."""
    killed = [lose(signal.SIGKILL) for _ in range(RUNS)]
    show("volunteer killed, until its task runs again", killed, "s", most=1)
    silent = [lose(signal.SIGSTOP) for _ in range(RUNS)]
    show("volunteer silent, until its task runs again", silent, "s", most=5)


if __name__ == "__main__":
    main()
