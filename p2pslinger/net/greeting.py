"""The first words: where the other end is, and whether both speak one version."""

from __future__ import annotations

from p2pslinger.errors import IncompatibleError
from p2pslinger.wire.messages import Hello

#: Seconds that the other end gets to say hello.
HELLO_TIMEOUT = 10.0


def where(address: object) -> str:
    """Return a socket's address as a message shows it; nothing for a Unix socket."""
    if not isinstance(address, tuple) or len(address) < 2:
        return ""
    host, port = str(address[0]), address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def incompatible(theirs: Hello, mine: Hello, other: str) -> IncompatibleError:
    """Say who must update: whoever speaks the older protocol."""
    here = theirs.protocol > mine.protocol
    return IncompatibleError(
        f"{other} runs p2pslinger {theirs.software} (protocol {theirs.protocol}), "
        f"this one {mine.software} (protocol {mine.protocol}): "
        f"update p2pslinger on {'this' if here else 'that'} machine"
    )
