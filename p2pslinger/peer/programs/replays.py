"""Handing out tasks that a program wants to compute once more."""

from __future__ import annotations

from p2pslinger.errors import SlingerError, UsageError
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Exchange, Handlers
from p2pslinger.peer.durable.deposit import Deposit
from p2pslinger.peer.durable.deposits import Deposits
from p2pslinger.peer.durable.held import Held
from p2pslinger.peer.durable.replaying import fetched, packed_task
from p2pslinger.peer.owner import Owner
from p2pslinger.peer.programs.submitter import Submitter
from p2pslinger.wire.replay import GetTask


class Replays:
    """Answers programs that ask for a task.

    Args:
        owner: Owns the tasks that fetch what is large.
        submitter: Has the throw-away jobs.
        deposits: Has the durable ones.
    """

    def __init__(self, owner: Owner, submitter: Submitter, deposits: Deposits) -> None:
        self._owner = owner
        self._submitter = submitter
        self._deposits = deposits

    def add_to(self, table: Handlers) -> None:
        """Take the message that asks for one."""
        table.on(GetTask, self._give)

    def _give(self, _: Connection, ask: GetTask, exchange: Exchange) -> None:
        held = self._deposits.find(ask.job)
        if held is not None:
            self._owner.spawn(self._send(held, ask.index, exchange))
        elif self._submitter.find(ask.job) is not None:
            raise UsageError(
                "the arguments of a throw-away job are not kept: only tasks of a "
                "started job (`grid.start`, `slinger submit`) can be replayed"
            )
        else:
            raise UsageError(
                f"this machine knows no job {ask.job!r}: `slinger jobs` lists them"
            )

    async def _send(self, held: Held, index: int, exchange: Exchange) -> None:
        try:
            task, large = packed_task(held.job, index)
            fetch = Deposit(held, self._deposits, writer=False).values
            body = await fetched(index, large, fetch)
            exchange.reply(task, body or None)
        except SlingerError as error:
            exchange.fail(error)
