"""A function as source text: slots of any Python version can run it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from p2pslinger.errors import PackingError


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
        text, path = read_source(self.text)
        module: dict[str, object] = {"__name__": "slinger_source"}
        exec(compile(text, str(path or "<source>"), "exec"), module)
        function = module[self.name]
        assert callable(function)
        return function(*args, **named)


def read_source(source: str | Path) -> tuple[str, Path | None]:
    """Return source text, and the file that it is from, if it is from one.

    Raises:
        PackingError: the file can't be read.
    """
    one_line = isinstance(source, str) and "\n" not in source
    if isinstance(source, str) and not (one_line and source.endswith(".py")):
        return source, None
    path = Path(source)
    try:
        return path.read_text(encoding="utf-8"), path
    except (OSError, UnicodeDecodeError) as error:
        raise PackingError(f"can't read the source file {path}: {error}") from error
