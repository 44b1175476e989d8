"""A document's text as lines that fit a column, each with its place in the text.

Code keeps its lines and its indentation, a table its rows; paragraphs are wrapped. A formula is not
broken, and a displayed one has a line of its own. One that fits no line is wrapped as its source.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from corpusmill.stages.render.blocks import HEADING, Block, Kind, blocks
from corpusmill.stages.render.formulas import Span
from corpusmill.stages.render.mathtext import Formula

Measure = Callable[[str, Kind], float]  # width in pixels of a letter in the font of a kind
# The formula for a line of so many pixels, and the size of its letters. None: it cannot be drawn.
Typeset = Callable[[Span, Kind, float], "tuple[Formula, int] | None"]

WORD = re.compile(r"\S+")
REST = re.compile(r"\S*")  # of a word behind a formula


@dataclass(frozen=True)
class Drawn:
    """A formula of a line, in place of text[begin:end] of the line. size: of its letters."""

    begin: int
    end: int
    formula: Formula
    size: int

    @property
    def width(self) -> float:
        return self.formula.width * self.size


@dataclass(frozen=True)
class Line:
    """One line of a page. start, end: its place in the document. first: it begins a block."""

    text: str
    kind: Kind
    start: int
    end: int
    first: bool
    formulas: tuple[Drawn, ...] = ()

    @property
    def runs(self) -> Sequence[tuple[str, Drawn | None]]:
        """Its text in parts, each with the formula that comes behind it."""
        if not self.formulas:
            return ((self.text, None),)
        found: list[tuple[str, Drawn | None]] = []
        at = 0
        for drawn in self.formulas:
            found.append((self.text[at : drawn.begin], drawn))
            at = drawn.end
        return [*found, (self.text[at:], None)]


def wrapped(
    text: str, start: int, width: float, measure: Measure, typeset: Typeset | None = None
) -> Iterator[Line]:
    """Lines of at most `width` pixels from the text behind `start`, in order.

    Without `typeset`, formulas are drawn as their source.
    """
    found = blocks(text, typeset is not None)
    for block in found[bisect_right(found, start, key=lambda block: block.end) :]:
        begin = max(block.start, start)
        if block.kind in ("code", "table"):
            yield from _cut(text, block, begin, width, measure)
            continue
        if block.kind == "formula":
            line = _displayed(text, block, begin, width, measure, typeset)
            if line is not None:
                yield line
                continue
            block = Block("prose", block.start, block.end)
        yield from _words(text, block, begin, width, measure, typeset)


def _displayed(
    text: str, block: Block, begin: int, width: float, measure: Measure, typeset: Typeset | None
) -> Line | None:
    """The line of a displayed formula. None if it does not fit, or its source was begun."""
    (span,) = block.formulas
    if typeset is None or begin > block.start:
        return None
    tail = text[span.end : block.end]
    made = typeset(span, block.kind, width - sum(measure(letter, block.kind) for letter in tail))
    if made is None:
        return None
    source = " ".join(text[span.start : span.end].split())
    drawn = Drawn(0, len(source), *made)
    return Line(source + tail, block.kind, block.start, block.end, True, (drawn,))


def _words(
    text: str,
    block: Block,
    begin: int,
    width: float,
    measure: Measure,
    typeset: Typeset | None,
) -> Iterator[Line]:
    """Words that fit, line by line."""
    if block.kind == "heading" and begin == block.start:
        mark = HEADING.match(text, begin)
        begin = mark.end() if mark else begin
    space = measure(" ", block.kind)
    words: list[str] = []
    formulas: list[Drawn] = []
    used, since, until = 0.0, begin, begin
    first = not text[block.start : begin].strip("# ")
    for word in _fitting(text, block, begin, width, measure, typeset):
        if words and used + space + word.width > width:
            line = " ".join(words)
            yield Line(line, block.kind, since, until, first, tuple(formulas))
            words, formulas, used, first = [], [], 0.0, False
        if not words:
            since = word.start
        if word.formulas:
            at = sum(map(len, words)) + len(words)
            formulas += [
                Drawn(at + drawn.begin, at + drawn.end, drawn.formula, drawn.size)
                for drawn in word.formulas
            ]
        used += (space if words else 0.0) + word.width
        words.append(word.text)
        until = word.end
    if words:
        yield Line(" ".join(words), block.kind, since, until, first, tuple(formulas))


class Word(NamedTuple):
    """What stands between two blanks, formulas whole, or a part of it that fits a line."""

    text: str
    start: int
    end: int
    width: float
    formulas: tuple[Drawn, ...] = ()


def _fitting(
    text: str,
    block: Block,
    begin: int,
    width: float,
    measure: Measure,
    typeset: Typeset | None,
) -> Iterator[Word]:
    """The words of a block. One that is wider than a line is cut, its formulas are source."""
    if not block.formulas:
        for plain in WORD.finditer(text, begin, block.end):
            word, at = plain.group(), plain.start()
            for piece, place, needed in _pieces(word, at, width, block.kind, measure):
                yield Word(piece, place, place + len(piece), needed)
        return
    waiting = [span for span in reversed(block.formulas) if span.start >= begin]
    at = begin
    while (match := WORD.search(text, at, block.end)) is not None:
        start, at = match.span()
        inside: list[tuple[Span, Formula, int]] = []
        while typeset is not None and waiting and waiting[-1].start < at:
            span = waiting.pop()
            made = typeset(span, block.kind, width)
            if made is not None:
                inside.append((span, *made))
                rest = REST.match(text, span.end, block.end)
                at = rest.end() if rest else span.end
        if inside:
            whole = _with_formulas(text, start, at, inside, block.kind, measure)
            if whole.width <= width:
                yield whole
                continue
            at = match.end()
        for piece, place, needed in _pieces(match.group(), start, width, block.kind, measure):
            yield Word(piece, place, place + len(piece), needed)


def _with_formulas(
    text: str,
    start: int,
    end: int,
    inside: list[tuple[Span, Formula, int]],
    kind: Kind,
    measure: Measure,
) -> Word:
    written, used, at = "", 0.0, start
    formulas = []
    for span, formula, size in inside:
        used += sum(measure(letter, kind) for letter in text[at : span.start])
        written += text[at : span.start]
        source = " ".join(text[span.start : span.end].split())
        drawn = Drawn(len(written), len(written) + len(source), formula, size)
        formulas.append(drawn)
        written += source
        used += drawn.width
        at = span.end
    used += sum(measure(letter, kind) for letter in text[at:end])
    return Word(written + text[at:end], start, end, used, tuple(formulas))


def _cut(text: str, block: Block, begin: int, width: float, measure: Measure) -> Iterator[Line]:
    """A line of code or of a table, cut where it is wider than the page."""
    content = text[begin : block.end].rstrip().replace("\t", " ")
    for number, (piece, at, _) in enumerate(_pieces(content, begin, width, block.kind, measure)):
        end = min(block.end, at + len(piece))
        yield Line(piece, block.kind, at, end, number == 0 and begin == block.start)


def _pieces(
    word: str, at: int, width: float, kind: Kind, measure: Measure
) -> Iterator[tuple[str, int, float]]:
    """The word, or parts of it that fit, with their places and widths."""
    begin, used = 0, 0.0
    for number, letter in enumerate(word):
        needed = measure(letter, kind)
        if used + needed > width and number > begin:
            yield word[begin:number], at + begin, used
            begin, used = number, 0.0
        used += needed
    yield word[begin:], at + begin, used


def page_text(lines: list[Line]) -> str:
    """What a reader of the page would write down.

    Lines of a paragraph are joined by spaces, or by nothing where a word was cut. Blocks stand on
    lines of their own.
    """
    parts: list[str] = []
    for before, line in zip([None, *lines], lines, strict=False):
        if before is not None:
            same = not line.first and line.kind == before.kind
            parts.append(("" if before.end == line.start else " ") if same else "\n")
        parts.append(line.text)
    return "".join(parts)
