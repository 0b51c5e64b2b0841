"""Makes slots: from a zygote for each way of confining them.

    own    one zygote, with the daemon's user and files
    good   one zygote for all others
    strong a zygote for each slot, in a sandbox of its own that ends with it

And that for each interpreter that slots are asked for of. What a task has left in its
sandbox is gone before the next submitter's comes.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from p2pslinger.errors import UnavailableError
from p2pslinger.sandbox.confine import cgroups
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.confine.environment import environment
from p2pslinger.sandbox.confine.privileges import user_of_slot
from p2pslinger.sandbox.confine.scratch import SCRATCH
from p2pslinger.sandbox.interpreter import Interpreter
from p2pslinger.sandbox.nursery import Nursery
from p2pslinger.sandbox.process import SlotProcess
from p2pslinger.sandbox.slot import Exit, Outcome
from p2pslinger.sandbox.terms import Terms

log = logging.getLogger(__name__)

#: Niceness of slots for the machine's own work: its owner comes first.
NICE = 5

_ENTRY = Path(__file__).with_name("__main__.py")


class Launcher:
    """Makes slots that are processes. Implements `p2pslinger.sandbox.slot.SlotSource`.

    Args:
        scratch: Folder for the slots' working folders; each is removed with its slot.
        nice: By how much slots are nicer than the daemon.
        polite: Slots for others get what nobody else wants of processor and disk.
        after: Its slots have numbers above this one. Two launchers of one process must
            not use the same: a slot's user and control group follow from it.
    """

    def __init__(
        self,
        scratch: Path,
        *,
        nice: int = NICE,
        polite: bool = True,
        after: int = 0,
    ) -> None:
        self._scratch = scratch
        self._nice = nice
        self._polite = polite
        self._number = after
        self._shared: dict[tuple[Confinement, str], Nursery] = {}
        self._nurseries: set[Nursery] = set()
        self._groups: cgroups.Groups | None = None
        self._sought = False
        self._pending: set[asyncio.Future[None]] = set()  # what close() waits for
        self._closing = False

    @property
    def zygote(self) -> int | None:
        """Process id of the zygote for own work, while there is one."""
        nursery = self._shared.get((Confinement.OWN, ""))
        return nursery.pid if nursery and nursery.open else None

    async def start(self) -> None:
        """Start the zygote for own work, without waiting until it is ready.

        Raises:
            UnavailableError: This system can't have slots, or not now.
        """
        self._share(Confinement.OWN, None)

    async def slot(
        self,
        on_done: Callable[[Outcome], None],
        on_exit: Callable[[Exit], None],
        memory: int,
        confinement: Confinement = Confinement.OWN,
        interpreter: Interpreter | None = None,
    ) -> SlotProcess:
        """Make a slot that may use `memory` bytes; of the daemon's Python if None.

        Raises:
            UnavailableError: The slot can't be made, or not be confined like this: the
                text names the means that fails.
        """
        self._seek_groups()  # before there is any zygote
        self._number += 1
        number = self._number
        if confinement is Confinement.OWN:
            nursery = self._share(confinement, interpreter)
            return await nursery.slot(number, on_done, on_exit, memory)
        if confinement is Confinement.STRONG:
            nursery = self._open(confinement, interpreter, number)
            slot = await _single(nursery, number, on_done, on_exit, memory)
        else:
            nursery = self._share(confinement, interpreter)
            slot = await nursery.slot(number, on_done, on_exit, memory)
        self._group(number, slot.pid, memory)
        return slot

    async def close(self) -> None:
        """End every slot and zygote; each slot's `on_exit` is called before."""
        self._closing = True
        for nursery in self._nurseries:
            nursery.leave()
        while self._pending:
            await asyncio.wait(self._pending)

    # --- control groups -----------------------------------------------------------

    def _seek_groups(self) -> None:
        if not self._sought:
            self._sought = True
            self._groups = cgroups.find()

    def _group(self, number: int, pid: int, memory: int) -> None:
        """Bound a slot as a whole, where that is possible: it is on top of the rest."""
        if self._groups is not None:
            try:
                self._groups.put(number, pid, memory, last=self._polite)
            except OSError as error:
                log.info("no control group for a slot: %s", error)

    def _hurry(self, number: int) -> None:
        if self._groups is not None:
            self._groups.hurry(number)

    # --- nurseries ----------------------------------------------------------------

    def _share(
        self, confinement: Confinement, interpreter: Interpreter | None
    ) -> Nursery:
        """Return the nursery that slots of a kind share, a new one if it has ended."""
        kind = (confinement, interpreter.path if interpreter else "")
        nursery = self._shared.get(kind)
        if nursery is None or not nursery.open:
            nursery = self._open(confinement, interpreter, 0)
            self._shared[kind] = nursery
        return nursery

    def _open(
        self, confinement: Confinement, interpreter: Interpreter | None, number: int
    ) -> Nursery:
        if self._closing:
            raise UnavailableError("no slot: the peer is shutting down")
        if not hasattr(os, "fork"):
            raise UnavailableError(
                f"this peer can't compute: slots need fork(), which {sys.platform} "
                "does not have; it can submit jobs that others compute"
            )
        spawn = partial(self._spawn, confinement, interpreter, number)
        nursery = Nursery(
            spawn,
            nice=self._nice,
            hurried=self._hurry,
            cleared=self._remove_folder,
            trusted=confinement is Confinement.OWN,
        )
        self._nurseries.add(nursery)
        nursery.gone.add_done_callback(lambda _: self._nurseries.discard(nursery))
        self._await(nursery.gone)
        return nursery

    def _spawn(
        self,
        confinement: Confinement,
        interpreter: Interpreter | None,
        number: int,
        control: int,
        complaints: int,
    ) -> subprocess.Popen[bytes]:
        """Start a zygote, inside bubblewrap if its sandbox is to be strong.

        Raises:
            OSError: It can't start.
        """
        shown, lent = _files_of(interpreter)
        if confinement is not Confinement.OWN:
            self._see_that_scratch_is_hidden(shown)
        root = os.getuid() == 0 and confinement is not Confinement.OWN
        user = user_of_slot(os.getpid(), number) if root else 0
        folder, before = self._folder(confinement), []
        if confinement is Confinement.STRONG:
            from p2pslinger.sandbox.confine import bubblewrap

            package = str(_ENTRY.parents[1])
            before = bubblewrap.command(package, root=root, shown=shown)
        polite = self._polite and confinement is not Confinement.OWN
        terms = Terms(control, os.getpid(), folder, confinement, user, polite)
        path = sys.executable if interpreter is None else interpreter.path
        python = (path, "-s", "-P", "-X", "utf8", str(_ENTRY))
        return subprocess.Popen(
            [*before, *python, *terms.arguments(), lent],
            env=environment(confinement),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            pass_fds=(control,),
            start_new_session=True,  # Ctrl-C is for the daemon, which then ends it
        )

    def _see_that_scratch_is_hidden(self, shown: Sequence[str]) -> None:
        """See that Python is not installed where the peer keeps its things.

        Raises:
            OSError: It is.
        """
        from p2pslinger.sandbox.confine.readable import SYSTEM, within

        folder = within(str(self._scratch.absolute()), [*shown, *SYSTEM])
        if folder:
            reason = f"tasks must read {folder}, and the peer's data is in it"
            raise OSError(errno.EACCES, f"{reason}: move the data folder")

    def _folder(self, confinement: Confinement) -> str:
        """Return the folder for the slots' folders, as their zygote sees it."""
        if confinement is Confinement.STRONG:
            return SCRATCH
        if confinement is Confinement.GOOD:
            return ""
        self._scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        return str(self._scratch.absolute())

    def _remove_folder(self, number: int) -> None:
        if self._groups is not None:
            self._groups.remove(number)
        folder = self._scratch / str(number)
        loop = asyncio.get_running_loop()
        self._await(loop.run_in_executor(None, shutil.rmtree, folder, True))

    def _await(self, future: asyncio.Future[None]) -> None:
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)


async def _single(
    nursery: Nursery,
    number: int,
    on_done: Callable[[Outcome], None],
    on_exit: Callable[[Exit], None],
    memory: int,
) -> SlotProcess:
    """Make a slot with a zygote of its own, which ends with it."""

    def ended(exit: Exit) -> None:
        nursery.leave()
        on_exit(exit)

    try:
        return await nursery.slot(number, on_done, ended, memory)
    except BaseException:
        nursery.leave()
        raise


def _files_of(interpreter: Interpreter | None) -> tuple[list[str], str]:
    """Return what an interpreter needs to read, and the package that it is lent."""
    if interpreter is None:
        from p2pslinger.sandbox.confine.readable import python

        return python(), ""
    import cloudpickle

    folder = str(Path(cloudpickle.__file__).absolute().parent)
    return [*interpreter.places, folder], folder
