"""A picture of an ablation: how far each arm is from the baseline, figure by figure.

A row is a figure, a mark an arm. The line through a mark is its 95 % interval; the zero line is the
baseline. Bits per byte only: left is better.
"""

from collections.abc import Sequence
from html import escape

from corpusmill.evaluation.comparison import GOLD, TEXT, Figure, by_key

LEFT, WIDTH, STEP, TOP = 230, 560, 9, 54
COLOURS = ("#1d4ed8", "#c2410c", "#15803d", "#7e22ce", "#b45309", "#0e7490", "#be123c", "#4d7c0f")


def picture(figures: Sequence[Figure]) -> str:
    """An SVG."""
    rows = [
        (key, [figure for figure in arms if figure.difference is not None])
        for key, arms in by_key(figures)
        if key.metric in (TEXT, GOLD)
    ]
    rows = [(key, arms) for key, arms in rows if arms]
    arms = list(dict.fromkeys(figure.arm for _, row in rows for figure in row))
    baseline = next((figure.arm for figure in figures if figure.difference is None), "")
    reach = max(
        (
            abs(one.difference.value) + (one.difference.half_width or 0)
            for _, row in rows
            for one in row
            if one.difference is not None
        ),
        default=1.0,
    )
    middle = LEFT + WIDTH / 2

    def across(value: float) -> float:
        return middle + value / (reach or 1.0) * (WIDTH / 2 - 10)

    parts = []
    y = TOP
    for key, row in rows:
        name = " / ".join(filter(None, (key.task, key.domain)))
        height = STEP * len(row) + 8
        parts.append(
            f'<text x="{LEFT - 8}" y="{y + height / 2:.1f}" text-anchor="end">{escape(name)}</text>'
        )
        for place, figure in enumerate(row):
            found = figure.difference
            assert found is not None
            colour = COLOURS[arms.index(figure.arm) % len(COLOURS)]
            here = y + 4 + STEP * place + STEP / 2
            half = found.half_width or 0.0
            parts.append(
                f'<line x1="{across(found.value - half):.1f}" x2="{across(found.value + half):.1f}"'
                f' y1="{here:.1f}" y2="{here:.1f}" stroke="{colour}" stroke-width="1.4"/>'
                f'<circle cx="{across(found.value):.1f}" cy="{here:.1f}" r="3" fill="{colour}">'
                f"<title>{escape(figure.arm)} {found.value:+.4f} ± {half:.4f}</title></circle>"
            )
        y += height
    legend = "".join(
        f'<circle cx="{LEFT + 110 * number}" cy="32" r="4" '
        f'fill="{COLOURS[number % len(COLOURS)]}"/>'
        f'<text x="{LEFT + 8 + 110 * number}" y="36">{escape(arm)}</text>'
        for number, arm in enumerate(arms)
    )
    ticks = "".join(
        f'<text x="{across(value):.1f}" y="{y + 14}" text-anchor="middle">{value:+.3f}</text>'
        for value in (-reach / 2, 0.0, reach / 2)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH} {y + 24}" '
        f'font-family="sans-serif" font-size="12">'
        f'<rect width="{LEFT + WIDTH}" height="{y + 24}" fill="white"/>'
        f'<text x="{LEFT}" y="16">Bits per byte less than {escape(baseline)} (left is better), '
        f"with 95 % intervals</text>{legend}"
        f'<line x1="{middle}" x2="{middle}" y1="{TOP - 6}" y2="{y}" stroke="#888"/>'
        f"{''.join(parts)}{ticks}</svg>\n"
    )
