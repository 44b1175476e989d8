"""A small histogram of kept and dropped values, with dashed lines at thresholds."""

from collections.abc import Sequence

from corpusmill.report.drawing.curves import short
from corpusmill.report.drawing.picture import Box, Path, Picture, Words

BINS = 30
WIDTH, HEIGHT, TOP, FLOOR = 300, 130, 18, 112


def histogram(
    name: str, kept: Sequence[float], dropped: Sequence[float] = (), marks: Sequence[float] = ()
) -> Picture:
    """Counts in equal bins, or one bar for each of a few whole numbers. Dropped values stand on
    top of kept ones.

    The last bin holds all values above the 99.5th percentile. marks: values to draw a dashed line
    at.
    """
    ordered = sorted([*kept, *dropped])
    low, high = ordered[0], ordered[min(len(ordered) - 1, int(len(ordered) * 0.995))]
    bins, step = BINS, (high - low) / BINS or 1.0
    if high - low < BINS and all(value.is_integer() for value in ordered):
        bins, step = int(high - low) + 1, 1.0

    def counts(values: Sequence[float]) -> list[int]:
        found = [0] * bins
        for value in values:
            found[min(bins - 1, int((value - low) / step))] += 1
        return found

    below, above = counts(kept), counts(dropped)
    most = max(map(sum, zip(below, above, strict=True)))
    scale, bar = (FLOOR - TOP) / most, WIDTH / bins
    picture = Picture(WIDTH, HEIGHT, f"{name}: from {short(low)} to {short(ordered[-1])}")
    for number, (lower, upper) in enumerate(zip(below, above, strict=True)):
        begin, end = low + number * step, low + (number + 1) * step
        where = short(begin) if bins < BINS else f"{short(begin)} to {short(end)}"
        title = f"{where}: {lower:,} kept, {upper:,} dropped"
        for count, base, look in ((lower, 0, "bar"), (upper, lower, "bar drop")):
            if count:
                y = FLOOR - scale * (base + count)
                picture.shapes.append(Box(number * bar, y, bar - 1, scale * count, look, title))
    picture.shapes.append(Box(0, FLOOR, WIDTH, 1, "axis"))
    for mark in marks:
        if low <= mark <= high:
            x = WIDTH * (mark - low) / (step * bins)
            picture.shapes.append(
                Path(f"M{x:.1f} {TOP - 6}V{FLOOR}", "line mark", f"threshold {mark:g}")
            )
    ends = short(high) + ("+" if ordered[-1] > high else "")
    picture.words += [
        Words(0, HEIGHT - 4, short(low), "small"),
        Words(WIDTH, HEIGHT - 4, ends, "small", "end"),
        Words(0, 11, f"{most:,}", "small faint"),
    ]
    return picture
