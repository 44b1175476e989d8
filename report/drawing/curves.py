"""Line charts with axes, and the round numbers that stand at axes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from corpusmill.report.drawing.picture import Box, Path, Picture, Words
from corpusmill.report.sections.training import Points

HEIGHT = 220
FEW = 12  # points that also get a dot each
LEFT, RIGHT, TOP, FLOOR = 52, 10, 26, 190


@dataclass(frozen=True)
class Curve:
    """A named line. look: a class of the page's style."""

    name: str
    points: Points
    look: str = "line0"


def curves(lines: Sequence[Curve], x_name: str, title: str, width: int) -> Picture:
    """Lines over one x axis. At least one has a point."""
    points = [point for line in lines for point in line.points]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low, high = _range(min(ys), max(ys))
    first, last = min(xs), max(xs)
    across, up = (width - LEFT - RIGHT) / ((last - first) or 1), (FLOOR - TOP) / (high - low)
    picture = Picture(width, HEIGHT, title)
    for value in ticks(low, high, 4):
        y = FLOOR - (value - low) * up
        picture.shapes.append(Box(LEFT, y, width - LEFT - RIGHT, 1, "rule"))
        picture.words.append(Words(LEFT - 6, y + 4, short(value), "small", "end"))
    for value in ticks(first, last, 5 if width > 600 else 3):
        x = LEFT + (value - first) * across
        picture.words.append(Words(x, FLOOR + 16, short(value), "small", "middle"))
    picture.words.append(Words(width - RIGHT, FLOOR + 30, x_name, "small", "end"))
    place = float(LEFT)
    for line in lines:
        if not line.points:
            continue
        spots = [(LEFT + (x - first) * across, FLOOR - (y - low) * up) for x, y in line.points]
        d = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in spots)
        title = f"{line.name}: {short(line.points[-1][1])}"
        picture.shapes.append(Path(d, f"line {line.look}", title))
        if len(spots) <= FEW:
            dots = "".join(f"M{x - 4:.1f} {y:.1f}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0" for x, y in spots)
            picture.shapes.append(Path(dots, f"key {line.look}", title))
        picture.shapes.append(Box(place, 6, 12, 4, f"key {line.look}"))
        picture.words.append(Words(place + 17, 12, line.name, "small"))
        place += 17 + 7 * len(line.name) + 18
    return picture


def ticks(low: float, high: float, most: int) -> list[float]:
    """About `most` round numbers from `low` to `high`."""
    if high <= low:
        return [low]
    step = (high - low) / most
    power = 10.0 ** math.floor(math.log10(step))
    step = next(power * size for size in (1, 2, 2.5, 5, 10) if power * size >= step * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def short(value: float) -> str:
    """A number in few letters: `1,200`, `0.034`, `2.5M`."""
    size = abs(value)
    for limit, letter in ((1e9, "G"), (1e6, "M")):
        if size >= limit:
            return f"{value / limit:.3g}{letter}"
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _range(low: float, high: float) -> tuple[float, float]:
    """A little more than the values need."""
    room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return (low - room if low - room > 0 or low < 0 else 0.0), high + room
