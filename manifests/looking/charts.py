"""Positions of the parts of charts that stages leave as files; `templates/charts.html` draws them.

The report's own charts are in `report/drawing`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 180


@dataclass(frozen=True)
class Line:
    """first, last: the ends of the x scale. low, high: those of the y scale, as text."""

    points: list[tuple[float, float]]
    first: int
    last: int
    low: str
    high: str
    left: int = 50
    floor: int = HEIGHT - 22
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True)
class Group:
    """Points of one colour: (x, y, words), in SVG units."""

    name: str
    colour: str
    points: list[tuple[float, float, str]]


@dataclass(frozen=True)
class Scatter:
    """first, last: the ends of the x scale. low, high: those of the y scale, as text."""

    groups: list[Group]
    x_name: str
    y_name: str
    first: str
    last: str
    low: str
    high: str
    left: int = 60
    floor: int = 2 * HEIGHT - 40
    width: int = WIDTH
    height: int = 2 * HEIGHT


COLOURS = ("#2b6cb0", "#c05621", "#7b8794", "#6b46c1")  # for light and dark pages


def scatter(
    groups: Mapping[str, Sequence[tuple[float, float, str]]],
    x_name: str,
    y_name: str,
    logarithmic: bool = False,
) -> Scatter:
    """Points (x, y, words) in named groups, one colour each. There is at least one point.

    logarithmic: the scale of y, whose values are then above 0.
    """

    def height(y: float) -> float:
        return math.log(y) if logarithmic else y

    every = [point for points in groups.values() for point in points]
    xs, ys = sorted(point[0] for point in every), sorted(point[1] for point in every)
    span_x, span_y = (xs[-1] - xs[0]) or 1.0, (height(ys[-1]) - height(ys[0])) or 1.0
    left, floor = Scatter.left, Scatter.floor
    placed = [
        Group(
            name,
            COLOURS[number % len(COLOURS)],
            [
                (
                    left + 8 + (WIDTH - left - 28) * (x - xs[0]) / span_x,
                    30 + (floor - 40) * (height(ys[-1]) - height(y)) / span_y,
                    words,
                )
                for x, y, words in points
            ],
        )
        for number, (name, points) in enumerate(groups.items())
    ]
    first, last, low, high = (f"{end:,.3g}" for end in (xs[0], xs[-1], ys[0], ys[-1]))
    return Scatter(placed, x_name, y_name, first, last, low, high)


def line_chart(points: Sequence[tuple[int, float]]) -> Line | None:
    """One line through (x, y) points; None if there are none."""
    finite = [(x, y) for x, y in points if math.isfinite(y)]
    if not finite:
        return None
    first, last = points[0][0], points[-1][0]
    low, high = min(y for _, y in finite), max(y for _, y in finite)
    span_x, span_y = (last - first) or 1, (high - low) or 1.0
    left, floor = Line.left, Line.floor
    placed = [
        (
            left + (WIDTH - left - 10) * (x - first) / span_x,
            10 + (floor - 10) * (high - y) / span_y,
        )
        for x, y in finite
    ]
    return Line(placed, first, last, _short(low), _short(high))


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
