"""Count the words of Python's own documentation strings with a Dask bag on the grid.

pip install "dask[bag]"
python examples/count_words.py --top 20
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from pathlib import Path

import dask.bag

import p2pslinger as slinger
from p2pslinger.compat.dask import scheduler

LIBRARY = Path(ast.__file__).parent

WORD = re.compile(r"[a-z]{4,}")


def words(source: str) -> list[str]:
    """Return the words of all docstrings in a piece of Python source."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            found += WORD.findall((ast.get_docstring(node) or "").lower())
    return found


def main() -> None:
    """Count, and print the most frequent words."""
    parser = argparse.ArgumentParser(description="Count words on a grid.")
    parser.add_argument("--top", type=int, default=10, help="words to show")
    top = parser.parse_args().top

    texts = [file.read_text(encoding="utf-8") for file in sorted(LIBRARY.glob("*.py"))]
    bag = dask.bag.from_sequence(texts, npartitions=16).map(words).flatten()
    counts = bag.frequencies(sort=True)
    with slinger.connect() as grid:
        frequent = counts.compute(scheduler=scheduler(grid))[:top]
    print(f"{len(texts)} files of Python {sys.version_info.major}")
    for word, count in frequent:
        print(f"{count:7,} {word}")


if __name__ == "__main__":
    main()
