"""The kernel that measures lines, takes out those that the line edits take out, and copies what stays.

Gopher's rules see the lines as they came; C4's and FineWeb's those that the edits leave, stripped. A line is told from another by
the hashes of its parts and its length. Phrases are looked for where four letters in a row stand that few other words have, in any
case (ASCII).

Definitions: `stages.filter.statistics`; edits: `stages.filter.line_edits`.
"""

from typing import TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.filter.measure.furniture import (
    BRACES,
    LETTERS,
    OPENS,
    call_to_act,
    citation_at,
    ends_in_ellipsis,
    ends_line,
    ends_well,
    furniture,
    has_text,
    holds,
    is_all_marks,
    is_bullet,
    look_over,
    noticed_in,
    phrases_in,
)
from corpusmill.stages.filter.measure.parts import longest_part
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Keys: TypeAlias = NDArray[np.uint64]
Integers: TypeAlias = NDArray[np.int32]
Row: TypeAlias = NDArray[np.int64]

OFFSET_BASIS, PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a
SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio (Knuth 6.4)
OPENING, CURLY = (ord(sign) for sign in "[{")
SHORT_LINE = 30  # characters; FineWeb
SHORT_WORDS = 10  # a line of at most so many may lose a phrase; RefinedWeb

# Counts of a text as it came, and of the lines that the edits left; the last are lines that each edit took out.
(LINES, BULLETS, ELLIPSIS_ENDS, FILLED_LINES, REPEATED_LINES, REPEATED_LINE_CHARACTERS) = range(6)
(
    PARAGRAPHS,
    REPEATED_PARAGRAPHS,
    REPEATED_PARAGRAPH_CHARACTERS,
    NEWLINES,
    BOILERPLATE_LINES,
    TEXT_LINES,
    PARTS,
) = range(6, 13)
(
    KEPT_LINES,
    KEPT_CHARACTERS,
    KEPT_TOKENS,
    KEPT_SENTENCES,
    KEPT_ENDS,
    KEPT_SHORT,
    KEPT_REPEATED_CHARACTERS,
) = range(13, 20)
(LOREM_IPSUM, CURLY_BRACKETS, REMOVED_PARTS) = range(20, 23)
(
    LONG_WORD,
    UNPUNCTUATED,
    FEW_WORDS,
    JAVASCRIPT,
    POLICY,
    UPPERCASE,
    NUMERIC,
    COUNTER,
    SINGLE_WORD,
    EMPTIED,
) = range(23, 33)
COUNTS = 33


# What phrases there are, as bits; phrases are given with these numbers.
LOREM, SCRIPT, POLICIES, CART = 1, 2, 4, 8


@njit
def edit_lines(
    data: Bytes,
    classes: NDArray[np.uint16],
    bits: Keys,
    edges: Integers,
    lines: Integers,
    line_hashes: Keys,
    text_lines: Integers,
    longest: NDArray[np.int64],
    line_counts: Integers,
    spared: NDArray[np.bool_],
    phrases: Bytes,
    phrase_table: Integers,
    groups: Bytes,
    minimum_words: int,
    longest_word: int,
    terminal_punctuation: bool,
    remove_phrases: int,
    citations: bool,
    refinedweb: bool,
    edited: Bytes,
    edited_offsets: Integers,
    counts: NDArray[np.int64],
) -> None:
    """Measure the lines of each text, and write what the edits leave of it into `edited` (as large as `data`; empty if nothing is
    edited).

    bits, edges, lines, text_lines: of `marks.mark_bytes`. line_hashes, longest: of `parts`. line_counts: of `tokens.measure_tokens`.
    phrases, phrase_table: lower-case ASCII; by phrase where it begins, its size, the place of the second letter of its rarest
    pair, its bit
    (4 x phrases). groups: room for a byte per GROUP bytes. minimum_words, longest_word: 0 switches the edit off.
    spared: by text, whether it stays as it is. remove_phrases: bits of the phrases whose lines go. edited_offsets: one more than
    there are texts. counts: COUNTS x texts, zero.
    """
    most = 0
    for text in range(text_lines.size - 1):
        most = max(most, text_lines[text + 1] - text_lines[text])
    keys, lengths = np.empty(most, np.uint64), np.empty(most, np.int64)
    kept_keys, kept_lengths = np.empty(most, np.uint64), np.empty(most, np.int64)
    paragraphs, paragraph_lengths = np.empty(most, np.uint64), np.empty(most, np.int64)
    slots = np.empty(4 * most + 4, np.int32)
    copies = edited.size > 0
    look_over(data, lines[1, text_lines[-1] - 1], groups)
    write = np.int64(0)
    for text in range(text_lines.size - 1):
        row, edits = counts[:, text], not spared[text]
        watch_length = edits and 0 < longest_word < longest[text]
        edited_offsets[text] = text_begin = last_kept = write
        first, last = text_lines[text], text_lines[text + 1]
        n = n_kept = n_paragraphs = 0
        run, run_write = (
            np.int64(lines[0, first]),
            write,
        )  # bytes that are to be copied as they are, and where to
        paragraph, paragraph_length = OFFSET_BASIS, 0
        last_was_blank, drop_blanks = True, False
        for line in range(first, last):
            begin, end = np.int64(lines[0, line]), np.int64(lines[1, line])
            first_part, last_part = lines[2, line], lines[2, line + 1]
            n_parts = last_part - first_part
            if end > begin:
                key = line_hashes[line]
                length = end - begin - lines[3, line]
                keys[n], lengths[n] = key, length
                n += 1
                paragraph_length += length + (paragraph != OFFSET_BASIS)
                paragraph = (paragraph ^ key) * PRIME
            if paragraph != OFFSET_BASIS and (end == begin or line == last - 1):
                paragraphs[n_paragraphs], paragraph_lengths[n_paragraphs] = (
                    paragraph,
                    paragraph_length,
                )
                n_paragraphs += 1
                paragraph, paragraph_length = OFFSET_BASIS, 0
            if n_parts == 0:
                if copies and not (drop_blanks and last_was_blank):
                    if run + write - run_write != begin:
                        _copy_run(data, run, edited, run_write, write)
                        run, run_write = begin, write
                    write += end - begin + (line < last - 1)
                    last_was_blank = True
                continue

            begin_text, end_text = (
                np.int64(edges[2 * first_part]),
                np.int64(edges[2 * last_part - 1]),
            )
            row[TEXT_LINES] += 1
            row[PARTS] += n_parts
            row[BULLETS] += is_bullet(data, begin_text, end_text)
            row[ELLIPSIS_ENDS] += ends_in_ellipsis(data, begin_text, end_text)
            noticed = noticed_in(groups, begin_text, end_text)
            found = (
                phrases_in(data, begin_text, end_text, phrases, phrase_table)
                if noticed & LETTERS
                else 0
            )
            row[BOILERPLATE_LINES] += found & POLICIES != 0
            row[BOILERPLATE_LINES] += found & (POLICIES | LOREM) == LOREM
            # The edits in C4's order, which decides what is counted.
            fate = 0
            marked = (
                edits
                and citations
                and noticed & OPENS != 0
                and holds(data, begin_text, end_text, OPENING)
            )
            if watch_length and longest_part(bits, edges, first_part, last_part) > longest_word:
                fate = LONG_WORD
            elif (
                edits and terminal_punctuation and not ends_well(data, begin_text, end_text, marked)
            ):
                fate = UNPUNCTUATED
            elif edits and (
                n_parts < minimum_words or (marked and is_all_marks(data, begin_text, end_text))
            ):
                fate = FEW_WORDS
            else:
                row[LOREM_IPSUM] += found & LOREM != 0
                if edits and found & SCRIPT & remove_phrases:
                    fate = JAVASCRIPT
                else:
                    row[CURLY_BRACKETS] += noticed & BRACES != 0 and holds(
                        data, begin_text, end_text, CURLY
                    )
                    if edits and found & POLICIES & remove_phrases:
                        fate = POLICY
            skip_begin = skip_end = begin
            skipped = 0
            if fate == 0 and edits and refinedweb:
                fate = furniture(data, begin_text, end_text, n_parts)
                if fate == 0 and n_parts <= SHORT_WORDS:
                    skip_begin, skip_end, skipped = call_to_act(
                        data, begin_text, end_text, found & CART != 0
                    )
                    if skip_end > skip_begin and not has_text(
                        data, begin_text, skip_begin, skip_end, end_text
                    ):
                        fate = EMPTIED
            if fate > 0:
                row[fate] += 1
                if fate >= UPPERCASE:
                    row[REMOVED_PARTS] += n_parts
                drop_blanks = True
                continue
            start = stop = write
            if marked or skipped > 0:
                _copy_run(data, run, edited, run_write, write)
                stop = last_kept = write = _copy(
                    data, begin, end, marked, skip_begin, skip_end, edited, write
                )
                row[KEPT_ENDS] += ends_line(edited, start, write - (end - end_text), classes)
                row[REMOVED_PARTS] += skipped
                run, run_write = end, write
                write += line < last - 1
            else:
                if not (copies and edits):  # unedited lines are not stripped, as in datatrove
                    begin_text, end_text = begin, end
                row[KEPT_ENDS] += ends_line(data, begin_text, end_text, classes)
                stop = start + end - begin
                if copies:
                    if run + write - run_write != begin:
                        _copy_run(data, run, edited, run_write, write)
                        run, run_write = begin, write
                    last_kept = stop
                    write = stop + (line < last - 1)
            length = stop - start - (begin_text - begin) - (end - end_text) - lines[3, line]
            length += _continuations(data, begin, begin_text) + _continuations(data, end_text, end)
            last_was_blank = drop_blanks = False
            row[KEPT_CHARACTERS] += length
            row[KEPT_TOKENS] += line_counts[0, line]
            row[KEPT_SENTENCES] += line_counts[1, line]
            row[KEPT_SHORT] += length <= SHORT_LINE
            kept_keys[n_kept], kept_lengths[n_kept] = key, length
            n_kept += 1
        if copies:
            if _removed(row) > 0:
                write = max(
                    last_kept, text_begin
                )  # what followed the last line that stays were blank lines
            _copy_run(data, run, edited, run_write, write)
        filled = (
            last - first - (lines[0, last - 1] == lines[1, last - 1])
        )  # a last line feed begins no line
        row[LINES], row[FILLED_LINES], row[PARAGRAPHS], row[KEPT_LINES] = (
            filled,
            n,
            n_paragraphs,
            n_kept,
        )
        row[NEWLINES] = n_kept - 1 if copies and edits and n_kept > 0 else last - first - 1
        row[REPEATED_LINES], row[REPEATED_LINE_CHARACTERS] = _repeats(keys, lengths, n, slots)
        row[REPEATED_PARAGRAPHS], row[REPEATED_PARAGRAPH_CHARACTERS] = _repeats(
            paragraphs, paragraph_lengths, n_paragraphs, slots
        )
        row[KEPT_REPEATED_CHARACTERS] = _repeats(kept_keys, kept_lengths, n_kept, slots)[1]
    edited_offsets[text_lines.size - 1] = write


@njit
def _removed(row: Row) -> int:
    return row[LONG_WORD:COUNTS].sum()


@njit
def _copy_run(data: Bytes, run: int, edited: Bytes, begin: int, end: int) -> None:
    """Copy bytes as they are, from `run` on, to the places from `begin` to `end`."""
    for index in range(end - begin):
        edited[np.uint64(begin + index)] = data[np.uint64(run + index)]


@njit
def _continuations(data: Bytes, begin: int, end: int) -> int:
    """Bytes that begin no character."""
    count = 0
    for at in range(begin, end):
        count += data[at] & 0xC0 == 0x80
    return count


@njit
def _copy(
    data: Bytes,
    begin: int,
    end: int,
    marked: bool,
    skip_begin: int,
    skip_end: int,
    edited: Bytes,
    write: int,
) -> int:
    """Copy bytes, leaving out those from skip_begin to skip_end, and `[12]`, `[edit]`, `[citation needed]` if marked; returns the
    copy's end."""
    while begin < end:
        if begin == skip_begin and skip_end > skip_begin:
            begin = skip_end
            continue
        if marked and data[begin] == OPENING:
            size = citation_at(data, begin, end)
            if size > 0:
                begin += size
                continue
        edited[write] = data[begin]
        write += 1
        begin += 1
    return write


@njit
def _repeats(
    keys: Keys, lengths: NDArray[np.int64], count: int, slots: Integers
) -> tuple[int, int]:
    """How many of the items occurred before, and the sum of their lengths."""
    bits = 1
    while 1 << bits < 2 * count:
        bits += 1
    slots[: 1 << bits] = -1
    mask, shift = np.int64((1 << bits) - 1), np.uint64(64 - bits)
    repeated = characters = 0
    for index in range(count):
        slot = np.int64((keys[index] * SPREAD) >> shift)
        while slots[slot] >= 0 and keys[slots[slot]] != keys[index]:
            slot = (slot + 1) & mask
        if slots[slot] < 0:
            slots[slot] = index
        else:
            repeated += 1
            characters += lengths[index]
    return repeated, characters
