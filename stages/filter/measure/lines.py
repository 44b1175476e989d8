"""The kernel that measures lines, and decides which the line edits take out.

Gopher's rules see the lines before edits. C4's and FineWeb's rules see the lines that the edits
leave, stripped. Two lines are the same if their parts have the same hashes and their lengths are
the same. A line that is part of a structure (`structure`, `verse`) is judged like the others, since
the published thresholds were set so. But it stays in the text, whole.

Definitions: `stages.filter.statistics`; edits: `stages.filter.line_edits`.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import inlined, njit, uncounted
from corpusmill.stages.filter.measure.citations import OPENING, citation_at, is_code
from corpusmill.stages.filter.measure.cutting import SPAN_BEGIN, SPAN_END, SPAN_LINE, Edits
from corpusmill.stages.filter.measure.furniture import (
    LETTERS,
    OPENS,
    look_over,
    noticed_in,
    phrases_in,
)
from corpusmill.stages.filter.measure.line_bytes import has_tex, holds, is_bullet
from corpusmill.stages.filter.measure.line_counts import (
    BOILERPLATE_LINES,
    BULLETS,
    ELLIPSIS_ENDS,
    FILLED_LINES,
    KEPT_CHARACTERS,
    KEPT_ENDS,
    KEPT_LINES,
    KEPT_SENTENCES,
    KEPT_SHORT,
    KEPT_TOKENS,
    LINES,
    NEWLINES,
    PARAGRAPHS,
    PARTS,
    PROSE_PARTS,
    REMOVED_PARTS,
    STAYS,
    TEXT_LINES,
)
from corpusmill.stages.filter.measure.line_ends import ends_in_ellipsis, ends_line
from corpusmill.stages.filter.measure.line_fates import (
    LOREM,
    POLICIES,
    EditNumbers,
    c4_fate,
    count_removed,
    is_content,
    refinedweb_fate,
)
from corpusmill.stages.filter.measure.line_repeats import Found, Items, count_repeats, find_items
from corpusmill.stages.filter.measure.marks import (
    LINE_BEGIN,
    LINE_CONTINUATIONS,
    LINE_END,
    LINE_PART,
)
from corpusmill.stages.filter.measure.parts import longest_part
from corpusmill.stages.filter.measure.prose import prose_parts
from corpusmill.stages.filter.measure.view import BULLET, SPARED
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Keys: TypeAlias = NDArray[np.uint64]
Integers: TypeAlias = NDArray[np.int32]
Row: TypeAlias = NDArray[np.int64]

SHORT_LINE = 30  # characters; FineWeb
EQUALS = ord("=")


class Lines(NamedTuple):
    """The lines of a block of texts. data, bits, edges, lines, text_lines: of `marks.mark_bytes`.

    hashes, longest: of `parts.hash_lines`. counts: of `tokens.measure_tokens`. flags: of
    `structure.find_structure` and `verse.spare_verse`. noticed: a byte for each `furniture.GROUP`
    bytes, filled here. scratch: room for the longest line.
    """

    data: Bytes
    bits: Keys
    edges: Integers
    lines: Integers
    text_lines: Integers
    hashes: Keys
    longest: NDArray[np.int64]
    counts: Integers
    flags: Bytes
    noticed: Bytes
    scratch: Bytes


class LineTables(NamedTuple):
    """classes: `characters.character_table`. phrases, phrase_table: `line_edits.phrase_tables`."""

    classes: NDArray[np.uint16]
    phrases: Bytes
    phrase_table: Integers


@njit
def edit_lines(
    block: Lines,
    tables: LineTables,
    edits: EditNumbers,
    no_edits: EditNumbers,
    unedited: NDArray[np.bool_],
    strips: bool,
    out: Edits,
    counts: NDArray[np.int64],
) -> None:
    """Measure the lines of each text, and list what the edits take out.

    unedited: by text, whether it stays as it is. strips: whether lines are measured without the
    white space around them, as they are where any family edits. out: filled, with room for a span
    for every two bytes. counts: `line_counts.ROWS` x texts, zero.
    """
    text_lines, most = block.text_lines, 0
    for text in range(text_lines.size - 1):
        most = max(most, text_lines[text + 1] - text_lines[text])
    found = Found(
        Items(np.empty(most, np.uint64), np.empty(most, np.int64)),
        Items(np.empty(most, np.uint64), np.empty(most, np.int64)),
        Items(np.empty(most, np.uint64), np.empty(most, np.int64)),
        np.empty(4 * most + 4, np.int32),
    )
    out.n_spans[0] = 0
    look_over(block.data, block.lines[LINE_END, text_lines[-1] - 1], block.noticed)
    for text in range(text_lines.size - 1):
        is_edited = not unedited[text]
        rules = edits if is_edited else no_edits
        _edit_text(block, tables, rules, text, is_edited and strips, found, out, counts[:, text])


@uncounted
def _edit_text(
    block: Lines,
    tables: LineTables,
    edits: EditNumbers,
    text: int,
    strips: bool,
    found: Found,
    out: Edits,
    row: Row,
) -> None:
    """Measure and edit the lines of one text."""
    lines, edges = block.lines, block.edges
    first, last = block.text_lines[text], block.text_lines[text + 1]
    n_lines, n_paragraphs = find_items(lines, block.hashes, first, last, found)
    n_kept = 0
    for line in range(first, last):
        begin, end = np.int64(lines[LINE_BEGIN, line]), np.int64(lines[LINE_END, line])
        first_part, last_part = lines[LINE_PART, line], lines[LINE_PART, line + 1]
        out.fates[line] = STAYS
        if first_part == last_part:
            continue
        begin_line, end_line = np.int64(edges[2 * first_part]), np.int64(edges[2 * last_part - 1])
        is_spared = block.flags[line] & SPARED != 0
        fate, is_marked, skip_begin, skip_end, skipped = _judge(
            block, tables, edits, text, line, begin_line, end_line, row
        )
        if not is_spared and (fate != STAYS or is_marked or skipped > 0):
            is_spared = has_tex(block.data, begin, end) or is_content(
                block.data,
                tables.classes,
                edits,
                fate,
                begin_line,
                end_line,
                last_part - first_part,
            )
        if fate != STAYS:
            if not is_spared:
                count_removed(fate, last_part - first_part, row)
                out.fates[line] = fate
            continue
        if is_marked or skipped > 0:
            size = _cut_line(
                block, edits, out, line, begin, end, is_marked, skip_begin, skip_end, is_spared
            )
            stripped = size - (end - end_line)
            row[KEPT_ENDS] += ends_line(block.scratch, 0, stripped, tables.classes)
            row[REMOVED_PARTS] += 0 if is_spared else skipped
        else:
            size = end - begin
            if not strips:  # as in datatrove, unedited lines are not stripped
                begin_line, end_line = begin, end
            row[KEPT_ENDS] += ends_line(block.data, begin_line, end_line, tables.classes)
        length = size - (begin_line - begin) - (end - end_line) - lines[LINE_CONTINUATIONS, line]
        length += _continuations(block.data, begin, begin_line)
        length += _continuations(block.data, end_line, end)
        row[KEPT_CHARACTERS] += length
        row[KEPT_TOKENS] += block.counts[0, line]
        row[KEPT_SENTENCES] += block.counts[1, line]
        row[KEPT_SHORT] += length <= SHORT_LINE
        found.kept.keys[n_kept], found.kept.lengths[n_kept] = block.hashes[line], length
        n_kept += 1
    # A last line feed begins no line.
    ends_in_feed = lines[LINE_BEGIN, last - 1] == lines[LINE_END, last - 1]
    row[LINES], row[FILLED_LINES] = last - first - ends_in_feed, n_lines
    row[PARAGRAPHS], row[KEPT_LINES] = n_paragraphs, n_kept
    row[NEWLINES] = n_kept - 1 if strips and n_kept > 0 else last - first - 1
    count_repeats(found, n_lines, n_paragraphs, n_kept, row)


@uncounted
def _cut_line(
    block: Lines,
    edits: EditNumbers,
    out: Edits,
    line: int,
    begin: int,
    end: int,
    is_marked: bool,
    skip_begin: int,
    skip_end: int,
    is_spared: bool,
) -> int:
    """Copy a line to `scratch`, without its citation marks (if is_marked) and without the bytes
    from skip_begin to skip_end. List what goes, unless the line is spared.

    Returns the size of the copy.
    """
    data, spans, write, at = block.data, out.spans, 0, begin
    is_prose = edits.brackets_in_code or not (is_marked and holds(data, begin, end, EQUALS))
    while at < end:
        size = 0
        if at == skip_begin and skip_end > skip_begin:
            size = skip_end - at
        elif is_marked and data[at] == OPENING:
            size = citation_at(data, at, end)
            if not edits.brackets_in_code and is_code(data, begin, at, size, end, is_prose):
                size = 0
        if size > 0:
            if not is_spared:
                n = out.n_spans[0]
                spans[SPAN_LINE, n], spans[SPAN_BEGIN, n], spans[SPAN_END, n] = line, at, at + size
                out.n_spans[0] += 1
            at += size
        else:
            block.scratch[write] = data[at]
            write += 1
            at += 1
    return write


@inlined
def _judge(
    block: Lines,
    tables: LineTables,
    edits: EditNumbers,
    text: int,
    line: int,
    begin: int,
    end: int,
    row: Row,
) -> tuple[int, bool, int, int, int]:
    """Count what a line has, and decide what the edits do with it.

    begin, end: of the line without white space around it. Returns its fate: STAYS, or the count of
    the edit that takes it out. Then: whether it may hold citation marks; and begin, end and words
    of the phrase that it loses.
    """
    data, first_part, last_part = (
        block.data,
        block.lines[LINE_PART, line],
        block.lines[LINE_PART, line + 1],
    )
    n_parts = last_part - first_part
    row[TEXT_LINES] += 1
    row[PARTS] += n_parts
    row[BULLETS] += block.flags[line] & BULLET != 0 or is_bullet(data, begin, end)
    row[ELLIPSIS_ENDS] += ends_in_ellipsis(data, begin, end)
    row[PROSE_PARTS] += prose_parts(
        data, block.edges, block.lines, block.flags, block.text_lines[text],
        block.text_lines[text + 1], line, tables.classes,
    )  # fmt: skip
    noticed = noticed_in(block.noticed, begin, end)
    phrases = 0
    if noticed & LETTERS:
        phrases = phrases_in(data, begin, end, tables.phrases, tables.phrase_table)
    row[BOILERPLATE_LINES] += phrases & POLICIES != 0
    row[BOILERPLATE_LINES] += phrases & (POLICIES | LOREM) == LOREM
    is_marked = edits.citations and noticed & OPENS != 0 and holds(data, begin, end, OPENING)
    is_too_long = (
        0 < edits.longest_word < block.longest[text]
        and longest_part(block.bits, block.edges, first_part, last_part) > edits.longest_word
    )
    fate = c4_fate(data, begin, end, n_parts, is_too_long, is_marked, phrases, noticed, edits, row)
    if fate != STAYS or not edits.refinedweb:
        return fate, is_marked, begin, begin, 0
    fate, skip_begin, skip_end, skipped = refinedweb_fate(data, begin, end, n_parts, phrases)
    return fate, is_marked, skip_begin, skip_end, skipped


@uncounted
def _continuations(data: Bytes, begin: int, end: int) -> int:
    """The number of bytes that begin no character."""
    count = 0
    for at in range(begin, end):
        count += data[at] & 0xC0 == 0x80
    return count
