"""What comparing the results of a job has shown: for people, and for programs."""

from __future__ import annotations

import msgspec


class AgreementFacts(msgspec.Struct, frozen=True):
    """What comparing the results of a job has shown, in tasks.

    Attributes:
        replicate: By how many peers each task is to be computed: 0 for one, 1 for two
            where its first peer's record asks for it, else so many.
        checked: Those that several peers have computed.
        agreed: Those on which most of them agree.
        disagreed: Those on which some did not.
        irreproducible: Those on which there is no majority.
        unchecked: Those that have one result, and count all the same.
        judged: Whether the answers have been compared here. Who does not decide for
            the job knows how many there are, and not whether they agree.
    """

    replicate: int = 0
    checked: int = 0
    agreed: int = 0
    disagreed: int = 0
    irreproducible: int = 0
    unchecked: int = 0
    judged: bool = True
