"""The kernel that walks over the bytes of texts once and cuts them into parts and lines.

A part is what stands between white space. The walk takes eight bytes at a time and tests them all at once (Warren, "Hacker's
Delight", 6-1): where white space begins, which are letters, capitals, digits. So most parts,
plain words and words with a mark behind them, cost
a few dozen instructions and are told apart for good; the others are listed for the kernel that cuts them. Bytes above 127 are
decoded only in the parts that have them.

Definitions: `stages.filter.statistics`.
"""

# numba tells 64-bit integers from Python's and needs to; to a reader they are the same.
# mypy: disable-error-code="assignment,return-value"

from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from stages.kernels import sealed
from stages.kernels.characters import FLAGS
from stages.kernels.utf8 import decode
from stages.kernels.words import load_word, ones, trailing_zeros

Bytes: TypeAlias = NDArray[np.uint8]
Keys: TypeAlias = NDArray[np.uint64]
Integers: TypeAlias = NDArray[np.int32]

# numba keeps compiled code until this file changes, so every value that is compiled in stands in this file.
SPACE, LETTER, NUMBER, LOWER, UPPER, TABLE_SIZE = 1, 2, 4, 8, 16, 0x20000
assert (FLAGS["SPACE"], FLAGS["LETTER"], FLAGS["NUMBER"]) == (SPACE, LETTER, NUMBER)
assert (FLAGS["LOWER"], FLAGS["UPPER"], FLAGS["TABLE_SIZE"]) == (LOWER, UPPER, TABLE_SIZE)
sealed("utf8.py", "5414eea1fb29")
IDEOGRAPH = LETTER | LOWER | UPPER
BASIS, PRIME, HALF = np.uint64(0xCBF29CE484222325), np.uint64(0xD6E8FEB86659FD93), np.uint64(32)  # as english.hash_of
EVERY = 0x0101010101010101  # times a byte: that byte eight times
HIGH, SPACES, CASE, SEVEN = (np.uint64(EVERY * byte) for byte in (0x80, 0x21, 0x20, 0x7F))
FROM_A, ABOVE_Z, FROM_0, ABOVE_9 = (np.uint64(EVERY * (0x80 - ord(sign))) for sign in "a{0:")

# Kinds of parts: ASCII letters; the same and one of ,.:;!?) behind them; other ASCII; others; of these, those of letters only.
WORD, WORD_AND_MARK, ASCII, WIDE, WIDE_WORD = range(5)
CHARACTERS, PART_CHARACTERS, UPPERCASE, DIGITS, SYMBOLS, ALPHABETIC_PARTS, LONGEST_PART = range(7)
COUNTS = 7  # of a text, in this order
LINE_PART, LINE_LONGEST, LINE_CONTINUATIONS = 2, 3, 4


@njit(cache=True)
def find_parts(
    data: Bytes,
    offsets: NDArray[np.int64],
    classes: NDArray[np.uint16],
    sieve: NDArray[np.bool_],
    parts: Integers,
    kinds: Bytes,
    hashes: Keys,
    hard: Integers,
    lines: Integers,
    line_hashes: Keys,
    text_lines: Integers,
    text_hard: Integers,
    counts: NDArray[np.int64],
) -> None:
    """Cut all texts. Behind the last one, `data` has at least eight bytes more.

    classes: `characters.character_table()`. sieve: `english.exception_sieve()`.
    parts, kinds, hashes: by part: its first byte and the one behind it (2 x parts), what it is, and the hash of its bytes, of a
    WORD_AND_MARK without the mark. hard, text_hard: the parts that are to be cut, and the first of each text.
    lines: by line: its first byte, the one behind it, its first part, the characters of its longest part, and its bytes that begin no
    character (5 x lines); one more line than there are closes the list. line_hashes: over its parts and its bytes' number.
    text_lines: the first line of each text, one more than there are texts. A text has one line more than line feeds, the empty one
    after a last line feed too. counts: COUNTS x texts.
    """
    n_parts = n_lines = n_hard = 0
    for text in range(offsets.size - 1):
        position, end = offsets[text], offsets[text + 1]
        text_lines[text], text_hard[text] = n_lines, n_hard
        upper = digits = symbols = part_characters = characters = alphabetic = longest = 0
        longest_in_line = continuations = 0
        line_begin, line_hash = position, BASIS
        lines[0, n_lines], lines[LINE_PART, n_lines] = position, n_parts
        while True:
            while position < end and data[np.uint64(position)] <= 32:
                characters += 1
                position += 1
                if data[np.uint64(position - 1)] == 10:
                    lines[1, n_lines], lines[LINE_LONGEST, n_lines] = position - 1, longest_in_line
                    lines[LINE_CONTINUATIONS, n_lines] = continuations
                    line_hashes[n_lines] = (line_hash ^ np.uint64(position - 1 - line_begin)) * PRIME
                    n_lines += 1
                    longest_in_line, continuations, line_begin, line_hash = 0, 0, position, BASIS
                    lines[0, n_lines], lines[LINE_PART, n_lines] = position, n_parts
            if position >= end:
                break

            begin = position
            value = before = BASIS
            wide = n_others = n_digits = np.uint64(0)
            while True:
                word = load_word(data, position)
                spaces = (word - SPACES) & ~word & HIGH
                count = np.int64(trailing_zeros(spaces) >> np.uint64(3)) if spaces != 0 else 8
                count = min(count, end - position)
                if count == 0:
                    break
                mask = ~np.uint64(0) >> np.uint64(64 - 8 * count)
                word &= mask
                low = word & SEVEN
                letters = ((low | CASE) + FROM_A) & ~((low | CASE) + ABOVE_Z) & ~word & HIGH
                upper += np.int64(ones((letters >> np.uint64(2)) & ~word))
                other = letters ^ (HIGH & mask)
                if other != 0:
                    wide |= word & HIGH
                    n_others += ones(other)
                    n_digits += ones((low + FROM_0) & ~(low + ABOVE_9) & ~word & HIGH)
                before = value
                value = (value ^ word) * PRIME
                value ^= value >> HALF
                position += count
                if count < 8:
                    break
            size = position - begin
            if n_others == 0:
                kind = WORD
                alphabetic += 1
                line_hash = (line_hash ^ value) * PRIME
                is_hard = sieve[value >> np.uint64(51)]
            elif wide == 0:
                kind, is_hard = ASCII, True
                n_symbols = np.int64(n_others) - np.int64(n_digits)
                line_hash = (line_hash ^ value) * PRIME
                if n_symbols == 1 and n_digits == 0 and size > 1:
                    last = data[np.uint64(position - 1)]
                    if last == 44 or last == 46 or last == 58 or last == 59 or last == 33 or last == 63 or last == 41:
                        kind = WORD_AND_MARK
                        value, rest = before, (size - 1) & 7
                        if rest > 0:
                            word = load_word(data, position - 1 - rest) & (~np.uint64(0) >> np.uint64(64 - 8 * rest))
                            value = (before ^ word) * PRIME
                            value ^= value >> HALF
                        # A full stop may stay with an abbreviation or a capital.
                        is_hard = sieve[value >> np.uint64(51)] or (last == 46 and data[np.uint64(position - 2)] < 97)
                        kind = ASCII if is_hard else kind
                digits += np.int64(n_digits)
                symbols += n_symbols
                alphabetic += np.int64(n_others) < size
            else:
                # Decoded, and cut where it has white space beyond ASCII.
                upper -= _capitals(data, begin, position)
                at, count, has_letter, letters_only, value = begin, 0, False, True, BASIS
                while True:
                    code, width = 32, 1
                    if at < position:
                        code, width = decode(data, at)
                    about = np.int64(classes[code]) if code < TABLE_SIZE else IDEOGRAPH
                    if about & SPACE:
                        characters += at < position
                        if at > begin:
                            parts[0, n_parts], parts[1, n_parts] = begin, at
                            # a word of ASCII letters beside white space beyond ASCII may be one that is cut, as anywhere
                            kinds[n_parts] = WIDE_WORD if letters_only and count < at - begin else WIDE
                            hashes[n_parts] = value
                            hard[n_hard] = n_parts
                            n_hard += 1
                            line_hash = (line_hash ^ value) * PRIME
                            n_parts += 1
                            alphabetic += has_letter
                            part_characters += count
                            characters += count
                            longest_in_line = max(longest_in_line, count)
                        begin, count, has_letter, letters_only, value = at + width, 0, False, True, BASIS
                    else:
                        count += 1
                        letters_only = letters_only and about & LETTER != 0
                        if about & LETTER:
                            has_letter = True
                            upper += about & (UPPER | LOWER) == UPPER
                        elif about & NUMBER:
                            digits += 1
                        else:
                            symbols += 1
                        value = (value ^ np.uint64(code)) * PRIME
                        value ^= value >> HALF
                    if at >= position:
                        break
                    continuations += width - 1
                    at += width
                longest = max(longest, longest_in_line)
                continue
            part = np.uint64(n_parts)
            parts[0, part], parts[1, part] = begin, position
            kinds[part], hashes[part] = ASCII if is_hard else kind, value
            hard[np.uint64(n_hard)] = n_parts
            n_hard += is_hard
            n_parts += 1
            part_characters += size
            characters += size
            longest_in_line = max(longest_in_line, size)
            longest = max(longest, size)
        lines[1, n_lines], lines[LINE_LONGEST, n_lines] = end, longest_in_line
        lines[LINE_CONTINUATIONS, n_lines] = continuations
        line_hashes[n_lines] = (line_hash ^ np.uint64(end - line_begin)) * PRIME
        n_lines += 1
        counts[CHARACTERS, text], counts[PART_CHARACTERS, text] = characters, part_characters
        counts[UPPERCASE, text], counts[DIGITS, text], counts[SYMBOLS, text] = upper, digits, symbols
        counts[ALPHABETIC_PARTS, text], counts[LONGEST_PART, text] = alphabetic, longest
    text_lines[offsets.size - 1], text_hard[offsets.size - 1] = n_lines, n_hard
    lines[LINE_PART, n_lines] = n_parts


@njit(cache=True)
def _capitals(data: Bytes, begin: int, end: int) -> int:
    count = 0
    for at in range(begin, end):
        count += 65 <= data[at] <= 90
    return count
