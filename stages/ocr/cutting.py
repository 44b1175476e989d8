"""Where the text of a page stands: blocks and lines in reading order, by projection profiles.

The recursive cut along blank rows and columns is the XY-cut (Nagy and Seth 1984, "Hierarchical
representation of optically scanned documents"). Columns are read one after the other. So a table
with wide gaps is read by columns, too. The page must be upright (`skew` says how far it is not).

A box is (x0, y0, x1, y1) in pixels of the page, without the last column and row.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Box = tuple[int, int, int, int]
Size = tuple[float, float]  # width and height of the largest piece, in pixels of the page

# All lengths are in heights of a letter without ascender, about half a font size.
ROW_GAP = 2.0  # between blocks; between lines of a block it is below 1
COLUMN_GAP = 1.6  # between columns; between words it is below 1
WORD_GAP = 0.4
LEAST_COLUMN = 8.0  # high: in a few lines, gaps between words may meet
SPECK = 0.5  # a lower line is a dot or an accent of its neighbour
PADDING = 0.4  # around a piece
FULL = 0.75  # of the width of its block: a shorter line ends a paragraph
DARK = 0.7  # of the brightness around it
LONGEST, BAND = 3.0, 1.5  # a page higher than so many times its width is cut into such bands
MOST_SKEW, SKEW_STEP = 3.0, 0.125  # degrees
_NEIGHBOURHOOD = 16  # pixels
_USUAL_LETTER = 14  # at 200 dots per inch


@dataclass(frozen=True)
class Piece:
    """before: what stands between its text and that of the piece before."""

    box: Box
    before: str = "\n\n"


class Profile:
    """Which pixels of a page are ink. grey: (height, width), 0 is black.

    letter: the median height of what hangs together, in pixels. letters: how many such parts are at
    least half as high.
    """

    def __init__(self, grey: "NDArray[np.uint8]") -> None:
        from scipy import ndimage

        self.height, self.width = grey.shape
        if np.median(grey) < 128:  # white letters on a dark page
            grey = 255 - grey
        dark = grey < DARK * _paper(grey)
        # Dust has few neighbours.
        near = ndimage.convolve(dark.astype(np.uint8), np.ones((3, 3), np.uint8), mode="constant")
        self.ink: NDArray[np.bool_] = dark & (near >= 4)
        labels, _ = ndimage.label(self.ink)
        heights = [part[0].stop - part[0].start for part in ndimage.find_objects(labels)]
        likely = [height for height in heights if 4 <= height <= 150]
        self.letter = float(np.median(likely)) if likely else float(_USUAL_LETTER)
        self.letters = sum(height >= SPECK * self.letter for height in heights)

    @property
    def is_blank(self) -> bool:
        """Whether there is no ink, but for dust and scratches."""
        return self._trimmed((0, 0, self.width, self.height)) is None

    def skew(self) -> float:
        """By how many degrees the lines fall to the right. Upright lines have the sharpest profile:
        the sum of its squares is largest (Postl 1986).
        """
        y, x = np.nonzero(self.ink[::2, ::2])
        if len(y) == 0:
            return 0.0
        degrees = np.arange(-MOST_SKEW, MOST_SKEW + SKEW_STEP, SKEW_STEP)
        shifts = np.tan(np.radians(degrees))
        reach = int(np.ceil(self.width * np.abs(shifts).max()))
        counts = [np.bincount((y - x * shift).astype(int) + reach) for shift in shifts]
        sharp = [float((count.astype(float) ** 2).sum()) for count in counts]
        # Of angles that are about as good, the smallest: a page of one word has no clear one.
        good = [number for number, each in enumerate(sharp) if each >= 0.999 * max(sharp)]
        return float(degrees[min(good, key=lambda number: abs(degrees[number]))])

    def page(self) -> list[Piece]:
        """The whole page. A very long one is cut between lines."""
        whole = (0, 0, self.width, self.height)
        if self.height <= LONGEST * self.width:
            return [Piece(whole)]
        limit = (float(self.width), BAND * self.width)
        return [Piece((0, box[1], self.width, box[3]), "\n") for box in self._rows(whole, limit)]

    def blocks(self, limit: Size | None) -> list[Piece]:
        """Paragraphs and columns. One that is larger than `limit` is cut further."""
        found: list[Piece] = []
        for block in self._blocks((0, 0, self.width, self.height)):
            if limit is None or _fits(block, limit):
                found.append(Piece(self._padded(block)))
            elif block[2] - block[0] <= limit[0]:
                rows = self._rows(block, limit)
                found += _placed([self._padded(row) for row in rows], "\n")
            else:
                found += self._lines(block, limit)
        return found

    def lines(self, limit: Size | None) -> list[Piece]:
        """Lines. One that is wider than `limit` is cut between words."""
        blocks = self._blocks((0, 0, self.width, self.height))
        return [piece for block in blocks for piece in self._lines(block, limit)]

    def _lines(self, block: Box, limit: Size | None) -> Iterator[Piece]:
        before = "\n\n"
        for line in self._rows(block, None):
            parts = [line] if limit is None or line[2] - line[0] <= limit[0] else []
            for part in parts or self._words(line, limit[0] if limit else 0):
                yield Piece(self._padded(part), before)
                before = " "
            reaches = (line[2] - block[0]) >= FULL * (block[2] - block[0])
            before = " " if reaches else "\n"

    def _blocks(self, box: Box) -> list[Box]:
        """The parts of the box in reading order."""
        trimmed = self._trimmed(box)
        if trimmed is None:
            return []
        x0, y0, x1, y1 = trimmed
        if y1 - y0 >= LEAST_COLUMN * self.letter:
            columns = self._cut(trimmed, 0, COLUMN_GAP * self.letter)
            if len(columns) > 1:
                parts = [(x0 + left, y0, x0 + right, y1) for left, right in columns]
                return [block for part in parts for block in self._blocks(part)]
        rows = self._cut(trimmed, 1, ROW_GAP * self.letter)
        if len(rows) < 2:
            return [trimmed]
        # At the widest gap alone: columns may stand between it and the next.
        gaps = [below[0] - above[1] for above, below in itertools.pairwise(rows)]
        place = int(np.argmax(gaps))
        parts = [(x0, y0, x1, y0 + rows[place][1]), (x0, y0 + rows[place + 1][0], x1, y1)]
        return [block for part in parts for block in self._blocks(part)]

    def _rows(self, box: Box, limit: Size | None) -> list[Box]:
        """The lines of a box; if there is a limit, as many together as it has room for."""
        trimmed = self._trimmed(box)
        if trimmed is None:
            return []
        x0, y0, x1, _ = trimmed
        runs = _without_specks(self._cut(trimmed, 1, 1), SPECK * self.letter)
        if limit is not None:
            runs = _packed(runs, limit[1])
        found = (self._trimmed((x0, y0 + top, x1, y0 + bottom)) for top, bottom in runs)
        return [line for line in found if line is not None]

    def _words(self, line: Box, width: float) -> list[Box]:
        """Words of a line, as many together as the width has room for."""
        x0, y0, _, y1 = line
        runs = _packed(self._cut(line, 0, WORD_GAP * self.letter), width)
        return [(x0 + left, y0, x0 + right, y1) for left, right in runs]

    def _cut(self, box: Box, axis: int, gap: float) -> list[tuple[int, int]]:
        """The runs with ink along an axis, as (begin, end) within the box: columns are axis 0.

        Runs with less than `gap` blank pixels between are one.
        """
        x0, y0, x1, y1 = box
        counts = self.ink[y0:y1, x0:x1].sum(axis=axis)
        # A scratch across the gap does not close it.
        full = np.concatenate([[False], counts > (y1 - y0 if axis == 0 else x1 - x0) // 500, [0]])
        edges = np.flatnonzero(full[1:] != full[:-1])
        runs: list[tuple[int, int]] = []
        for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            if runs and begin - runs[-1][1] < gap:
                runs[-1] = (runs[-1][0], end)
            else:
                runs.append((begin, end))
        return runs

    def _trimmed(self, box: Box) -> Box | None:
        """The box without its blank edges. None: it is blank."""
        columns, rows = self._cut(box, 0, np.inf), self._cut(box, 1, np.inf)
        if not columns or not rows:
            return None
        x0, y0 = box[:2]
        return x0 + columns[0][0], y0 + rows[0][0], x0 + columns[0][1], y0 + rows[0][1]

    def _padded(self, box: Box) -> Box:
        more = round(PADDING * self.letter)
        x0, y0, x1, y1 = box
        return (
            *(max(0, x0 - more), max(0, y0 - more)),
            *(min(self.width, x1 + more), min(self.height, y1 + more)),
        )


def _paper(grey: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
    """The brightness of the paper around each pixel, so that a shadow is no ink."""
    from scipy import ndimage

    size = _NEIGHBOURHOOD
    height, width = grey.shape
    padded = np.pad(grey, ((0, -height % size), (0, -width % size)), mode="edge")
    rows, columns = padded.shape[0] // size, padded.shape[1] // size
    brightest = padded.reshape(rows, size, columns, size).max(axis=(1, 3))
    around = ndimage.maximum_filter(brightest, size=3)
    wide: NDArray[np.uint8] = around.repeat(size, axis=0).repeat(size, axis=1)
    return wide[:height, :width]


def _fits(box: Box, limit: Size) -> bool:
    return box[2] - box[0] <= limit[0] and box[3] - box[1] <= limit[1]


def _placed(boxes: Sequence[Box], between: str) -> list[Piece]:
    return [Piece(box, between if place else "\n\n") for place, box in enumerate(boxes)]


def _packed(runs: Sequence[tuple[int, int]], most: float) -> list[tuple[int, int]]:
    """Neighbours together as long as they are no longer than `most`."""
    found: list[tuple[int, int]] = []
    for begin, end in runs:
        if found and end - found[-1][0] <= most:
            found[-1] = (found[-1][0], end)
        else:
            found.append((begin, end))
    return found


def _without_specks(runs: Sequence[tuple[int, int]], least: float) -> list[tuple[int, int]]:
    """Runs that are too low are put together with the nearer neighbour."""
    found = list(runs)
    while len(found) > 1:
        lengths = [end - begin for begin, end in found]
        place = int(np.argmin(lengths))
        if lengths[place] >= least:
            break
        above = found[place][0] - found[place - 1][1] if place else np.inf
        below = found[place + 1][0] - found[place][1] if place + 1 < len(found) else np.inf
        first = place - 1 if above <= below else place
        found[first : first + 2] = [(found[first][0], found[first + 1][1])]
    return found
