"""What stands for a class or function that a stranger has named: its name."""

from __future__ import annotations

from p2pslinger.errors import UntrustedValueError
from p2pslinger.wire.visible import visible


class Symbol:
    """A class or function, not looked up.

    Attributes:
        module, name: As they were sent.
    """

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Inert:
    """What a call would have made that is not made.

    Attributes:
        what: What was called.
    """

    __slots__ = ("what",)

    def __init__(self, what: Symbol) -> None:
        self.what = what


class Draft(Inert):
    """What becomes something else once its state has come.

    Attributes:
        arguments: With what it was called.
        place: Where the memo has it, or -1.
    """

    __slots__ = ("arguments", "place")

    def __init__(self, what: Symbol, arguments: tuple[object, ...]) -> None:
        super().__init__(what)
        self.arguments = arguments
        self.place = -1


def refusal(what: str) -> UntrustedValueError:
    """Return the error for a value that holds what is not made here."""
    return UntrustedValueError(
        f"a result holds {visible(what[:200])}, and decoding it would run its maker's "
        "code here; return plain data, name it in types= if it is a dataclass or named "
        'tuple, or pass trust="pickle" if you trust all peers that compute'
    )
