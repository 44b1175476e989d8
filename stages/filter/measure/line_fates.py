"""What C4's and RefinedWeb's line edits do with a line: it stays, or one of the edits takes it out.

A fate is STAYS, or the count (`line_counts`) of the edit that takes the line out.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import inlined, uncounted
from corpusmill.stages.filter.measure.citations import is_all_marks
from corpusmill.stages.filter.measure.furniture import (
    BRACES,
    CURLY,
    call_to_act,
    furniture,
    is_notice,
)
from corpusmill.stages.filter.measure.line_bytes import has_text, holds
from corpusmill.stages.filter.measure.line_counts import (
    CURLY_BRACKETS,
    EMPTIED,
    FEW_WORDS,
    JAVASCRIPT,
    LONG_WORD,
    LOREM_IPSUM,
    POLICY,
    REMOVED_PARTS,
    STAYS,
    UNPUNCTUATED,
    UPPERCASE,
)
from corpusmill.stages.filter.measure.line_ends import ends_as_sentence, ends_line, ends_well
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Row: TypeAlias = NDArray[np.int64]

SHORT_WORDS = 10  # only a line of at most so many may lose a phrase; RefinedWeb
LOREM, SCRIPT, POLICIES, CART = 1, 2, 4, 8  # bits of the phrases in a line


class EditNumbers(NamedTuple):
    """The line edits as numbers. 0 and False switch an edit off. phrases: bits of the phrases that
    take a line out.
    """

    minimum_words: int
    short_sentences: bool
    longest_word: int
    terminal_punctuation: bool
    phrases: int
    longest_notice: int
    citations: bool
    brackets_in_code: bool
    refinedweb: bool


@inlined
def c4_fate(
    data: Bytes,
    begin: int,
    end: int,
    n_parts: int,
    is_too_long: bool,
    is_marked: bool,
    phrases: int,
    noticed: int,
    edits: EditNumbers,
    row: Row,
) -> int:
    """Which of C4's edits takes a line out. Their order is C4's, since it decides which count
    rises.
    """
    if is_too_long:
        return LONG_WORD
    if edits.terminal_punctuation and not ends_well(data, begin, end, is_marked):
        return UNPUNCTUATED
    if n_parts < edits.minimum_words or (is_marked and is_all_marks(data, begin, end)):
        return FEW_WORDS
    row[LOREM_IPSUM] += phrases & LOREM != 0
    if phrases & SCRIPT & edits.phrases:
        return JAVASCRIPT
    row[CURLY_BRACKETS] += noticed & BRACES != 0 and holds(data, begin, end, CURLY)
    if phrases & POLICIES & edits.phrases:
        return POLICY
    return STAYS


@inlined
def refinedweb_fate(
    data: Bytes, begin: int, end: int, n_parts: int, phrases: int
) -> tuple[int, int, int, int]:
    """Whether RefinedWeb's edits take a line out. If not: begin, end and words of the phrase that
    it loses.
    """
    fate = furniture(data, begin, end, n_parts)
    if fate != STAYS or n_parts > SHORT_WORDS:
        return fate, begin, begin, 0
    skip_begin, skip_end, skipped = call_to_act(data, begin, end, phrases & CART != 0)
    if skip_end > skip_begin and not has_text(data, begin, skip_begin, skip_end, end):
        return EMPTIED, begin, begin, 0
    return STAYS, skip_begin, skip_end, skipped


@uncounted
def is_content(
    data: Bytes,
    classes: NDArray[np.uint16],
    edits: EditNumbers,
    fate: int,
    begin: int,
    end: int,
    n_parts: int,
) -> bool:
    """Whether a line that C4 takes out stays all the same: it is a short sentence, or too long for
    a notice, or has none of a notice's words.
    """
    if fate == FEW_WORDS:
        return not edits.short_sentences and (
            ends_line(data, begin, end, classes) or ends_as_sentence(data, begin, end)
        )
    if edits.longest_notice == 0:
        return False
    is_long = edits.longest_notice < n_parts
    if fate == JAVASCRIPT:
        return is_long or not is_notice(data, begin, end)
    return is_long and fate == POLICY


@inlined
def count_removed(fate: int, n_parts: int, row: Row) -> None:
    row[fate] += 1
    if fate >= UPPERCASE:
        row[REMOVED_PARTS] += n_parts
