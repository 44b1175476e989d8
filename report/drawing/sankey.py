"""A funnel as a Sankey diagram that flows downwards.

The band of kept rows runs down on the left. At each step, what leaves peels off to the right, one
flow a reason. Widths are rows, to one scale. So names have room beside the flows, on a phone too.
"""

from corpusmill.report.drawing.picture import Box, Path, Picture, Words, fitting
from corpusmill.report.sections.chains import Chain

BAR = 5  # height of a step's bar
LEAST = 64  # height of a step
SLOT = 20  # least height of a flow's label
THIN = 1.0  # least width of a flow
LETTER = 6.9  # mean width of a letter of a label


def sankey(chain: Chain, width: int) -> Picture:
    """The chain's picture. There is at least one row."""
    is_wide = width > 600
    left = 118.0 if is_wide else 88.0
    band = 430.0 if is_wide else 92.0
    right = left + band + (64 if is_wide else 16)
    scale = band / max(1, chain.rows_in)
    picture = Picture(width, 0, _title(chain))
    y = 16.0
    for link in chain.links:
        kept = link.kept * scale
        flows = [(f"{name} {rows:,}", rows, "drop") for name, rows in link.reasons]
        _step(picture, link.name, link.rows_in, (left, y, scale), f"{link.rows_in:,}")
        bottom = _flows(picture, flows, (left + kept, y + BAR, right, scale), link.rows_in)
        height = max(LEAST, bottom - y + 8)
        picture.shapes.insert(
            0,
            Box(
                left,
                y + BAR,
                max(THIN, kept),
                height - BAR,
                "flow keep",
                f"{link.name} kept {link.kept:,} of {link.rows_in:,}",
            ),
        )
        y += height
    _step(picture, "kept", chain.kept, (left, y, scale), f"{chain.kept:,}")
    bottom = y + BAR
    if chain.ends:
        ends = [
            (f"{name.replace('_', ' ')} {rows:,}", rows, f"level{place}")
            for place, (name, rows) in enumerate(chain.ends)
        ]
        bottom = _flows(picture, ends, (left, y + BAR, right, scale), chain.kept)
    picture.height = max(bottom, y + 24) + 6
    return picture


def _step(
    picture: Picture, name: str, rows: int, place: tuple[float, float, float], count: str
) -> None:
    left, y, scale = place
    picture.shapes.append(Box(left, y, max(2.0, rows * scale), BAR, "bar", f"{name}: {rows:,}"))
    picture.words.append(Words(left - 10, y + 6, fitting(name, left - 12, 7.4), "strong", "end"))
    picture.words.append(Words(left - 10, y + 22, count, "", "end"))


def _flows(
    picture: Picture,
    flows: list[tuple[str, int, str]],
    place: tuple[float, float, float, float],
    whole: int,
) -> float:
    """Flows that leave a bar to the right, the first one outermost and on top.

    place: x where the leftmost begins, y, x of the labels, scale. Returns the lowest y.
    """
    left, y, right, scale = place
    x = left + sum(rows for _, rows, _ in flows) * scale
    top = y + 12
    for text, rows, look in flows:
        size = max(THIN, rows * scale)
        x -= rows * scale
        end = top + size
        picture.shapes.append(
            Path(
                f"M{x:.1f} {y:.1f}Q{x:.1f} {end:.1f} {right:.1f} {end:.1f}V{top:.1f}"
                f"Q{x + size:.1f} {top:.1f} {x + size:.1f} {y:.1f}Z",
                f"flow {look}",
                f"{text} ({100 * rows / max(1, whole):.1f} % of this step)",
            )
        )
        middle = (top + end) / 2
        name, _, count = text.rpartition(" ")
        room = picture.width - right - 12 - 7 * len(count)
        short = name if len(name) * LETTER < room else name.rpartition(".")[2]
        label = fitting(short, room, LETTER)
        picture.words.append(Words(right + 8, middle + 4, f"{label} {count}", "small"))
        top += max(size, SLOT) + 4
    return top


def _title(chain: Chain) -> str:
    steps = "; ".join(f"{link.name} {link.rows_in:,} to {link.kept:,}" for link in chain.links)
    return f"Documents by step: {steps}"
