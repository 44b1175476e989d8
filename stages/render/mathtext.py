"""Formulas as glyphs: what matplotlib's mathtext makes of them.

mathtext says which glyph of which of matplotlib's own fonts stands where. Pillow draws the glyphs
as it draws letters. So a formula's picture hangs on the versions of the two libraries alone, and
the place of every letter is known. matplotlib is imported when the first formula is met.
"""

import logging
import re
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from corpusmill.stages.render.fonts import Shape, sized
from corpusmill.stages.render.tex import UnknownError, dialect
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.ft2font import FT2Font, GlyphIndexType
    from matplotlib.mathtext import VectorParse
    from PIL import ImageDraw

STYLES = ("cm", "stix", "dejavuserif", "stixsans", "dejavusans")  # matplotlib's sets of fonts
EM = 100  # the size at which formulas are set: mathtext rounds their sides to whole units
STEPS = 4  # places of a glyph within a pixel, each way
SIZED = re.compile(r"(?:[bB]igg?|display|text)$")  # in names of glyphs: `parenleftbig`
NO_LETTER = "\ufffd"


@dataclass(frozen=True)
class Glyph:
    """A letter of a font file. x, y: its origin, from the formula's left and up from its baseline.
    size, x, y: in ems. meaning: the letter that a reader sees, or `NO_LETTER`.
    """

    path: str
    size: float
    letter: str
    x: float
    y: float
    meaning: str


@dataclass(frozen=True)
class Formula:
    """A formula on its baseline, in ems. bars: (left, bottom, width, height), such as those of
    fractions.
    """

    width: float
    ascent: float
    descent: float
    glyphs: tuple[Glyph, ...]
    bars: tuple[tuple[float, float, float, float], ...]


def joined(parts: Iterable[tuple[Formula, float, float]], width: float) -> Formula:
    """Formulas as one: (formula, right, up), each moved by so many ems."""
    parts = list(parts)
    return Formula(
        width,
        max((part.ascent + up for part, _, up in parts), default=0.0),
        max((part.descent - up for part, _, up in parts), default=0.0),
        tuple(
            replace(glyph, x=glyph.x + right, y=glyph.y + up)
            for part, right, up in parts
            for glyph in part.glyphs
        ),
        tuple(
            (left + right, bottom + up, long, high)
            for part, right, up in parts
            for left, bottom, long, high in part.bars
        ),
    )


def row(source: str, style: str, display: bool) -> Formula:
    """A formula without environments. Raises UnknownError if mathtext cannot draw all of it."""
    return parsed(dialect(source, display), style)


def parsed(written: str, style: str) -> Formula:
    """What mathtext makes of a formula in its own spelling. Raises UnknownError."""
    try:
        with _strict():
            found = _vectors(f"${written}$", style)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise UnknownError(written) from error
    glyphs = tuple(
        Glyph(
            str(font.fname),
            size / EM,
            chr(code),
            float(x) / EM,
            float(y) / EM,
            _meaning(font, code, index),
        )
        for font, size, code, index, x, y in found.glyphs
    )
    if any(glyph.size <= 0 for glyph in glyphs):  # of `\left(` around blanks
        raise UnknownError(written)
    bars = tuple(
        (float(x) / EM, float(y) / EM, float(width) / EM, float(height) / EM)
        for x, y, width, height in found.rects
    )
    ascent, descent = float(found.height - found.depth) / EM, float(found.depth) / EM
    return Formula(float(found.width) / EM, ascent, descent, glyphs, bars)


def _vectors(written: str, style: str) -> "VectorParse":
    """A new parser each time, since a parser keeps its results: of a formula that it met before, it
    would not warn again that a glyph is missing.
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import MathTextParser

    font = FontProperties(size=EM, math_fontfamily=style)
    return MathTextParser("path").parse(written, dpi=72, prop=font)


@cache
def _import_quietly() -> None:
    """Import matplotlib. That its folder cannot be written to is no news for the user."""
    log = logging.getLogger("matplotlib")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        import matplotlib.font_manager  # noqa: F401 - finds the fonts
    finally:
        log.setLevel(level)


@contextmanager
def _strict() -> Iterator[None]:
    """Warnings about glyphs are errors. The user's settings of plots and of logs change nothing."""
    _import_quietly()
    import matplotlib as mpl

    warnings: list[str] = []

    def note(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            warnings.append(record.getMessage())
        return False

    log, now, usual = logging.getLogger("matplotlib.mathtext"), mpl.rcParams, mpl.rcParamsDefault
    own = now["mathtext.default"], now["mathtext.fallback"]
    own_log = log.level, log.disabled, log.filters, log.manager.disable
    log.disabled, log.filters = False, [note]
    log.setLevel(logging.WARNING)
    logging.disable(logging.NOTSET)
    now["mathtext.default"] = usual["mathtext.default"]
    now["mathtext.fallback"] = usual["mathtext.fallback"]
    try:
        yield
    finally:
        now["mathtext.default"], now["mathtext.fallback"] = own
        level, log.disabled, log.filters, disable = own_log
        logging.disable(disable)
        log.setLevel(level)
    if warnings:
        raise UnknownError(warnings[0])


def _meaning(font: "FT2Font", code: int, index: "GlyphIndexType") -> str:
    """Of the old Computer Modern fonts the names of glyphs say it, of others the code."""
    letter = chr(code)
    if font.family_name.startswith("cm"):
        from fontTools.agl import toUnicode

        letter = toUnicode(SIZED.sub("", font.get_glyph_name(index))) or NO_LETTER
    plain = unicodedata.normalize("NFKC", letter)  # 𝑥 is read as x
    return plain if len(plain) == 1 else NO_LETTER


@lru_cache(maxsize=1 << 14)
def _ink(path: str, size: float, letter: str, right: int, down: int) -> Shape | None:
    """What the font draws, moved by `right` and `down` `STEPS`. left, top: from its origin."""
    font = sized(path, size)
    start = (right / STEPS, down / STEPS)
    mask, (left, top) = font.getmask2(letter, anchor="ls", start=start)
    if not all(mask.size):
        return None
    return Shape(Image.frombytes("L", mask.size, bytes(mask)), left, top)


def _placed(formula: Formula, size: int, x: float, y: float) -> Iterator[tuple[Glyph, Shape]]:
    """Glyphs with ink, and where their ink lies on the page. y: of the baseline."""
    for glyph in formula.glyphs:
        right, down = (round(STEPS * place) for place in (x + glyph.x * size, y - glyph.y * size))
        ink = _ink(glyph.path, glyph.size * size, glyph.letter, right % STEPS, down % STEPS)
        if ink is not None:
            yield glyph, Shape(ink.image, right // STEPS + ink.left, down // STEPS + ink.top)


def draw(
    pen: "ImageDraw.ImageDraw", formula: Formula, size: int, x: float, y: float, ink: int
) -> None:
    """Draw the formula with letters of `size` pixels. x, y: where its baseline begins."""
    for _, shape in _placed(formula, size, x, y):
        pen.bitmap((shape.left, shape.top), shape.image, fill=ink)
    for left, bottom, width, height in formula.bars:
        top = round(y - (bottom + height) * size)
        low = top + max(1, round(height * size)) - 1
        pen.rectangle((round(x + left * size), top, round(x + (left + width) * size), low), ink)


def letter_places(
    formula: Formula, size: int, x: float, y: float
) -> Iterator[tuple[str, float, float]]:
    """(letter, x, y) of the middle of each glyph."""
    for glyph, shape in _placed(formula, size, x, y):
        width, height = shape.image.size
        yield glyph.meaning, shape.left + width / 2, shape.top + height / 2
