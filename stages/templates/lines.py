"""Kernels over the lines of texts: what each line is, and which runs of lines go.

A line is identified by a hash of its words: white space at its ends does not count, and runs of
it count as one blank. Lines in code fences, lines between `$$` and rows of tables are protected.
Each text is read once.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.columns.strings import Strings
from corpusmill.stages.dedup.signatures.words import mix

PLAIN, BLANK, PROTECTED, HEADING = range(4)

_PRIME = np.uint64(0x00000100000001B3)
_BASIS = np.uint64(0xCBF29CE484222325)
_NEWLINE, _TICK, _TILDE, _DOLLAR, _HASH, _BAR = 0x0A, 0x60, 0x7E, 0x24, 0x23, 0x7C


@dataclass(frozen=True)
class Lines:
    """The lines of texts, one text after the other. Those of text i are offsets[i]:offsets[i + 1].

    begins: places in the bytes; a line ends where the next one begins, newline included. hashes:
    never 0. words: separated by white space. kinds: PLAIN, BLANK, PROTECTED or HEADING.
    """

    offsets: npt.NDArray[np.int64]
    begins: npt.NDArray[np.int64]
    hashes: npt.NDArray[np.uint64]
    words: npt.NDArray[np.int32]
    kinds: npt.NDArray[np.uint8]


def lines_of(texts: Strings) -> Lines:
    """The lines of all texts."""
    data, places = texts
    room = int(np.count_nonzero(data[places[0] : places[-1]] == _NEWLINE)) + len(places)
    offsets = np.zeros(len(places), np.int64)
    begins, hashes = np.empty(room, np.int64), np.empty(room, np.uint64)
    words, kinds = np.empty(room, np.int32), np.empty(room, np.uint8)
    count = _find_lines(data, places, offsets, begins, hashes, words, kinds)
    return Lines(offsets, begins[:count], hashes[:count], words[:count], kinds[:count])


def cut_spans(
    lines: Lines,
    places: npt.NDArray[np.int64],
    template: npt.NDArray[np.bool_],
    min_words: int,
    headings: bool,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """What to remove: (offsets, begins, ends). The spans of text i are offsets[i]:offsets[i + 1].

    places: where each text begins. template: for each line, whether it is of its site's template.
    A span is a run of such lines, with the blank lines between and behind them. At the end of a
    text it takes the blank lines before it instead.
    """
    offsets = np.zeros(len(places), np.int64)
    begins, ends = np.empty((2, len(lines.begins)), np.int64)
    count = _find_spans(
        lines.offsets,
        lines.begins,
        lines.words,
        lines.kinds,
        template,
        places,
        min_words,
        headings,
        offsets,
        begins,
        ends,
    )
    return offsets, begins[:count], ends[:count]


@njit(nogil=True)
def _find_lines(
    data: Any, places: Any, offsets: Any, begins: Any, hashes: Any, words: Any, kinds: Any
) -> int:
    count = 0
    for text in range(len(places) - 1):
        at, end = places[text], places[text + 1]
        fence, formula, was_row = 0, False, False
        while at < end:
            begins[count] = at
            value, count_words, in_word, first, marks = _BASIS, 0, False, -1, 0
            is_row = False
            while at < end and data[at] != _NEWLINE:
                byte = data[at]
                if byte == 0x20 or 0x09 <= byte <= 0x0D:
                    in_word = False
                else:
                    if not in_word:
                        count_words += 1
                        value = (value ^ np.uint64(0x20)) * _PRIME
                        in_word = True
                        is_row = is_row or byte == _BAR
                    value = (value ^ np.uint64(byte)) * _PRIME
                    if first < 0:
                        first = byte
                    if byte == first and marks >= 0:
                        marks += 1
                    elif marks > 0:
                        marks = -marks  # the run of the first sign is over
                at += 1
            at += at < end
            marks = abs(marks)
            hashes[count] = max(mix(value), np.uint64(1))
            words[count] = count_words
            is_fence = (first in (_TICK, _TILDE)) and marks >= 3
            is_formula = first == _DOLLAR and marks == 2 and count_words == 1
            after_row = is_row and was_row
            was_row = is_row
            if fence or formula or is_fence or is_formula or after_row:
                kinds[count] = PROTECTED
                if after_row:
                    kinds[count - 1] = PROTECTED
            elif count_words == 0:
                kinds[count] = BLANK
            else:
                kinds[count] = HEADING if first == _HASH and marks <= 6 else PLAIN
            if is_fence and (fence in (0, first)):
                fence = 0 if fence else first
            if is_formula and not fence:
                formula = not formula
            count += 1
        offsets[text + 1] = count
    return count


@njit(nogil=True)
def _find_spans(
    line_offsets: Any,
    line_begins: Any,
    words: Any,
    kinds: Any,
    template: Any,
    places: Any,
    min_words: int,
    headings: bool,
    offsets: Any,
    begins: Any,
    ends: Any,
) -> int:
    count = 0
    for text in range(len(places) - 1):
        line, stop = line_offsets[text], line_offsets[text + 1]
        kept_end = places[text]  # behind the last line that stays and is not blank
        while line < stop:
            if not template[line]:
                if kinds[line] != BLANK:
                    kept_end = line_begins[line + 1] if line + 1 < stop else places[text + 1]
                line += 1
                continue
            first, total, last = line, 0, line
            while line < stop and (template[line] or kinds[line] == BLANK):
                if template[line]:
                    total += words[line]
                    last = line
                line += 1
            if not headings:
                # A heading at the end of a run belongs to what follows it.
                while line < stop and last >= first and kinds[last] in (HEADING, BLANK):
                    total -= words[last] if template[last] else 0
                    last -= 1
                if last < first:
                    total = 0
                elif line < stop:
                    line = last + 1
                    while line < stop and kinds[line] == BLANK:
                        line += 1
            if total < min_words:
                kept_end = line_begins[line] if line < stop else places[text + 1]
                continue
            begins[count] = line_begins[first] if line < stop else kept_end
            ends[count] = line_begins[line] if line < stop else places[text + 1]
            touches = first > line_offsets[text] and kinds[first - 1] != BLANK
            if line < stop and touches and kinds[line - 1] == BLANK:
                ends[count] = line_begins[line - 1]  # one blank line stays at the seam
            count += 1
            if line < stop and template[line]:  # the heading that stays
                while line < stop and (template[line] or kinds[line] == BLANK):
                    line += 1
                kept_end = line_begins[line] if line < stop else places[text + 1]
        offsets[text + 1] = count
    return count
