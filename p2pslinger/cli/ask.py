"""Asking this machine's peer, through its control socket."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from p2pslinger import paths
from p2pslinger.client.link import Link
from p2pslinger.errors import IncompatibleError

#: Seconds that a peer may take to answer. It is on this machine; a busy one is late by
#: milliseconds.
PATIENCE = 10.0

Answer = TypeVar("Answer", bound=msgspec.Struct)


def open_link() -> Link:
    """Connect to this machine's peer.

    Raises:
        UnavailableError: none is running.
    """
    return Link.open(paths.control_path(paths.default_data_folder()), PATIENCE)


def ask(question: msgspec.Struct, answer: type[Answer]) -> Answer:
    """Put one question to this machine's peer.

    Raises:
        UnavailableError: none is running, or it does not answer.
        SlingerError: what the peer says is wrong with the question.
    """
    with open_link() as link:
        return put(link, question, answer)


def put(
    link: Link,
    question: msgspec.Struct,
    answer: type[Answer],
    timeout: float = PATIENCE,
) -> Answer:
    """Put a question over an open link."""
    found = link.request(question, timeout=timeout)
    if not isinstance(found, answer):
        raise IncompatibleError(
            f"this machine's peer answered {type(found).__name__}, not "
            f"{answer.__name__}: it is of another version, so start it again "
            "(`slinger down`, `slinger up`)"
        )
    return found
