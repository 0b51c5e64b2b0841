"""Questions that a program may ask, which change nothing."""

from __future__ import annotations

from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Exchange, Handlers
from p2pslinger.peer.programs.jobreports import JobReports
from p2pslinger.peer.reports import Reports
from p2pslinger.wire.control import (
    Checks,
    GetChecks,
    GetJobs,
    GetPeers,
    GetStatus,
    GetTally,
    GetWhy,
    Jobs,
    Peers,
    Status,
    Tally,
    Why,
)


class Questions:
    """Answers them.

    Args:
        reports: Answers those about this peer.
        jobs: Answers those about jobs.
    """

    def __init__(self, reports: Reports, jobs: JobReports) -> None:
        self._reports = reports
        self._jobs = jobs

    def add_to(self, table: Handlers) -> None:
        """Take the messages that ask."""
        reports, jobs = self._reports, self._jobs
        table.on(GetStatus, lambda _, __, x: x.reply(Status(reports.status())))
        table.on(GetPeers, lambda _, __, x: x.reply(Peers(reports.peers())))
        table.on(GetChecks, lambda _, __, x: x.reply(Checks(reports.checks())))
        table.on(GetJobs, lambda _, ask, x: x.reply(Jobs(jobs.jobs(ask.job))))
        table.on(GetTally, lambda _, ask, x: x.reply(Tally(jobs.tally(ask.job))))
        table.on(GetWhy, self._why)

    def _why(self, _: Connection, ask: GetWhy, exchange: Exchange) -> None:
        exchange.reply(Why(self._jobs.why(ask.job, ask.task)))
