"""Every error p2pslinger raises on purpose.

An error's branch says whose fault it is, and so what to do about it:

- `UsageError`: the caller asked for something impossible. Never retried.
- `PeerError`: a peer sent what no honest peer sends. Costs it the connection.
- `UnavailableError`: the world failed us. Worth trying again, elsewhere or later.
- `TaskError`: the grid did its part; the function it ran did not.

A message says what, with whom, and what to do now. Nothing below the command line
catches `SlingerError` itself: catching a branch is a decision, catching the root is a
shrug.
"""

from __future__ import annotations


class SlingerError(Exception):
    """Root of every error p2pslinger raises on purpose."""


# --- the caller's fault -----------------------------------------------------------


class UsageError(SlingerError):
    """The caller asked for something that cannot work."""


class AuthkeyError(UsageError):
    """The authkey is missing, mistyped or too weak."""


class PackingError(UsageError):
    """A function or an argument can't be sent to another process."""


class TooLargeError(UsageError):
    """A value is larger than the grid carries."""


class UntrustedValueError(UsageError):
    """A result would have to be unpickled, and its maker is not trusted that far."""


# --- a peer's fault ---------------------------------------------------------------


class PeerError(SlingerError):
    """A peer broke the protocol; the text finishes the sentence "the peer ..."."""


class BadSignatureError(PeerError):
    """A record does not carry the signature that it must."""


# --- the world's fault ------------------------------------------------------------


class UnavailableError(SlingerError):
    """Nobody could serve this now; another peer or another minute might."""


class ConnectionLostError(UnavailableError):
    """The other end went away before it answered."""


class IncompatibleError(UnavailableError):
    """The other end speaks another version; the text says who must update."""


class WrongGridError(UnavailableError):
    """The other end does not hold this grid's authkey."""


class DiskError(UnavailableError):
    """A file of this peer can't be read or written; the text names it."""


# --- the task's fault -------------------------------------------------------------


class TaskError(SlingerError):
    """The task itself failed. The remote traceback is the `__cause__`."""


class RemoteError(TaskError):
    """An exception that could not be rebuilt here.

    Attributes:
        type: Name of the exception's class on the other machine.
        message: Its text there.
    """

    def __init__(self, type: str, message: str) -> None:
        super().__init__(type, message)  # all of them, or it cannot be pickled
        self.type = type
        self.message = message

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


class TaskTimeoutError(TaskError, TimeoutError):
    """A task ran longer than the `timeout=` of its job."""


class TaskKilledError(TaskError):
    """A task's process died under it, as often as the grid was willing to try."""
