"""The proposed weight of each source with its interval, beside its natural share."""

from collections.abc import Sequence

from corpusmill.report.drawing.curves import ticks
from corpusmill.report.drawing.picture import Box, Path, Picture, Words, fitting
from corpusmill.report.sections.mixing import Source

ROW, TOP, BELOW = 30, 26, 24


def weights(sources: Sequence[Source], width: int) -> Picture:
    """A line for each source: a bar from the low to the high end of the interval, a dot at the
    proposal, a dashed line at the natural share.
    """
    left, right = (180, 64) if width > 600 else (104, 60)
    most = max(max(one.natural, one.proposed, one.high) for one in sources)
    scale = (width - left - right) / most
    floor = TOP + ROW * len(sources)
    picture = Picture(width, floor + BELOW, "Proposed weights and their intervals")
    for value in ticks(0, most, 5 if width > 600 else 3):
        x = left + value * scale
        picture.shapes.append(Box(x, TOP - 6, 1, floor - TOP + 6, "rule"))
        picture.words.append(Words(x, floor + 16, f"{100 * value:.3g} %", "small", "middle"))
    for place, one in enumerate(sources):
        y = TOP + ROW * place + ROW / 2
        shares = (one.proposed, one.low, one.high, one.natural)
        proposed, least, greatest, usual = (f"{100 * share:.1f} %" for share in shares)
        title = f"{one.name}: {proposed} proposed ({least} to {greatest}), {usual} natural"
        low, dot, natural = (left + share * scale for share in (one.low, one.proposed, one.natural))
        picture.shapes += [
            Box(low, y - 5, max(1.0, (one.high - one.low) * scale), 10, "flow keep", title, 5),
            Path(f"M{natural:.1f} {y - 10:.1f}v20", "line mark", title),
            Path(f"M{dot - 5:.1f} {y:.1f}a5 5 0 1 0 10 0a5 5 0 1 0 -10 0", "key", title),
        ]
        picture.words += [
            Words(left - 12, y + 4, fitting(one.name, left - 12), "strong", "end"),
            Words(width, y + 4, proposed, "", "end"),
        ]
    return picture
