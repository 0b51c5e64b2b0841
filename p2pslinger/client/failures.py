"""Failures of tasks as the exceptions that a program catches."""

from __future__ import annotations

from p2pslinger import limits
from p2pslinger.client.initializer import InitializerError
from p2pslinger.client.values import RemoteTraceback, Trust, rebuild_error
from p2pslinger.errors import TaskKilledError, TaskTimeoutError
from p2pslinger.wire.records import Failure
from p2pslinger.wire.visible import visible

#: What a slot calls the failure of an initializer.
_INITIALIZER = "p2pslinger.sandbox.prepared.InitializerFailedError"


def error_of(failure: Failure, trust: Trust) -> Exception:
    """Return what a failed task's future raises; its `__cause__` tells where it was."""
    where = f"task {failure.index} on {visible(failure.host)}"
    if failure.kind == "timeout":
        return TaskTimeoutError(f"{where}: {visible(failure.message)}")
    if failure.kind == "killed":
        tries = f"tried {limits.ATTEMPTS} times, the last time"
        return TaskKilledError(f"{where}, {tries}: {visible(failure.message)}")
    error = _rebuilt(failure, trust)
    text = failure.traceback
    if failure.arguments:
        text = f"{text.rstrip()}\n\n{where}, called with {failure.arguments}"
    error.__cause__ = RemoteTraceback(visible(text))
    return error


def _rebuilt(failure: Failure, trust: Trust) -> Exception:
    if failure.type == _INITIALIZER:  # ours, however far its sender is trusted
        return InitializerError(visible(failure.message))
    return rebuild_error(
        failure.type,
        failure.message,
        failure.traceback,
        pickled=failure.pickled,
        trust=trust,
    )
