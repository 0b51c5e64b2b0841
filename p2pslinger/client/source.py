"""A function as source text: slots of any Python version can run it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """A function that travels as source text, and not as what one Python makes of it.

    Can be given wherever a function can: `grid.start(Source("job.py", "square"), xs)`.
    Called in this program, it does what slots do with it: the text runs as a module,
    and then the function.

    Attributes:
        text: Python source, or the path of a file: a `Path`, or a string like
            "folder/file.py".
        name: A function at its top level.
    """

    text: str | Path
    name: str

    def __call__(self, *args: object, **named: object) -> object:
        """Call the function here."""
        from p2pslinger.client.packing import read_source

        text, path = read_source(self.text)
        module: dict[str, object] = {"__name__": "slinger_source"}
        exec(compile(text, str(path or "<source>"), "exec"), module)
        function = module[self.name]
        assert callable(function)
        return function(*args, **named)
