"""The hello: both ends say theirs first, and may refuse the other's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from p2pslinger.errors import (
    ConnectionLostError,
    IncompatibleError,
    PeerError,
    UnavailableError,
)
from p2pslinger.net import connection as module
from p2pslinger.net.connection import Connection
from p2pslinger.wire.messages import Hello
from tests.net.pair import (
    HELLO,
    Ear,
    News,
    Question,
    join,
    raw_pair,
    talk,
    until,
)


def outcomes(
    make: Callable[[Ear, Ear], tuple[Connection, Connection]], left: Ear, right: Ear
) -> list[BaseException | None]:
    """Return what each end says about the other's hello."""

    async def main() -> list[BaseException | None]:
        ends = make(left, right)
        await join(*ends)
        found = await asyncio.gather(*(e.ready for e in ends), return_exceptions=True)
        for end in ends:
            end.close()
        await until(lambda: len(left.ends) == left.opened_times)
        await until(lambda: len(right.ends) == right.opened_times)
        return list(found)

    return asyncio.run(main())


def test_another_protocol_is_refused_by_both_and_both_say_who_must_update() -> None:
    newer = Hello(2, "0.3.0", "peer", 0.0)
    left, right = Ear(), Ear()

    here, there = outcomes(
        lambda a, b: (a.connection(), b.connection(newer)), left, right
    )

    assert isinstance(here, IncompatibleError)
    assert isinstance(there, IncompatibleError)
    assert str(here) == (
        "the other end runs p2pslinger 0.3.0 (protocol 2), this one 0.1.0 "
        "(protocol 1): update p2pslinger on this machine"
    )
    assert "update p2pslinger on that machine" in str(there)
    assert left.opened_times == right.opened_times == 0


def test_a_hello_can_be_refused_and_the_other_end_hears_why() -> None:
    def check(connection: Connection, hello: Hello) -> None:
        raise UnavailableError(f"a {hello.role} has no business here")

    left, right = Ear(), Ear()
    here, there = outcomes(
        lambda a, b: (a.connection(check=check), b.connection()), left, right
    )

    assert "no business" in str(here)
    assert left.opened_times == 0
    assert there is None or "no business" in str(there)
    assert all("no business" in str(why) for why in right.ends)


def test_an_end_that_never_says_hello_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HELLO_TIMEOUT", 0.01)
    ear = Ear()

    async def main() -> None:
        made, raw = await raw_pair(ear, hello=False)
        with pytest.raises(PeerError, match="did not say hello"):
            await made.ready
        raw.writer.close()

    asyncio.run(main())
    assert ear.opened_times == 0
    assert not ear.ends


def test_asking_before_the_hello_is_refused() -> None:
    async def main() -> None:
        made, raw = await raw_pair(Ear(), hello=False)
        with pytest.raises(ConnectionLostError, match="is not open"):
            await made.request(Question("?"))
        made.push(News("nobody hears this"))
        made.close()
        frames = await raw.heard()
        assert [frame.kind for frame in frames] == [0]
        raw.writer.close()

    asyncio.run(main())


def test_the_other_hello_is_known_when_the_service_hears_of_it() -> None:
    async def story(one: Connection, two: Connection) -> None:
        assert one.hello == HELLO
        assert one.peer is None

    talk(story, Ear(), Ear())
