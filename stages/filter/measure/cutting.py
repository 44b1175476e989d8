"""Writing the edited texts: the lines that were taken out, and the marks cut out of lines, leave
the text as it came. What is cut is listed, so that it can be recorded and undone.
"""

# numba needs 64-bit integers and Python's kept apart. For readers and mypy they are the same.
# mypy: disable-error-code="assignment,return-value"

from typing import NamedTuple, TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.filter.measure.line_counts import STAYS
from corpusmill.stages.filter.measure.line_kinds import BLANK, KIND
from corpusmill.stages.filter.measure.marks import LINE_BEGIN, LINE_PART
from corpusmill.stages.filter.measure.view import IN_VIEW, Structure
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Integers: TypeAlias = NDArray[np.int32]

SPAN_LINE, SPAN_BEGIN, SPAN_END = range(3)
CUT_TEXT, CUT_BEGIN, CUT_END = range(3)


class Edits(NamedTuple):
    """What the edits take out of the views of texts.

    fates: by line of the view, the number of the edit that takes it out, STAYS for none. spans: of
    each piece that goes out of a line that stays: the line, its first byte in the view, and the
    byte behind it. n_spans: how many, in one element.
    """

    fates: Bytes
    spans: Integers
    n_spans: Integers


@njit
def cut_texts(
    texts: Bytes,
    offsets: NDArray[np.int64],
    begins: NDArray[np.int64],
    lines: Integers,
    text_lines: Integers,
    source: Structure,
    edits: Edits,
    edited: Bytes,
    edited_offsets: Integers,
    cuts: Integers,
) -> int:
    """Write the edited texts, and list what is cut. Returns the number of cuts.

    texts, offsets: as they came. begins: where their views begin. lines, text_lines: of the views
    (`marks.mark_bytes`). edited: as large as the texts. edited_offsets: one more than there are
    texts. cuts: for each, the number of its text, and its first byte and the byte behind it in the
    text.

    A blank line goes if a line before it went, and no line that stays stands between it and another
    blank line or the text's begin. Blank lines behind the last line that stays go too, if any line
    went.
    """
    n_cuts = span = write = 0
    for text in range(begins.size - 1):
        edited_offsets[text] = write
        first_cut = n_cuts
        n_cuts, span = _list_cuts(
            offsets, begins, lines, text_lines, source, edits, text, span, cuts, n_cuts
        )
        read = offsets[text]
        for cut in range(first_cut, n_cuts):
            write = _copy(texts, read, offsets[text] + cuts[CUT_BEGIN, cut], edited, write)
            read = offsets[text] + cuts[CUT_END, cut]
        write = _copy(texts, read, offsets[text + 1], edited, write)
    edited_offsets[begins.size - 1] = write
    return n_cuts


@njit
def _list_cuts(
    offsets: NDArray[np.int64],
    begins: NDArray[np.int64],
    lines: Integers,
    text_lines: Integers,
    source: Structure,
    edits: Edits,
    text: int,
    span: int,
    cuts: Integers,
    n: int,
) -> tuple[int, int]:
    """List the cuts of one text. Returns the new number of cuts, and the first span of the next
    text.
    """
    view, first_cut, size = text_lines[text], n, offsets[text + 1] - offsets[text]
    begin = kept = 0
    was_blank, drops_blanks, went = True, False, False
    for line in range(source.text_lines[text], source.text_lines[text + 1]):
        end = source.ends[line] - begins[text]
        after = min(end + 1, size)
        if source.kinds[line] & IN_VIEW == 0:
            was_blank = source.kinds[line] & KIND == BLANK
            if not was_blank:
                kept, drops_blanks = end, False
        else:
            if edits.fates[view] != STAYS:
                n = _cut(cuts, n, first_cut, text, begin, after)
                drops_blanks = went = True
            elif lines[LINE_PART, view] == lines[LINE_PART, view + 1]:
                if drops_blanks and was_blank:
                    n = _cut(cuts, n, first_cut, text, begin, after)
                was_blank = True
            else:
                shift = begin - lines[LINE_BEGIN, view]
                while span < edits.n_spans[0] and edits.spans[SPAN_LINE, span] == view:
                    n = _cut(
                        cuts, n, first_cut, text,
                        edits.spans[SPAN_BEGIN, span] + shift, edits.spans[SPAN_END, span] + shift,
                    )  # fmt: skip
                    span += 1
                kept = end
                was_blank = drops_blanks = False
            view += 1
        begin = after
    if went and kept < size:
        while n > first_cut and cuts[CUT_BEGIN, n - 1] >= kept:
            n -= 1
        n = _cut(cuts, n, first_cut, text, kept, size)
    return n, span


@njit
def _cut(cuts: Integers, n: int, first: int, text: int, begin: int, end: int) -> int:
    """Add a cut, or lengthen the one that ends where it begins. Returns the number of cuts."""
    if n > first and cuts[CUT_END, n - 1] >= begin:
        if end > cuts[CUT_END, n - 1]:
            cuts[CUT_END, n - 1] = end
        return n
    cuts[CUT_TEXT, n], cuts[CUT_BEGIN, n], cuts[CUT_END, n] = text, begin, end
    return n + 1


@njit
def _copy(texts: Bytes, begin: int, end: int, edited: Bytes, write: int) -> int:
    for index in range(end - begin):
        edited[np.uint64(write + index)] = texts[np.uint64(begin + index)]
    return write + end - begin
