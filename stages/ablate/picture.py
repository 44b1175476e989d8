"""A picture of an ablation: how far each arm is from the baseline, figure by figure.

A row is a figure, a mark an arm. The line through a mark is its 95 % interval; the zero line is the
baseline. Bits per byte only: left is better.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from corpusmill.evaluation.comparison import GOLD, MEAN, TEXT, Figure, by_key

LEFT, RIGHT, WIDTH = 150, 12, 760
STEP, GAP, TOP = 9, 10, 58
LETTER = 7  # pixels of a letter, about
COLOURS = ("#1d4ed8", "#c2410c", "#15803d", "#7e22ce", "#0e7490", "#be123c", "#4d7c0f", "#57534e")


def picture_of(figures: Iterable[Mapping[str, Any]]) -> str:
    """The picture of figures as `comparison.json` has them."""
    return picture([Figure.of_json(figure) for figure in figures])


def picture(figures: Sequence[Figure]) -> str:
    """An SVG. Every name in it is escaped."""
    found = [
        (key, compared)
        for key, arms_of_key in by_key(figures)
        if key.metric in (TEXT, GOLD)
        and (compared := [one for one in arms_of_key if one.difference is not None])
    ]
    # First what says most, then texts, then tasks.
    found.sort(key=lambda row: (row[0].task != MEAN, row[0].metric != TEXT))
    rows = [(" / ".join(filter(None, (key.task, key.domain))), row) for key, row in found]
    arms = list(dict.fromkeys(figure.arm for _, row in rows for figure in row))
    colours = {arm: COLOURS[place % len(COLOURS)] for place, arm in enumerate(arms)}
    scale = _Scale([figure for _, row in rows for figure in row])
    parts, y = [], float(TOP)
    for place, (name, row) in enumerate(rows):
        height = STEP * len(row) + GAP
        if place % 2:
            parts.append(f'<rect x="0" y="{y}" width="{WIDTH}" height="{height}" fill="#f5f5f4"/>')
        parts.append(
            f'<text x="{LEFT - 8}" y="{y + height / 2 + 4}" text-anchor="end">{escape(name)}</text>'
        )
        parts += [
            _mark(figure, colours[figure.arm], scale, y + GAP / 2 + STEP * (number + 0.5))
            for number, figure in enumerate(row)
        ]
        y += height
    zero = scale.across(0)
    ticks = "".join(
        f'<text x="{scale.across(value):.1f}" y="{y + 16}" text-anchor="middle">'
        f"{value and format(value, '+.2g')}</text>"
        for value in (-scale.tick, 0.0, scale.tick)
    )
    baseline = next((figure.arm for figure in figures if figure.difference is None), "")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 26}" '
        # The report's page would write in its theme's colour, and the ground stays white.
        f'font-family="sans-serif" font-size="12" style="--soft:#44403c">'
        f'<rect width="{WIDTH}" height="{y + 26}" fill="white"/>'
        f'<text x="10" y="18">Bits per byte more or less than {escape(baseline)}, with 95 % '
        f"intervals. Left is better.</text>{_legend(colours)}{''.join(parts)}"
        f'<line x1="{zero:.1f}" x2="{zero:.1f}" y1="{TOP}" y2="{y}" stroke="#78716c"/>'
        f"{ticks}</svg>\n"
    )


class _Scale:
    """From differences to places. tick: a round number that lies well within."""

    def __init__(self, figures: Sequence[Figure]) -> None:
        ends = [
            abs(one.difference.value) + (one.difference.half_width or 0.0)
            for one in figures
            if one.difference is not None
        ]
        self.reach = max(ends, default=0.0) or 1.0
        power = 10.0 ** math.floor(math.log10(self.reach))
        self.tick = max(size * power for size in (0.5, 1, 2, 5) if size * power <= self.reach * 0.9)

    def across(self, value: float) -> float:
        half = (WIDTH - LEFT - RIGHT) / 2
        return LEFT + half + value / self.reach * half


def _mark(figure: Figure, colour: str, scale: _Scale, y: float) -> str:
    found = figure.difference
    assert found is not None
    half = found.half_width or 0.0
    left, right = scale.across(found.value - half), scale.across(found.value + half)
    return (
        f'<line x1="{left:.1f}" x2="{right:.1f}" y1="{y}" y2="{y}" stroke="{colour}" '
        f'stroke-width="1.4"/><circle cx="{scale.across(found.value):.1f}" cy="{y}" r="3" '
        f'fill="{colour}"><title>{escape(figure.arm)} {found.value:+.4f} ± {half:.4f}</title>'
        f"</circle>"
    )


def _legend(colours: dict[str, str]) -> str:
    parts, x = [], 16
    for arm, colour in colours.items():
        parts.append(
            f'<circle cx="{x}" cy="36" r="4" fill="{colour}"/>'
            f'<text x="{x + 8}" y="40">{escape(arm)}</text>'
        )
        x += 8 + LETTER * len(arm) + 22
    return "".join(parts)
