"""Predicted against measured values: a dot for each run, and the line on which both are equal."""

from collections.abc import Sequence

from corpusmill.report.drawing.curves import short, ticks
from corpusmill.report.drawing.picture import Box, Path, Picture, Words

WIDTH, HEIGHT, LEFT, TOP, FLOOR = 300, 216, 40, 8, 176


def scatter(name: str, points: Sequence[tuple[float, float]]) -> Picture:
    """points: predicted and measured, at least one. Both axes have the same ends."""
    values = [value for point in points for value in point]
    room = 0.06 * (max(values) - min(values)) or 0.1
    low, high = min(values) - room, max(values) + room
    across, up = (WIDTH - LEFT) / (high - low), (FLOOR - TOP) / (high - low)
    picture = Picture(WIDTH, HEIGHT, f"{name}: bits per byte of {len(points)} runs")
    for value in ticks(low, high, 4):
        x, y = LEFT + (value - low) * across, FLOOR - (value - low) * up
        picture.shapes.append(Box(LEFT, y, WIDTH - LEFT, 1, "rule"))
        picture.words += [
            Words(LEFT - 6, y + 4, short(value), "small", "end"),
            Words(x, FLOOR + 16, short(value), "small", "middle"),
        ]
    picture.shapes.append(Path(f"M{LEFT} {FLOOR}L{WIDTH} {TOP}", "line mark", "equal"))
    for predicted, measured in points:
        x, y = LEFT + (predicted - low) * across, FLOOR - (measured - low) * up
        title = f"predicted {predicted:.4f}, measured {measured:.4f}"
        dot = f"M{x - 4:.1f} {y:.1f}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0"
        picture.shapes.append(Path(dot, "key", title))
    picture.words += [
        Words(WIDTH, HEIGHT - 6, "predicted", "small", "end"),
        Words(LEFT + 6, TOP + 12, "measured", "small"),
    ]
    return picture
