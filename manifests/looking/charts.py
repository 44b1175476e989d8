"""Positions of the parts of small charts. `templates/charts.html` draws them as SVG."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 180
BINS = 30
HISTOGRAM_WIDTH, HISTOGRAM_HEIGHT, HISTOGRAM_FLOOR = 300, 100, 110


@dataclass(frozen=True)
class Bar:
    """y and widths in SVG units; kept: the number written beside the bar."""

    name: str
    y: int
    kept: int
    kept_width: float
    dropped_width: float


@dataclass(frozen=True)
class Bars:
    """left: x at which the bars begin."""

    bars: list[Bar]
    left: int
    width: int
    height: int


@dataclass(frozen=True)
class Box:
    """colour: `main` or `drop`, a variable of the page's style."""

    x: float
    y: float
    width: float
    height: float
    colour: str


@dataclass(frozen=True)
class Histogram:
    """marks: x of the dashed lines. low, high: the ends of the scale, as text."""

    boxes: list[Box]
    marks: list[float]
    low: str
    high: str
    floor: int = HISTOGRAM_FLOOR


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


COLOURS = ("main", "drop", "soft", "ink")


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
    first, last, low, high = (f"{end:,.4g}" for end in (xs[0], xs[-1], ys[0], ys[-1]))
    return Scatter(placed, x_name, y_name, first, last, low, high)


def bars(rows: Sequence[tuple[str, int, int]]) -> Bars:
    """Horizontal bars: (name, kept, dropped), scaled to the largest sum."""
    top = max((kept + dropped for _, kept, dropped in rows), default=1) or 1
    step, left = 24, 20 + 7 * max((len(name) for name, _, _ in rows), default=0)
    span = WIDTH - left - 90
    drawn = [
        Bar(name, number * step, kept, span * kept / top, span * dropped / top)
        for number, (name, kept, dropped) in enumerate(rows)
    ]
    return Bars(drawn, left, WIDTH, len(rows) * step + 4)


def histogram(
    kept: Sequence[float], dropped: Sequence[float] = (), marks: Sequence[float] = ()
) -> Histogram:
    """Counts in equal bins. Dropped values stand on top of kept ones.

    The last bin holds all values above the 99.5th percentile. marks: values to draw a dashed line
    at.
    """
    ordered = sorted([*kept, *dropped])
    low, high = ordered[0], ordered[min(len(ordered) - 1, int(len(ordered) * 0.995))]
    width = (high - low) / BINS or 1.0
    bar = HISTOGRAM_WIDTH / BINS

    def counts(values: Sequence[float]) -> list[int]:
        found = [0] * BINS
        for value in values:
            found[min(BINS - 1, int((value - low) / width))] += 1
        return found

    below, above = counts(kept), counts(dropped)
    scale = HISTOGRAM_HEIGHT / max(map(sum, zip(below, above, strict=True)))
    boxes = [
        Box(
            number * bar,
            HISTOGRAM_FLOOR - scale * (base + count),
            bar - 1,
            scale * count,
            colour,
        )
        for number, (lower, upper) in enumerate(zip(below, above, strict=True))
        for count, base, colour in ((lower, 0, "main"), (upper, lower, "drop"))
        if count
    ]
    places = [
        HISTOGRAM_WIDTH * (mark - low) / (width * BINS) for mark in marks if low <= mark <= high
    ]
    return Histogram(boxes, places, _short(low), _short(high))


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
