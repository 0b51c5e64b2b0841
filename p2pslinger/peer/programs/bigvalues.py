"""Results that are too big for a message: programs ask for them, or decline them."""

from __future__ import annotations

from collections.abc import Callable

from p2pslinger.errors import SlingerError
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Exchange, Handlers
from p2pslinger.peer.owner import Owner
from p2pslinger.peer.programs.handover import given
from p2pslinger.peer.programs.submissions import Submission
from p2pslinger.wire.control import Blob, Done, GetValues


class BigValues:
    """Gives programs the values that they ask for.

    Args:
        owner: Owns the tasks that send them.
        job: Finds a program's job by its handle.
    """

    def __init__(
        self, owner: Owner, job: Callable[[Connection, int], Submission]
    ) -> None:
        self._owner = owner
        self._job = job

    def add_to(self, table: Handlers) -> None:
        """Take the message that asks."""
        table.on(GetValues, self._values)

    def _values(
        self, connection: Connection, ask: GetValues, exchange: Exchange
    ) -> None:
        job = self._job(connection, ask.handle)
        if ask.wanted:
            self._owner.spawn(self._send(connection, job, ask, exchange))
        else:
            job.disclaim(ask.digest)
            exchange.reply(Done())

    async def _send(
        self,
        connection: Connection,
        job: Submission,
        ask: GetValues,
        exchange: Exchange,
    ) -> None:
        try:
            data = await job.values(ask.digest)
            memory = await given(connection, data) if ask.memory else 0
            exchange.reply(Blob(len(data), memory), None if memory else data)
        except SlingerError as error:
            exchange.fail(error)
