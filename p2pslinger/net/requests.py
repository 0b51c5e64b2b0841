"""What peers ask each other in the directory: the shapes of requests and answers."""

from __future__ import annotations

from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta

from p2pslinger.net.calls import Shape
from p2pslinger.net.dhtstore import KEY_RECORDS
from p2pslinger.net.lookup import K
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.records import Id

_Host = Annotated[str, Meta(max_length=45)]


_Port = Annotated[int, Meta(ge=1, le=65535)]


_Nodes = Annotated[list[tuple[Id, _Host, _Port]], Meta(max_length=K)]


_First = Annotated[int, Meta(ge=0, le=KEY_RECORDS)]


def _shape(arguments: object, answer: object) -> Shape:
    decoder = msgspec.msgpack.Decoder
    return Shape(decoder(cast("Any", arguments)), decoder(cast("Any", answer)))


#: Each is answered by a method `rpc_<name>` of `p2pslinger.net.directory`.
SHAPES = {
    "ping": _shape(tuple[Id], Id),
    "store": _shape(tuple[Id, Id, Signed], bool),
    "find_node": _shape(tuple[Id, Id], _Nodes),
    "find_value": _shape(tuple[Id, Id, _First], tuple[int, list[Signed], _Nodes]),
}
