"""Which lines are prose: sentences, items of lists, verse. Menus and lists of titles have few.

Headings are none. Nor is a line that ends in an ellipsis, since feeds cut their teasers so.
"""

from typing import TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.filter.measure.line_ends import CUT_OFF, WHOLE, sentence_end
from corpusmill.stages.filter.measure.marks import LINE_PART
from corpusmill.stages.filter.measure.view import LISTED, TITLE, VERSE
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Integers: TypeAlias = NDArray[np.int32]

# The fewest parts of a line: of one that ends as a sentence does, or of an item; of verse; of any
# other line. Chosen by benchmarks/filter_quality, where most choices are as good.
PARTS_OF_SENTENCE, PARTS_OF_VERSE, PARTS_OF_OTHERS = 5, 3, 20
DOLLAR, BACKSLASH = ord("$"), ord("\\")


@njit
def prose_parts(
    data: Bytes,
    edges: Integers,
    lines: Integers,
    flags: Bytes,
    first: int,
    last: int,
    line: int,
    classes: NDArray[np.uint16],
) -> int:
    """The number of parts of a line if it is prose, else 0.

    data, edges, lines: of `marks.mark_bytes`. flags: of the lines of the view. first, last: the
    first line of the text, and the line behind its last. classes: `characters.character_table`.
    """
    first_part, last_part = lines[LINE_PART, line], lines[LINE_PART, line + 1]
    parts = last_part - first_part
    if parts < PARTS_OF_VERSE or flags[line] & TITLE != 0:
        return 0
    if parts >= PARTS_OF_SENTENCE:
        for each in range(line, min(line + 2, last)):
            if each > first and _goes_on(data, edges, lines, flags, each):
                return parts
    begin, end = np.int64(edges[2 * first_part]), np.int64(edges[2 * last_part - 1])
    ends = sentence_end(data, begin, end, classes)
    if ends == CUT_OFF:
        return 0
    if ends == WHOLE or flags[line] & LISTED != 0:
        return parts if parts >= PARTS_OF_SENTENCE else 0
    return parts if flags[line] & VERSE != 0 or parts >= PARTS_OF_OTHERS else 0


@njit
def _goes_on(data: Bytes, edges: Integers, lines: Integers, flags: Bytes, line: int) -> bool:
    """Whether a line goes on in the middle of a sentence, since the paragraph was broken to a
    width: the line above it stands in the same paragraph, and it begins with a small letter or TeX.
    """
    before, first_part = lines[LINE_PART, line - 1], lines[LINE_PART, line]
    if before == first_part or first_part == lines[LINE_PART, line + 1]:
        return False  # one of the two has no part
    if flags[line] & LISTED != 0 or flags[line - 1] & TITLE != 0:
        return False
    code = data[edges[2 * first_part]]
    return bool(97 <= code <= 122 or code in (DOLLAR, BACKSLASH))
