"""A document's text as lines that fit a column, each with its place in the text.

The text is the light Markdown that extraction writes. Code keeps its lines and its indentation, a
table its rows; paragraphs are wrapped. A paragraph outside a fence counts as code if most of its
lines look like it, so that source files keep their lines.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

Kind = Literal["prose", "heading", "code", "table"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Measure = Callable[[str, Kind], float]  # width in pixels of a letter in the font of a kind

WORD = re.compile(r"\S+")
FENCE = re.compile(r"\s*(```|~~~)")
HEADING = re.compile(r"#{1,6}\s+")
# Indented, or ending as statements do.
CODE_LINE = re.compile(r"^(?:[ ]{2}|\t)|(?:[{};]|\w\([^ ].*\))\s*$")
RULE = re.compile(r"\s*\|?[\s:|-]*-[\s:|-]*\|?\s*")


@dataclass(frozen=True)
class Block:
    """A paragraph, a heading, or a line of code or of a table: text[start:end]."""

    kind: Kind
    start: int
    end: int


@dataclass(frozen=True)
class Line:
    """One line of a page. start, end: its place in the document. first: it begins a block."""

    text: str
    kind: Kind
    start: int
    end: int
    first: bool


@lru_cache(maxsize=1)
def blocks(text: str) -> tuple[Block, ...]:
    """The blocks of the text, in order. Those of the last text are kept for its next page."""
    return tuple(_blocks(text))


def _blocks(text: str) -> Iterator[Block]:
    in_code = False
    paragraph: list[Block] = []
    at = 0
    for line in text.splitlines(keepends=True):
        begin, at = at, at + len(line)
        fence = FENCE.match(line) is not None
        kind = "code" if in_code and not fence and line.strip() else _kind(line)
        if kind == "prose":
            paragraph.append(Block("prose", begin, at))
            continue
        yield from _ended(text, paragraph)
        paragraph = []
        in_code ^= fence
        if kind is not None:
            yield Block(kind, begin, at)
    yield from _ended(text, paragraph)


def _kind(line: str) -> Kind | None:
    """What a line outside code is. None: a blank line, a fence, the rule below a table's head."""
    content = line.strip()
    if not content or FENCE.match(line):
        return None
    if content.startswith("|") and content.count("|") > 1:
        return None if RULE.fullmatch(content) else "table"
    return "heading" if HEADING.match(content) else "prose"


def _ended(text: str, lines: list[Block]) -> Iterator[Block]:
    """A paragraph as one block, or as lines of code."""
    if not lines:
        return
    alike = sum(CODE_LINE.search(text[line.start : line.end]) is not None for line in lines)
    if 2 * alike <= len(lines):
        yield Block("prose", lines[0].start, lines[-1].end)
        return
    for line in lines:
        yield Block("code", line.start, line.end)


def wrapped(text: str, start: int, width: float, measure: Measure) -> Iterator[Line]:
    """Lines of at most `width` pixels from the text behind `start`, in order."""
    found = blocks(text)
    for block in found[bisect_right(found, start, key=lambda block: block.end) :]:
        begin = max(block.start, start)
        if block.kind in ("prose", "heading"):
            yield from _words(text, block, begin, width, measure)
        else:
            yield from _cut(text, block, begin, width, measure)


def _words(text: str, block: Block, begin: int, width: float, measure: Measure) -> Iterator[Line]:
    """Words that fit, line by line. A word that is wider than a line is cut."""
    if block.kind == "heading" and begin == block.start:
        mark = HEADING.match(text, begin)
        begin = mark.end() if mark else begin
    space = measure(" ", block.kind)
    words: list[str] = []
    used, since, until = 0.0, begin, begin
    first = not text[block.start : begin].strip("# ")
    for match in WORD.finditer(text, begin, block.end):
        for piece, at, needed in _pieces(match.group(), match.start(), width, block.kind, measure):
            if words and used + space + needed > width:
                yield Line(" ".join(words), block.kind, since, until, first)
                words, used, first = [], 0.0, False
            if not words:
                since = at
            used += (space if words else 0.0) + needed
            words.append(piece)
            until = at + len(piece)
    if words:
        yield Line(" ".join(words), block.kind, since, until, first)


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
