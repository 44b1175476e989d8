"""A document's text as blocks: paragraphs, headings, formulas, lines of code and of tables.

The text is the light Markdown that extraction writes. A paragraph outside a fence counts as code if
most of its lines look like it, so that source files keep their lines.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

from corpusmill.stages.render.formulas import Span, spans

Kind = Literal["prose", "heading", "code", "table", "formula"]
KINDS: tuple[Kind, ...] = get_args(Kind)

TAIL = re.compile(r"[.,;:]?(?=\s|\Z)")  # behind a displayed formula
FENCE = re.compile(r"\s*(```|~~~)")
HEADING = re.compile(r"#{1,6}\s+")
# Indented, or ending as statements do.
CODE_LINE = re.compile(r"^(?:[ ]{2}|\t)|(?:[{};]|\w\([^ ].*\))\s*$")
RULE = re.compile(r"\s*\|?[\s:|-]*-[\s:|-]*\|?\s*")


@dataclass(frozen=True)
class Block:
    """A paragraph, a heading, a displayed formula, or a line of code or of a table:
    text[start:end]. formulas: those in it.
    """

    kind: Kind
    start: int
    end: int
    formulas: tuple[Span, ...] = ()


@lru_cache(maxsize=1)
def blocks(text: str, formulas: bool = False) -> tuple[Block, ...]:
    """The blocks of the text, in order. Those of the last text are kept for its next page.

    Without `formulas`, their source is text as any other.
    """
    return tuple(_blocks(text, formulas))


def _blocks(text: str, formulas: bool) -> Iterator[Block]:
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
        yield from _ended(text, paragraph, formulas)
        paragraph = []
        in_code ^= fence
        if kind == "heading" and formulas:
            found = (span for span in spans(text, begin, at) if not span.display)
            yield Block(kind, begin, at, tuple(found))
        elif kind is not None:
            yield Block(kind, begin, at)
    yield from _ended(text, paragraph, formulas)


def _kind(line: str) -> Kind | None:
    """What a line outside code is. None: a blank line, a fence, the rule below a table's head."""
    content = line.strip()
    if not content or FENCE.match(line):
        return None
    if content.startswith("|") and content.count("|") > 1:
        return None if RULE.fullmatch(content) else "table"
    return "heading" if HEADING.match(content) else "prose"


def _ended(text: str, lines: list[Block], formulas: bool) -> Iterator[Block]:
    """A paragraph as blocks. A formula on lines of its own is no code, however it looks."""
    if not lines:
        return
    start, end = lines[0].start, lines[-1].end
    if not formulas or (text.find("$", start, end) < 0 and text.find("\\", start, end) < 0):
        yield from _paragraph(text, lines, [])
        return
    found = spans(text, start, end)
    first = done_lines = done_spans = 0
    for number, span in enumerate(found):
        while lines[first].end <= span.start:
            first += 1
        last = first
        while lines[last].end < span.end:
            last += 1
        end = _tail(text, span)
        alone = not text[lines[first].start : span.start].strip()
        if span.display and alone and not text[end : lines[last].end].strip():
            yield from _paragraph(text, lines[done_lines:first], found[done_spans:number])
            yield Block("formula", span.start, end, (span,))
            done_lines, done_spans = last + 1, number + 1
    yield from _paragraph(text, lines[done_lines:], found[done_spans:])


def _paragraph(text: str, lines: list[Block], found: list[Span]) -> Iterator[Block]:
    """Prose, cut at displayed formulas, or lines of code."""
    if not lines:
        return
    alike = sum(CODE_LINE.search(text[line.start : line.end]) is not None for line in lines)
    if 2 * alike > len(lines):
        for line in lines:
            yield Block("code", line.start, line.end)
        return
    at, end = lines[0].start, lines[-1].end
    inline: list[Span] = []
    for span in found:
        if not span.display:
            inline.append(span)
            continue
        if text[at : span.start].strip():
            yield Block("prose", at, span.start, tuple(inline))
        at, inline = _tail(text, span), []
        yield Block("formula", span.start, at, (span,))
    if text[at:end].strip():
        yield Block("prose", at, end, tuple(inline))


def _tail(text: str, span: Span) -> int:
    """Where a displayed formula ends with the mark behind it."""
    match = TAIL.match(text, span.end)
    return match.end() if match else span.end
