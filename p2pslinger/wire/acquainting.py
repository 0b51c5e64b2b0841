"""Messages by which peers get to know each other: cards, addresses, authkeys."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from p2pslinger.wire.identity import Signed
from p2pslinger.wire.keyring import Holds
from p2pslinger.wire.records import Nonce


class GetCards(msgspec.Struct, frozen=True, array_like=True, tag=14):
    """Ask for cards of peers that can be dialled. Answered by `Cards`."""

    most: Annotated[int, Meta(ge=1, le=64)]


class Cards(msgspec.Struct, frozen=True, array_like=True, tag=15):
    """Signed cards of peers that the answerer is connected to."""

    cards: Annotated[tuple[Signed, ...], Meta(max_length=64)]


class DialBack(msgspec.Struct, frozen=True, array_like=True, tag=40):
    """Ask to be dialled where this comes from, and nowhere else, to see if that works.

    Answered by `DialledBack`, once it is clear, and by datagrams with the token.

    Attributes:
        port: Of ours, TCP and UDP.
        token: What the datagrams are to bring.
    """

    port: Annotated[int, Meta(ge=1, le=65535)]
    token: Nonce


class DialledBack(msgspec.Struct, frozen=True, array_like=True, tag=41):
    """What came of dialling somebody back.

    Attributes:
        host: The address that the question came from: how the answerer sees the asker.
        stream: The asker itself answered there.
        datagrams: Some were sent; the asker knows what has arrived.
    """

    host: Annotated[str, Meta(max_length=255)]
    stream: bool
    datagrams: bool


class NewCard(msgspec.Struct, frozen=True, array_like=True, tag=42):
    """Pushed: the sender's card has changed since its hello."""

    card: Signed


AcquaintingMessage = GetCards | Cards | DialBack | DialledBack | NewCard | Holds
