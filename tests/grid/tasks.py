"""Functions that tests have computed elsewhere. They travel with this file."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path


def square(x: int) -> int:
    return x * x


def burn(seconds: float) -> str:
    """Use the processor for so long, not counting the time that it is taken away."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
    return "burnt"


def burn_in_threads(seconds: float) -> str:
    """Use it in two threads, outside of the interpreter's lock."""
    data, until = bytes(1 << 20), time.process_time() + seconds

    def hash_on() -> None:
        while time.process_time() < until:
            hashlib.sha256(data)

    threads = [threading.Thread(target=hash_on) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "burnt"


def nap(x: int) -> int:
    """Take 50 ms and say which task it was."""
    time.sleep(0.05)
    return x


def kwargs(a: int, b: int = 0, *, c: int = 0) -> tuple[int, int, int]:
    return a, b, c


def words(x: int) -> list[str]:
    """Return the words of a set, in the order in which it has them."""
    return list({f"word {i}" for i in range(20 + x)})


def chance(_: int) -> float:
    return random.random()


def raises(x: int) -> int:
    raise ValueError(f"no {x} today")


def endless(_: int) -> None:
    while True:
        pass


def exits(code: int) -> None:
    sys.exit(code)


def exits_at_once(code: int) -> None:
    os._exit(code)


def kills_itself(number: int) -> None:
    os.kill(os.getpid(), number)


def dies_at_25(x: int) -> int:
    if x == 25:
        os.kill(os.getpid(), signal.SIGSEGV)
    return x


def dies_once(file: str) -> float:
    """Die at the first try; note at each what chance has given."""
    number = random.random()
    tries = Path(file).read_text().split() if Path(file).exists() else []
    Path(file).write_text("\n".join([*tries, str(number)]))
    if not tries:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def prints(size: int) -> int:
    print("y" * size)
    print("z" * size, file=sys.stderr)
    return size


def eats(size: int) -> int:
    hoard = []
    for _ in range(size >> 20):
        hoard.append(os.urandom(1 << 20))
    return len(hoard)


def daemonises(_: int) -> int:
    """Leave a process behind, in a session of its own; return its id."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(writer, b"%d" % os.getpid())
            signal.pause()
        os._exit(0)
    os.wait()
    return int(os.read(reader, 20))


def forks(x: int) -> int:
    """Fork, and let the child come back like a second self."""
    os.fork()
    return x


def waits_for(file: str) -> str:
    """Return once a file exists."""
    while not Path(file).exists():
        time.sleep(0.01)
    return file


def touches_and_waits(file: str) -> None:
    """Say by a file that it runs, and go on until ended."""
    Path(file).touch()
    signal.pause()


def runs(folder: str, gate: str) -> str:
    """Leave a note of the process that computes this; return once `gate` exists."""
    (Path(folder) / str(os.getpid())).touch()
    return waits_for(gate)


def differs(kind: str) -> object:
    """Do what `kind` says; print it."""
    print("now", kind)
    if kind == "chance":
        return random.random(), {"some", "words", "in", "a", "set"}
    if kind == "array":
        import numpy as np  # the others are for a Python without it, too

        return np.arange(100_000) * random.random()
    if kind == "fails":
        raise ValueError("no luck")
    if kind == "dies":
        os._exit(3)
    if kind == "pid":
        return os.getpid()
    return len(Path("/etc/passwd").read_text())


def read(path: str) -> str:
    return Path(path).read_text()


class Thing:
    """Not plain data."""


def make_an_object() -> Thing:
    return Thing()


def says_and_waits(half: str, whole: str) -> tuple[int | None, str | None]:
    """Say that half is done, and that three quarters are once a file exists."""
    from p2pslinger import task

    task.progress(1, 2)
    task.log("half of it")
    waits_for(half)
    task.progress(0.75)
    task.log("more")
    waits_for(whole)
    return task.index, task.job


def leave_a_mark(name: str) -> tuple[str, str]:
    """Leave a mark wherever that is possible; return whose slot it is, and was."""
    found = getattr(sys, "mark", "")
    sys.mark = name  # type: ignore[attr-defined]
    slot = sys.__dict__.setdefault("slot", str(time.monotonic_ns()))
    for folder in (".", "/tmp", "/dev/shm", "/scratch"):
        file = Path(folder, "p2pslinger-mark")
        try:
            found = found or file.read_text()
            file.write_text(name)
        except OSError:
            pass
    return slot, found


_ready: list[int] = []


def prepare(value: int) -> None:
    """Be an initializer."""
    _ready[:] = [value]


def prepared() -> int:
    return _ready[0]


def own_index() -> int | None:
    """Use what tasks have for themselves."""
    from p2pslinger import task

    task.progress(0.5)
    return task.index


class Trap:
    """Whoever unpickles it writes a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.path,)


def trap(path: str) -> Trap:
    """Return what harms whoever unpickles it."""
    return Trap(path)


def memory_limit() -> int:
    """Return how many bytes this process may use."""
    import resource

    return resource.getrlimit(resource.RLIMIT_DATA)[0]


def hoard(size: int) -> int:
    """Take memory."""
    return len(bytearray(size))
