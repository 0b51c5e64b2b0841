"""Exceptions of tasks, rebuilt without running what their makers have sent.

Those of a fixed list of Python's own come back as themselves, with plain data as their
arguments. All others, and those that can't be told, are `RemoteError`s with the same
name and text.
"""

from __future__ import annotations

import builtins

from p2pslinger.client.making import Making
from p2pslinger.client.named import Named
from p2pslinger.client.reading import BROKEN, read
from p2pslinger.client.symbols import Inert, Symbol
from p2pslinger.errors import PeerError, RemoteError, UntrustedValueError
from p2pslinger.wire.visible import visible

#: Exceptions that come back as themselves. None that ends a program or a generator.
KNOWN = frozenset(
    {
        "ArithmeticError", "AssertionError", "AttributeError", "BlockingIOError",
        "BrokenPipeError", "BufferError", "ChildProcessError", "ConnectionAbortedError",
        "ConnectionError", "ConnectionRefusedError", "ConnectionResetError",
        "EOFError", "Exception", "FileExistsError", "FileNotFoundError",
        "FloatingPointError", "ImportError", "IndexError", "InterruptedError",
        "IsADirectoryError", "KeyError", "LookupError", "MemoryError",
        "ModuleNotFoundError", "NameError", "NotADirectoryError",
        "NotImplementedError", "OSError", "OverflowError", "PermissionError",
        "ProcessLookupError", "RecursionError", "ReferenceError", "RuntimeError",
        "SyntaxError", "TimeoutError", "TypeError", "UnboundLocalError",
        "UnicodeDecodeError", "UnicodeEncodeError", "UnicodeError", "ValueError",
        "ZeroDivisionError",
    }
)  # fmt: skip

#: Notes of an exception that are kept, and characters of each.
_NOTES, _NOTE = 16, 1000


def rebuilt(type_name: str, message: str, pickled: bytes) -> Exception:
    """Rebuild an exception that nobody vouches for."""
    error: object = None
    if pickled and type_name in KNOWN:
        try:
            error = read(pickled, _Raising(), ())
        except (PeerError, UntrustedValueError):
            error = None
    if isinstance(error, Exception) and type(error).__name__ == type_name:
        return error
    if type_name in KNOWN:
        return _made(type_name, (visible(message),)) or _unknown(type_name, message)
    return _unknown(type_name, message)


def _unknown(type_name: str, message: str) -> RemoteError:
    return RemoteError(visible(type_name), visible(message))


def _made(name: str, arguments: tuple[object, ...]) -> Exception | None:
    try:
        made = getattr(builtins, name)(*arguments)
    except BROKEN:
        return None  # it takes others, as those of Unicode do
    return made if isinstance(made, Exception) else None


class _Raising(Making):
    """Makes exceptions, and what is in them."""

    def __init__(self) -> None:
        super().__init__(Named())

    def call(self, symbol: Symbol, arguments: tuple[object, ...]) -> object:
        """Return an exception, or what `Making` makes."""
        if symbol.module != "builtins" or symbol.name not in KNOWN:
            return super().call(symbol, arguments)
        shown = (visible(one) if type(one) is str else one for one in arguments)
        return _made(symbol.name, tuple(shown)) or Inert(symbol)

    def build(self, made: object, state: object) -> object:
        """Give an exception its notes; what else was put on it is left out."""
        if not isinstance(made, Exception):
            return super().build(made, state)
        notes = state.get("__notes__") if isinstance(state, dict) else None
        if isinstance(notes, list):
            for note in notes[:_NOTES]:
                if type(note) is str:
                    made.add_note(visible(note[:_NOTE]))
        return made
