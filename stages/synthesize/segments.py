"""Cut a document into segments that fit a prompt, by the engine's own tokens. Nothing is left out.

Nemotron-CC (Su et al. 2024, arXiv 2412.02595, section 2.3) splits at newlines and joins
neighbouring lines up to the prompt's input limit. The public recipe drops a line that is longer
than the limit. So it joins lines that were not neighbours. Here such a line is cut at sentence
ends, and a longer sentence at token borders. The segments of a document are about equally long,
so the last one is not too short.
"""

import itertools
import re
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from corpusmill.stages.engines.chat import ChatTokenizer

# After the final mark of a sentence and its closing quotes or brackets. In scripts without spaces,
# right after the mark.
_SENTENCE_END = re.compile(
    r"(?<![.!?…])[.!?…]++[\"'”’)\]]*+\s++|[。！？]++[」』”）]*+\s*+"  # nothing is looked at twice
)
_LINE_END = re.compile(r"\n+")


@dataclass(frozen=True)
class Segment:
    """Characters [start, end) of the document, without white space at both ends.

    n_tokens: tokens of the segment by itself.
    """

    start: int
    end: int
    n_tokens: int


def segment(
    text: str,
    budget: int,
    tokenizer: ChatTokenizer,
    fits: Callable[[str], int] | None = None,
    starts: list[int] | None = None,
) -> list[Segment]:
    """The segments of `text`, in order. Together they hold every character, except white space
    between them.

    budget: tokens that a segment may have. fits: how many tokens the finished prompt of a segment
    has too many; 0 or less means that it fits. Tokens may merge differently inside the prompt. Then
    the segment is cut again with a smaller budget. starts: where the text's tokens begin, if that
    is already known. Raises ValueError if the budget leaves no room for text.
    """
    if budget < 1:
        raise ValueError("no room for text")
    starts = tokenizer.starts(text) if starts is None else starts
    spans = _balanced(_units(text, starts, budget), starts, budget)
    segments: list[Segment] = []
    for start, end in spans:
        segments += _checked(text, start, end, budget, tokenizer, fits)
    return segments


def _checked(
    text: str,
    start: int,
    end: int,
    budget: int,
    tokenizer: ChatTokenizer,
    fits: Callable[[str], int] | None,
) -> list[Segment]:
    start, end = _stripped(text, start, end)
    if start >= end:
        return []
    inner = text[start:end]
    n_tokens = tokenizer.count([inner])[0]
    excess = max(n_tokens - budget, fits(inner) if fits else 0)
    if excess <= 0 or end - start == 1:
        return [Segment(start, end, n_tokens)]
    smaller = max(1, min(n_tokens, budget) - excess)
    if smaller >= n_tokens:
        smaller = max(1, n_tokens // 2)
    starts = tokenizer.starts(inner)
    spans = _balanced(_units(inner, starts, smaller), starts, smaller)
    if len(spans) == 1:
        middle = (end - start) // 2
        spans = [(0, middle), (middle, end - start)]
    return [
        piece
        for inner_start, inner_end in spans
        for piece in _checked(
            text, start + inner_start, start + inner_end, smaller, tokenizer, fits
        )
    ]


def _units(text: str, starts: list[int], budget: int) -> list[tuple[int, int]]:
    """The smallest spans to keep whole: lines, sentences of long lines, and runs of tokens of long
    sentences.
    """
    units = []
    for line in _cut(0, len(text), [found.end() for found in _LINE_END.finditer(text)]):
        if _tokens(starts, *line) <= budget:
            units.append(line)
            continue
        ends = [found.end() for found in _SENTENCE_END.finditer(text, *line)]
        for sentence in _cut(*line, ends):
            if _tokens(starts, *sentence) <= budget:
                units.append(sentence)
            else:
                units += _token_runs(text, starts, sentence, budget)
    return units


def _token_runs(
    text: str, starts: list[int], span: tuple[int, int], budget: int
) -> list[tuple[int, int]]:
    """Cut every `budget` tokens, or at the last white space in the second half of a run."""
    start, end = span
    runs = []
    while _tokens(starts, start, end) > budget:
        first = bisect_left(starts, start)
        border = starts[first + budget]
        # Several tokens may spell one character (bytes). All of them begin where it begins.
        border = max(border, start + 1)
        space = max(text.rfind(mark, start + (border - start) // 2, border) for mark in " \t")
        if space > start:
            border = space + 1
        runs.append((start, border))
        start = border
    if start < end:
        runs.append((start, end))
    return runs


def _balanced(
    units: list[tuple[int, int]], starts: list[int], budget: int
) -> list[tuple[int, int]]:
    """Join neighbours up to the budget. A segment ends once it holds its share of the document."""
    total = sum(_tokens(starts, *unit) for unit in units)
    share = -(-total // max(1, -(-total // budget)))
    spans: list[tuple[int, int]] = []
    held = 0
    for start, end in units:
        tokens = _tokens(starts, start, end)
        if spans and held < share and held + tokens <= budget:
            spans[-1] = (spans[-1][0], end)
            held += tokens
        else:
            spans.append((start, end))
            held = tokens
    return spans


def _tokens(starts: list[int], start: int, end: int) -> int:
    """Tokens that begin within [start, end)."""
    return bisect_left(starts, end) - bisect_left(starts, start)


def _cut(start: int, end: int, borders: list[int]) -> list[tuple[int, int]]:
    """[start, end), divided at the borders."""
    marks = [start, *(border for border in borders if start < border < end), end]
    return [(first, second) for first, second in itertools.pairwise(marks) if first < second]


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    inner = text[start:end]
    return start + len(inner) - len(inner.lstrip()), start + len(inner.rstrip())
