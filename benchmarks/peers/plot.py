"""The plot: docs/benchmarks.svg, written by hand; a panel for each figure.

Values of one figure differ a thousandfold, so they are dots on a logarithmic line; a
bar would have to begin somewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

from benchmarks.peers.contenders import CONTENDERS, HONEST
from benchmarks.peers.figures import FIGURES, Figure
from benchmarks.peers.outcomes import Outcome, middle, number

#: Panels beside each other, and the pixels of one; of its line, from where to where.
COLUMNS, WIDTH, LEFT, RIGHT = 2, 470, 150, 390

#: Pixels from one contender to the next, and of a panel's title.
STEP, TITLE = 17, 40

OURS, OTHERS, LINE = "#c2410c", "#475569", "#e2e8f0"

Outcomes = Mapping[str, Sequence[Outcome]]


def draw(outcomes: Outcomes) -> str:
    """Return the whole plot."""
    height = TITLE + STEP * len(outcomes) + 12
    rows = math.ceil(len(FIGURES) / COLUMNS)
    size = f'width="{COLUMNS * WIDTH}" height="{rows * height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for place, figure in enumerate(FIGURES):
        x, y = place % COLUMNS * WIDTH, place // COLUMNS * height
        parts.append(f'<g transform="translate({x} {y})">')
        parts += panel(figure, outcomes)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>\n"])


def panel(figure: Figure, outcomes: Outcomes) -> Iterator[str]:
    """Yield the elements of one figure's panel."""
    better = "more is better" if figure.more_is_better else "less is better"
    title = f"{figure.title}, {figure.unit} ({better})"
    yield f'<text x="10" y="24" font-weight="bold">{escape(title)}</text>'
    middles = {name: middle(runs, figure.key) for name, runs in outcomes.items()}
    known = [value for value in middles.values() if value]
    for place, (name, value) in enumerate(middles.items()):
        y = TITLE + STEP * place
        colour = OURS if name == HONEST else OTHERS
        text = escape(CONTENDERS[name].title)
        yield f'<text x="10" y="{y + 4}" fill="{colour}">{text}</text>'
        yield f'<path d="M{LEFT} {y}H{RIGHT}" stroke="{LINE}"/>'
        if not value:
            yield f'<text x="{RIGHT + 12}" y="{y + 4}" fill="{OTHERS}">–</text>'
            continue
        x = LEFT + (RIGHT - LEFT) * position(value, known)
        yield f'<circle cx="{x:.1f}" cy="{y}" r="5" fill="{colour}"/>'
        said = escape(number(value))
        yield f'<text x="{RIGHT + 12}" y="{y + 4}" fill="{colour}">{said}</text>'


def position(value: float, known: Sequence[float]) -> float:
    """Return where on a logarithmic line a value lies, from 0 to 1."""
    low, high = math.log(min(known)), math.log(max(known))
    return (math.log(value) - low) / (high - low) if high > low else 0.5
