"""One page: how it looks, which lines it holds, and its image.

Everything about a page follows from its random generator, which is seeded by the document's id and
the page's number. So a page has the same bytes wherever and whenever it is made with the same
Pillow, matplotlib and fonts.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np
from corpusmill.stages.render import mathtext
from corpusmill.stages.render.blocks import KINDS, Kind
from corpusmill.stages.render.fonts import advance, draws_all, shape
from corpusmill.stages.render.formulas import Span
from corpusmill.stages.render.grid import typeset
from corpusmill.stages.render.lines import Line, wrapped
from corpusmill.stages.render.look import Look, Paper, image_file
from PIL import Image, ImageDraw, ImageFilter

if TYPE_CHECKING:
    from numpy.typing import NDArray

GUTTER = 1.5  # between columns, in font sizes
BLANK = 0.5  # before a block, in line heights
MIDDLE = 0.65  # of a letter, below the top of its line, in font sizes
LEAST_SCALE = 0.7  # of a formula that is wider than its line
GRAIN = 1 << 20  # random numbers from which pages cut their grain


@dataclass(frozen=True)
class PlacedLine:
    line: Line
    x: int
    y: int


def fill(text: str, start: int, look: Look, paper: Paper, formulas: bool) -> list[PlacedLine]:
    """The lines of the text behind `start` that fit the page, column by column.

    formulas: draw them. A displayed one stands in the middle of its column.
    """
    gutter = round(GUTTER * look.size) if look.columns > 1 else 0
    inner = paper.width - 2 * look.margin - gutter * (look.columns - 1)
    column_width = inner // look.columns

    widths = {kind: partial(advance, look.path(kind), look.font_size(kind)) for kind in KINDS}

    def measure(letter: str, kind: Kind) -> float:
        return widths[kind](letter)

    fitted = partial(_fitted, look, paper) if formulas else None
    bottom = paper.height - look.margin
    placed: list[PlacedLine] = []
    column, y = 0, look.margin
    for line in wrapped(text, start, column_width, measure, fitted):
        height = look.line_height(line.kind)
        above, below = _overhang(line, look) if line.formulas else (0, 0)
        if line.first and y > look.margin and line.kind in ("prose", "heading", "formula"):
            y += round(BLANK * height)
        if y + above + height + below > bottom:
            column, y = column + 1, look.margin
            if column == look.columns or y + above + height + below > bottom:
                break
        x = look.margin + column * (column_width + gutter)
        if line.kind == "formula":
            x += round((column_width - _width(line, look)) / 2)
        placed.append(PlacedLine(line, x, y + above))
        y += above + height + below
    return placed


def shows(placed: Sequence[PlacedLine], look: Look) -> bool:
    """Whether the look's fonts have all letters. Formulas have fonts of their own."""
    return all(
        draws_all(look.path(item.line.kind), set(text) - {" "})
        for item in placed
        for text, _ in item.line.runs
    )


def _fitted(
    look: Look, paper: Paper, span: Span, kind: Kind, width: float
) -> tuple[mathtext.Formula, int] | None:
    """The formula and the size of its letters. None if mathtext cannot draw it, or it needs letters
    under `LEAST_SCALE` of the line's.
    """
    formula = typeset(" ".join(span.source.split()), look.formula_style, span.display)
    if formula is None:
        return None
    most = look.font_size(kind)
    height = paper.height - 2 * look.margin - look.line_height(kind)
    fitting = min(width / formula.width, height / (formula.ascent + formula.descent))
    size = min(most, int(fitting))
    return (formula, size) if size >= LEAST_SCALE * most else None


def _overhang(line: Line, look: Look) -> tuple[int, int]:
    """Pixels that the line's formulas need above and below a line of text."""
    base = look.baseline(line.kind)
    rise = max(drawn.formula.ascent * drawn.size for drawn in line.formulas)
    fall = max(drawn.formula.descent * drawn.size for drawn in line.formulas)
    room = look.line_height(line.kind) - base
    return max(0, math.ceil(rise) - base), max(0, math.ceil(fall) - room)


def _width(line: Line, look: Look) -> float:
    path, size = look.path(line.kind), look.font_size(line.kind)
    return sum(
        sum(advance(path, size, letter) for letter in text) + (drawn.width if drawn else 0.0)
        for text, drawn in line.runs
    )


def image(
    placed: Sequence[PlacedLine],
    look: Look,
    paper: Paper,
    shapes: Callable[[ImageDraw.ImageDraw], None] | None = None,
) -> bytes:
    """The page as a grey JPEG or PNG file. shapes: draws what lies below the text."""
    page = Image.new("L", (paper.width, paper.height), look.ground)
    pen = ImageDraw.Draw(page)
    if shapes is not None:
        shapes(pen)
    for item in placed:
        _write(pen, item, look)
    if look.rotation:
        page = page.rotate(look.rotation, Image.Resampling.BILINEAR, fillcolor=look.ground)
    if look.blur:
        page = page.filter(ImageFilter.GaussianBlur(look.blur))
    if look.noise:
        levels = np.float32(look.noise) * _cut_grain(look.noise_seed, paper)
        levels += np.asarray(page)
        page = Image.fromarray(levels.clip(0, 255, out=levels).astype(np.uint8))
    return image_file(page, look)


def _write(pen: ImageDraw.ImageDraw, item: PlacedLine, look: Look) -> None:
    """Draw a line letter by letter, without kerning: `letters` says where each of them stands."""
    path, size = look.path(item.line.kind), look.font_size(item.line.kind)
    x = float(item.x)
    for text, drawn in item.line.runs:
        for letter in text:
            ink = shape(path, size, letter)
            if ink is not None:
                pen.bitmap((round(x) + ink.left, item.y + ink.top), ink.image, fill=look.ink)
            x += advance(path, size, letter)
        if drawn is not None:
            base = item.y + look.baseline(item.line.kind)
            mathtext.draw(pen, drawn.formula, drawn.size, x, base, look.ink)
            x += drawn.width


def _cut_grain(seed: int, paper: Paper) -> "NDArray[np.float32]":
    """Random numbers (height, width) of mean 0 and deviation 1."""
    pixels = paper.height * paper.width
    numbers = _grain(max(GRAIN, 2 * pixels))
    start = seed % (len(numbers) - pixels)
    return numbers[start : start + pixels].reshape(paper.height, paper.width)


@cache
def _grain(count: int) -> "NDArray[np.float32]":
    """Drawn once: drawing them anew for each page took an eighth of its time."""
    return np.random.default_rng(0).standard_normal(count, dtype=np.float32)


@dataclass(frozen=True)
class Letters:
    """The letters of a page, blanks left out, and the pixel in the middle of each."""

    text: str
    x: list[int]
    y: list[int]


def letters(placed: Sequence[PlacedLine], look: Look, paper: Paper) -> Letters:
    """Where each letter stands after the page's rotation. Those that it moved out are left out."""
    found: list[str] = []
    places: list[tuple[float, float]] = []
    for item in placed:
        path, size = look.path(item.line.kind), look.font_size(item.line.kind)
        x = float(item.x)
        for text, drawn in item.line.runs:
            for letter in text:
                width = advance(path, size, letter)
                if letter != " ":
                    found.append(letter)
                    places.append((x + width / 2, item.y + MIDDLE * size))
                x += width
            if drawn is not None:
                base = item.y + look.baseline(item.line.kind)
                for letter, *place in mathtext.letter_places(drawn.formula, drawn.size, x, base):
                    found.append(letter)
                    places.append((place[0], place[1]))
                x += drawn.width
    middle = np.array([paper.width / 2, paper.height / 2])
    turn = np.deg2rad(look.rotation)  # counterclockwise, with y downwards
    cosine, sine = np.cos(turn), np.sin(turn)
    offsets = np.array(places).reshape(-1, 2) - middle
    turned = offsets @ np.array([[cosine, -sine], [sine, cosine]]) + middle
    inside = ((turned >= 0) & (turned < [paper.width, paper.height])).all(axis=1)
    x_of, y_of = turned[inside].astype(int).T.tolist()
    return Letters("".join(itertools.compress(found, inside)), x_of, y_of)
