"""The kernel that takes lines out of texts by the rules of C4, copying what stays.

Definitions and settings: `stages.filter.line_edits`.
"""

from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from stages.kernels import characters

Bytes: TypeAlias = NDArray[np.uint8]
Integers: TypeAlias = NDArray[np.int64]

# numba keeps compiled code until this file changes, so every value that is compiled in stands in this file.
SPACE, IDEOGRAPH, KIND, TERMINAL, TABLE_SIZE = 0, 5, 7, 8, 0x20000
assert (SPACE, IDEOGRAPH, KIND) == (characters.SPACE, characters.IDEOGRAPH, characters.KIND)
assert (TERMINAL, TABLE_SIZE) == (characters.TERMINAL, characters.TABLE_SIZE)

NEWLINE, FULL_STOP, OPENING, CLOSING = (ord(sign) for sign in "\n.[]")
QUOTES = tuple(ord(quote) for quote in "\"'”’»")
EDIT = np.frombuffer(b"edit]", np.uint8)
CITATION_NEEDED = np.frombuffer(b"citation needed]", np.uint8)


@njit(cache=True)
def edit_lines(
    data: Bytes,
    offsets: Integers,
    classes: Bytes,
    phrases: Bytes,
    phrase_offsets: Integers,
    minimum_words: int,
    longest_word: int,
    terminal_punctuation: bool,
    citations: bool,
    edited: Bytes,
    edited_offsets: Integers,
    removed: NDArray[np.int32],
) -> None:
    """Copy each text into `edited` (at least as large as `data`) without the lines and citation marks that are to go.

    phrases: lower-case ASCII, one after the other, each beginning at its offset; a line that holds one goes.
    minimum_words, longest_word: 0 switches the test off. edited_offsets: one more than there are texts. removed: lines, by text.
    """
    begins_phrase = np.zeros(256, np.bool_)
    for phrase in range(phrase_offsets.size - 1):
        begins_phrase[phrases[phrase_offsets[phrase]]] = True
    write = 0
    for document in range(offsets.size - 1):
        edited_offsets[document] = write
        text_begin = last_kept = write
        end = offsets[document + 1]
        line = offsets[document]
        last_was_blank, drop_blanks = True, False
        while line < end:
            line_end = line
            while line_end < end and data[line_end] != NEWLINE:
                line_end += 1
            begin = write
            write = _copy_line(data, line, line_end, citations, edited, write)
            words, longest, ends_well = _look_at(edited[begin:write], classes)
            if (
                words == 0 and write - begin == line_end - line
            ):  # a blank line; one that was only a citation mark is none
                if drop_blanks and last_was_blank:
                    write = begin
                    line = line_end + 1
                    continue
                last_was_blank = True
            elif (
                (longest_word > 0 and longest > longest_word)
                or (terminal_punctuation and not ends_well)
                or words < minimum_words
                or _holds_any(edited[begin:write], phrases, phrase_offsets, begins_phrase)
            ):
                write = begin
                removed[document] += 1
                drop_blanks = True
                line = line_end + 1
                continue
            else:
                last_was_blank = drop_blanks = False
                last_kept = write
            if line_end < end:
                edited[write] = NEWLINE
                write += 1
            line = line_end + 1
        if removed[document] > 0:  # what followed the last line that stays were blank lines
            write = max(last_kept, text_begin)
    edited_offsets[offsets.size - 1] = write


@njit(cache=True)
def _copy_line(data: Bytes, line: int, line_end: int, citations: bool, edited: Bytes, write: int) -> int:
    """Copy the bytes of a line, leaving out `[12]`, `[edit]` and `[citation needed]`; returns where the copy ends."""
    while line < line_end:
        if citations and data[line] == OPENING:
            after = line + 1
            while after < line_end and 48 <= data[after] <= 57:
                after += 1
            if after < line_end and data[after] == CLOSING:
                line = after + 1
                continue
            if _begins_with(data[line + 1 : line_end], EDIT):
                line += 1 + EDIT.size
                continue
            if _begins_with(data[line + 1 : line_end], CITATION_NEEDED):
                line += 1 + CITATION_NEEDED.size
                continue
        edited[write] = data[line]
        write += 1
        line += 1
    return write


@njit(cache=True)
def _begins_with(text: Bytes, word: Bytes) -> bool:
    if text.size < word.size:
        return False
    for index in range(word.size):  # noqa: SIM110 (numba knows no all() over a generator)
        if text[index] != word[index]:
            return False
    return True


@njit(cache=True)
def _look_at(line: Bytes, classes: Bytes) -> tuple[int, int, bool]:
    """Words between white space, the characters of the longest, and whether the line ends as a sentence does (C4: not in `...`)."""
    words = longest = length = full_stops = position = 0
    ends_well = False
    while position < line.size:
        code, width = int(line[position]), 1
        if code >= 0x80:
            width = 2 if code < 0xE0 else 3 if code < 0xF0 else 4
            code &= 0x7F >> width
            for byte in range(position + 1, position + width):
                code = code << 6 | int(line[byte]) & 0x3F
        about = int(classes[code]) if code < TABLE_SIZE else IDEOGRAPH
        if about & KIND == SPACE:
            length = 0
        else:
            words += length == 0
            length += 1
            longest = max(longest, length)
            full_stops = full_stops + 1 if code == FULL_STOP else 0
            ends_well = (about & TERMINAL) != 0
            for quote in QUOTES:
                ends_well |= code == quote
        position += width
    return words, longest, ends_well and full_stops < 3


@njit(cache=True)
def _holds_any(line: Bytes, phrases: Bytes, phrase_offsets: Integers, begins_phrase: NDArray[np.bool_]) -> bool:
    """Whether one of the phrases stands in the line, in any case (ASCII)."""
    for position in range(line.size):
        first = _lower(line[position])
        if not begins_phrase[first]:
            continue
        for phrase in range(phrase_offsets.size - 1):
            begin, size = phrase_offsets[phrase], phrase_offsets[phrase + 1] - phrase_offsets[phrase]
            if first != phrases[begin] or position + size > line.size:
                continue
            index = 1
            while index < size and _lower(line[position + index]) == phrases[begin + index]:
                index += 1
            if index == size:
                return True
    return False


@njit(cache=True)
def _lower(byte: int) -> int:
    return byte + 32 if 65 <= byte <= 90 else byte
