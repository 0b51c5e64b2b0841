"""What a job's owner has decided, as programs and commands say it: also by ticket."""

from __future__ import annotations

from p2pslinger.errors import SlingerError
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Exchange, Handlers
from p2pslinger.peer.durable.deposits import Deposits
from p2pslinger.peer.owner import Owner
from p2pslinger.peer.programs.jobreports import JobReports
from p2pslinger.peer.programs.submitter import Submitter
from p2pslinger.wire.control import Attached, CancelJob, Done
from p2pslinger.wire.owning import ChangeJob, GetTicket, Ticket


class Decisions:
    """Sees that they are carried out.

    Args:
        owner: Owns the tasks that wait until they are.
        submitter: Has the throw-away jobs.
        deposits: Has the durable ones.
        reports: Says what is known of one.
    """

    def __init__(
        self,
        owner: Owner,
        submitter: Submitter,
        deposits: Deposits,
        reports: JobReports,
    ) -> None:
        self._owner = owner
        self._submitter = submitter
        self._owning = deposits.owning
        self._reports = reports

    def add_to(self, table: Handlers) -> None:
        """Take the messages that decide."""
        table.on(CancelJob, self._cancel)
        table.on(ChangeJob, self._change)
        table.on(GetTicket, self._give_ticket)
        table.on(Ticket, self._take_ticket)

    def _cancel(self, _: Connection, ask: CancelJob, exchange: Exchange) -> None:
        job = self._submitter.find(ask.job)
        if job is None:
            self._change(_, ChangeJob(ask.job, "cancel"), exchange)
        else:
            self._submitter.cancel(job, "the job was cancelled")
            exchange.reply(Done())

    def _change(self, _: Connection, ask: ChangeJob, exchange: Exchange) -> None:
        self._owner.spawn(self._change_and_say(ask, exchange))

    async def _change_and_say(self, ask: ChangeJob, exchange: Exchange) -> None:
        try:
            await self._owning.change_as_asked(ask)
            exchange.reply(Done())
        except SlingerError as error:
            exchange.fail(error)

    def _give_ticket(self, _: Connection, ask: GetTicket, exchange: Exchange) -> None:
        exchange.reply(self._owning.ticket(ask.job, owner=ask.owner))

    def _take_ticket(self, _: Connection, ticket: Ticket, exchange: Exchange) -> None:
        self._owner.spawn(self._use_ticket(ticket, exchange))

    async def _use_ticket(self, ticket: Ticket, exchange: Exchange) -> None:
        try:
            held = await self._owning.use_ticket(ticket)
            exchange.reply(Attached(self._reports.durable(held)))
        except SlingerError as error:
            exchange.fail(error)
