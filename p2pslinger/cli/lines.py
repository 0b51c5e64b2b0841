"""A job's results as lines: line n is task n, whatever came of it.

Values are printed as JSON. What JSON can't say is printed as the text of its `repr`,
and null stands where there is no value; the summary at the end says how often.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from p2pslinger.cli.words import counted, printable
from p2pslinger.client.values import RemoteTraceback

#: Where lines go.
Write = Callable[[str], None]


@dataclass(slots=True)
class Summary:
    """What the lines could not say.

    Attributes:
        failed: The first of the tasks that failed, and how.
        failures: How many did.
        missing: Tasks without a result.
        untold: Values that JSON can't say.
        ended: Why no more results will come, if that is so.
    """

    failed: str = ""
    failures: int = 0
    missing: int = 0
    untold: int = 0
    ended: str = ""

    @property
    def complete(self) -> bool:
        """Whether every task has a value."""
        return not self.failures and not self.missing

    def sentences(self, *, told: bool = False) -> list[str]:
        """Return what to tell whoever reads the lines, and was `told` of failures."""
        said = []
        if self.untold:
            said.append(
                f"{counted(self.untold, 'value')} can't be said in JSON and printed as "
                "text: use --pickle FILE for the values themselves"
            )
        if self.failures and not told:
            said.append(
                f"{counted(self.failures, 'task')} failed, the first: {self.failed}; "
                "see --errors"
            )
        if self.missing:
            why = f": {self.ended}" if self.ended else " yet"
            said.append(f"{counted(self.missing, 'task')} without a result{why}")
        return said


@dataclass(slots=True)
class Lines:
    """Writes results.

    Attributes:
        write: Takes each line.
        only_errors: Write what failed, and how, and nothing else.
        as_json: Write objects that name their task.
        summary: What the lines did not say.
    """

    write: Write
    only_errors: bool = False
    as_json: bool = False
    summary: Summary = field(default_factory=Summary)

    def take(self, task: int, result: object) -> None:
        """Write the result of a task; an exception is how it failed."""
        if isinstance(result, Exception):
            self._take_error(task, result)
        elif not self.only_errors:
            said = self._say(result)
            self.write(f'{{"task": {task}, "value": {said}}}' if self.as_json else said)

    def lack(self) -> None:
        """Write that a task has no result yet."""
        self.summary.missing += 1
        if not (self.only_errors or self.as_json):
            self.write("null")

    def _take_error(self, task: int, error: Exception) -> None:
        text = printable(f"{type(error).__name__}: {error}", lines=True)
        if not self.summary.failures:
            self.summary.failed = f"task {task}, {text.partition(chr(10))[0]}"
        self.summary.failures += 1
        cause = error.__cause__
        trace = cause.text if isinstance(cause, RemoteTraceback) else ""
        if self.as_json:
            told = {"task": task, "error": text, "traceback": trace}
            self.write(json.dumps(told))
        elif self.only_errors:
            self.write(f"task {task}: {text}")
            for line in trace.rstrip().splitlines():
                self.write(f"    {line}".rstrip())
        else:
            self.write("null")

    def _say(self, value: object) -> str:
        try:
            return json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            self.summary.untold += 1
            return json.dumps(repr(value))
