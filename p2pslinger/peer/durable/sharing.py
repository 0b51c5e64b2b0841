"""What a job's keepers tell each other of their grants, so that none is made twice.

Changes go out within 200 ms, and a sign of life every 2 s while there is work. A
keeper that is not heard of for 5 s is *silent*: the others hand out its part, and after
a while longer, in which its volunteers can turn to them, what it had granted as well. A
keeper with idle slots and no tasks of its own asks the others for some (`helping`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from p2pslinger.errors import PeerError
from p2pslinger.ids import PeerId
from p2pslinger.peer.durable.fellows import Fellow, Fellows
from p2pslinger.peer.durable.helping import Helping
from p2pslinger.peer.durable.job import DurableJob
from p2pslinger.rules.division import foreign
from p2pslinger.rules.keeping import Places
from p2pslinger.wire.keeping import SharedGrant, ShareGrants

#: Seconds within which others hear of a grant.
SHARE = 0.2

#: Seconds between two looks at the board, while there is work.
LOOK = 1.0

#: Seconds between two signs of life: two may be late before a keeper counts as silent.
ALIVE = 2.0

#: Seconds between two messages that tell of all live grants: what others believe beyond
#: that is over.
WHOLE = 30.0

#: Seconds after which others hear that a grant is over. Its results travel by another
#: way, over their disks: heard later, its tasks would look open, and be granted twice.
LATER = 1.0

#: Seconds without one after which a keeper's part is handed out by others.
SILENT = 5.0

#: Seconds without one after which what it has granted is granted again, and the same
#: after it has said that it goes: its volunteers see it go, and turn to others at once.
GONE, LEFT = 10.0, 2.0

#: Grants in one message, and those that a keeper may have of one job: each is a slot.
AT_ONCE, MOST = 4096, 65_536


class Sharing:
    """One job's grants, between its keepers.

    Args:
        job: The job here.
        me: This peer.
        fellows: The others.
        places: Gives who hold the job's places.
    """

    def __init__(
        self,
        job: DurableJob,
        me: PeerId,
        fellows: Fellows,
        places: Callable[[], Places],
    ) -> None:
        self._job = job
        self._me = me
        self._fellows = fellows
        self._places = places
        self._loop = asyncio.get_running_loop()
        self._shared: set[int] = set()  # numbers that others know of
        self._told_of: set[PeerId] = set()  # who has heard of them
        self._ended: dict[int, float] = {}  # those that are over, since when
        self._heard: dict[PeerId, float] = {}
        self._silent: frozenset[PeerId] = frozenset()
        self._dropped: set[PeerId] = set()
        self._left: dict[PeerId, float] = {}  # who has said so, and when
        self._told = 0.0
        self._still = 0  # tasks of ours that stand still, as others have heard
        self._whole = 0.0
        self._began = 0.0
        self._helping = Helping(job, me, places)
        self._between: tuple[object, ...] = ()  # whom the tasks are divided between
        self._divided = 0  # shards of which they are
        self._timer: asyncio.TimerHandle | None = None
        self._looking = False

    # --- what others say ----------------------------------------------------------

    def heard(self, peer: PeerId, message: ShareGrants) -> None:
        """Take in another keeper's grants."""
        self._alive(peer)
        if message.leaves:
            self._left[peer] = self._loop.time()
        if message.leaves or peer in self._silent:
            self._judge(self._loop.time())
        board = self._job.kept.board
        if message.whole:
            board.shared(peer, (), board.shared_by(peer))
        if len(board.shared_by(peer)) > MOST:
            raise PeerError(f"shares more than {MOST} grants of one job")
        made = ((one.number, (one.start, one.stop)) for one in message.made)
        board.shared(peer, made, message.ended)
        board.stands_still(peer, message.still)
        self._helping.given(message.given)
        self._job.means.keeper.settle(self._job.kept)
        if message.idle:
            self._give(peer, message.idle)

    def _give(self, peer: PeerId, idle: int) -> None:
        """Leave some of our tasks to a keeper that has nothing to do."""
        fellow = self._fellows.all.get(peer)
        if fellow is None or fellow.connection is None or self._job.end:
            return
        given = self._helping.give(idle)
        if given:
            job, still = self._job.id, self._job.kept.board.suspended
            message = ShareGrants(job, False, (), (), given=tuple(given), still=still)
            fellow.connection.push(message)

    def came(self, fellow: Fellow) -> None:
        """A connection to another keeper has opened: tell it everything."""
        self._alive(fellow.peer)
        live = self._live()
        self._shared.update(live)
        self._push([fellow], whole=True, made=live.values(), ended=())
        self.go_on()

    def _alive(self, peer: PeerId) -> None:
        self._heard[peer] = self._loop.time()
        self._dropped.discard(peer)
        self._left.pop(peer, None)

    # --- what we say --------------------------------------------------------------

    def go_on(self) -> None:
        """Look at the board soon, and from now on for as long as there is work."""
        if self._job.end or len(self._places().keepers) < 2:
            return
        if self._looking:
            return  # it looks again anyway
        if self._timer is None:
            self._began = self._loop.time()
        elif self._timer.when() <= self._loop.time() + SHARE:
            return
        else:
            self._timer.cancel()
        self._timer = self._loop.call_later(SHARE, self._look)

    def leave(self) -> None:
        """Say what others will have to go on with, now that this peer goes."""
        if self._job.end or len(self._places().keepers) < 2:
            return
        live = self._live()
        lasting = {n: one for n, one in live.items() if one.volunteer != self._me}
        made = [one for number, one in lasting.items() if number not in self._shared]
        ended = [number for number in self._shared if number not in lasting]
        there = self._fellows.there()
        self._push(there, whole=False, made=made, ended=ended, leaves=True)

    def close(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def divide(self) -> None:
        """Say anew which tasks are ours to hand out."""
        keepers, board = self._places().keepers, self._job.kept.board
        shards = self._job.shards
        between = (keepers, self._silent)
        if between != self._between:
            self._tell_made(keepers)  # before others begin with what was ours so far
            board.divide(foreign(shards, keepers, self._me, self._silent))
        elif len(shards) > self._divided:
            new = shards[self._divided :]
            board.divide(foreign(new, keepers, self._me, self._silent), more=True)
        else:
            return
        self._between, self._divided = between, len(shards)
        self._job.means.keeper.settle(self._job.kept)
        self.go_on()

    def _look(self) -> None:
        self._timer = None
        self._looking = True
        try:
            self._look_once()
        finally:
            self._looking = False
        board = self._job.kept.board
        going_on = not self._job.end and board.done.count < board.total
        if going_on and self._timer is None:  # else what we did here has asked for it
            self._timer = self._loop.call_later(LOOK, self._look)

    def _look_once(self) -> None:
        now = self._loop.time()
        idle = self._helping.look(now)
        live = self._live()
        made = [one for number, one in live.items() if number not in self._shared]
        for number in self._shared:
            if number not in live:
                self._ended.setdefault(number, now)
        ended = [number for number, when in self._ended.items() if now - when >= LATER]
        if now - self._whole >= WHOLE:
            self._whole = now
            self._push(self._fellows.there(), whole=True, made=live.values(), ended=())
        elif (
            made
            or ended
            or idle
            or self._still != self._job.kept.board.suspended
            or now - self._told >= ALIVE
        ):
            there = self._fellows.there()
            self._push(there, whole=False, made=made, ended=ended, idle=idle)
            self._shared.update(live)
            self._shared.difference_update(ended)
            for number in ended:
                del self._ended[number]
        self._judge(now)

    def _tell_made(self, keepers: Iterable[PeerId]) -> None:
        """Tell the others at once of grants that they have not heard of."""
        live, there = self._live(), self._fellows.there()
        made = [one for number, one in live.items() if number not in self._shared]
        known = self._told_of & set(keepers)
        new = [one for one in there if one.peer not in known]
        if live and new:
            self._push(new, whole=False, made=live.values(), ended=())
        if made:
            old = [one for one in there if one.peer in known]
            self._push(old, whole=False, made=made, ended=())
        self._shared.update(live)
        self._told_of = {*known, *(one.peer for one in new)}

    def _judge(self, now: float) -> None:
        """Find out who is silent, and which grants nobody stands for any more."""
        others = [one for one in self._places().keepers if one != self._me]
        for peer in others:
            self._heard.setdefault(peer, now)
        # While nobody had anything to say, silence meant nothing. Who has no place any
        # more says nothing either, and may have granted something while it had one.
        since = {peer: now - max(at, self._began) for peer, at in self._heard.items()}
        gone = {peer for peer, when in self._left.items() if now - when > LEFT}
        gone.update(peer for peer, seconds in since.items() if seconds > GONE)
        silent = frozenset(
            peer for peer in others if since[peer] > SILENT or peer in self._left
        )
        for peer in sorted(gone - self._dropped):
            self._dropped.add(peer)
            board = self._job.kept.board
            board.shared(peer, (), board.shared_by(peer))
        if silent != self._silent:
            self._silent = silent
            self.divide()

    def _live(self) -> dict[int, SharedGrant]:
        return {
            held.number: SharedGrant(held.number, held.volunteer, held.start, held.stop)
            for held in self._job.kept.board.live()
        }

    def _push(
        self,
        fellows: Iterable[Fellow],
        *,
        whole: bool,
        made: Iterable[SharedGrant],
        ended: Iterable[int],
        idle: int = 0,
        leaves: bool = False,
    ) -> None:
        self._told, self._still = self._loop.time(), self._job.kept.board.suspended
        made, ended = tuple(made), tuple(ended)
        for i in range(0, max(len(made), len(ended), 1), AT_ONCE):
            part = slice(i, i + AT_ONCE)
            job = self._job.id
            first = i == 0
            message = ShareGrants(
                job,
                whole and first,
                made[part],
                ended[part],
                idle if first else 0,
                leaves=leaves,
                still=self._still,
            )
            for fellow in fellows:
                if fellow.connection is not None:
                    fellow.connection.push(message)
