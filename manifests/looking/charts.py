"""Small SVG charts as text, coloured by the page's own style variables."""

import html
import math
from collections.abc import Sequence

WIDTH, HEIGHT = 640, 180
BINS = 30


def bars(rows: Sequence[tuple[str, int, int]]) -> str:
    """Horizontal bars: (name, kept, dropped), scaled to the largest sum."""
    top = max((kept + dropped for _, kept, dropped in rows), default=1) or 1
    step, left = 24, 20 + 7 * max((len(name) for name, _, _ in rows), default=0)
    span = WIDTH - left - 90
    lines = []
    for number, (name, kept, dropped) in enumerate(rows):
        y = number * step
        width, lost = span * kept / top, span * dropped / top
        lines.append(
            f"<text x='{left - 8}' y='{y + 15}' text-anchor='end'>{html.escape(name)}</text>"
            f"<rect x='{left}' y='{y + 3}' width='{width:.1f}' height='16' fill='var(--main)'/>"
            f"<rect x='{left + width:.1f}' y='{y + 3}' width='{lost:.1f}' height='16' fill='var(--drop)' opacity='.55'/>"
            f"<text x='{left + width + lost + 6:.1f}' y='{y + 15}'>{kept:,}</text>"
        )
    return f"<svg viewBox='0 0 {WIDTH} {len(rows) * step + 4}' role='img'>{''.join(lines)}</svg>"


def histogram(
    kept: Sequence[float], dropped: Sequence[float] = (), marks: Sequence[float] = ()
) -> str:
    """Counts in equal bins, of dropped values on top of kept ones; the tail above the 99.5th percentile is gathered in the last bin. marks:
    values to draw a dashed line at."""
    ordered = sorted([*kept, *dropped])
    low, high = ordered[0], ordered[min(len(ordered) - 1, int(len(ordered) * 0.995))]
    width = (high - low) / BINS or 1.0
    bar, floor, height = 300 / BINS, 110, 100

    def counts(values: Sequence[float]) -> list[int]:
        found = [0] * BINS
        for value in values:
            found[min(BINS - 1, int((value - low) / width))] += 1
        return found

    below, above = counts(kept), counts(dropped)
    scale = height / max(map(sum, zip(below, above, strict=True)))
    drawn = []
    for number, (lower, upper) in enumerate(zip(below, above, strict=True)):
        for count, base, colour in ((lower, 0, "main"), (upper, lower, "drop")):
            if count:
                drawn.append(
                    f"<rect x='{number * bar:.1f}' y='{floor - scale * (base + count):.1f}' width='{bar - 1:.1f}' "
                    f"height='{scale * count:.1f}' fill='var(--{colour})'/>"
                )
    for mark in marks:
        if low <= mark <= high:
            x = 300 * (mark - low) / (width * BINS)
            drawn.append(
                f"<line x1='{x:.1f}' x2='{x:.1f}' y1='4' y2='{floor}' stroke='var(--ink)' stroke-dasharray='3 3'/>"
            )
    return (
        f"<svg viewBox='0 0 300 128' role='img'>{''.join(drawn)}<text x='0' y='124'>{_short(low)}</text>"
        f"<text x='300' y='124' text-anchor='end'>{_short(high)}</text></svg>"
    )


def line_chart(points: Sequence[tuple[int, float]]) -> str:
    """One line through (x, y) points."""
    if not points:
        return ""
    xs, ys = [x for x, _ in points], [y for _, y in points if math.isfinite(y)]
    low, high = min(ys), max(ys)
    span_x, span_y = (xs[-1] - xs[0]) or 1, (high - low) or 1.0
    left, floor = 50, HEIGHT - 22
    path = " ".join(
        f"{left + (WIDTH - left - 10) * (x - xs[0]) / span_x:.1f},{10 + (floor - 10) * (high - y) / span_y:.1f}"
        for x, y in points
        if math.isfinite(y)
    )
    return (
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img'><polyline points='{path}' fill='none' stroke='var(--main)' stroke-width='1.6'/>"
        f"<text x='{left - 6}' y='16' text-anchor='end'>{_short(high)}</text>"
        f"<text x='{left - 6}' y='{floor}' text-anchor='end'>{_short(low)}</text>"
        f"<text x='{left}' y='{HEIGHT - 6}'>{xs[0]:,}</text><text x='{WIDTH - 10}' y='{HEIGHT - 6}' text-anchor='end'>{xs[-1]:,}</text>"
        "</svg>"
    )


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
