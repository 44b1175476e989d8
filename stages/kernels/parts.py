"""The kernel that walks over the bytes of texts once and cuts them into parts and lines.

A part is what stands between white space. The walk sums a weight per byte, four counters of 16 bits in one integer, so that a part's end tells
at once whether it is a plain word (most are), a word with a mark behind it, or something that the tokenizer has to look at. Bytes
above 127 are decoded only in the parts that have them.

Definitions: `stages.filter.statistics`.
"""

from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from stages.kernels.characters import FLAGS

Bytes: TypeAlias = NDArray[np.uint8]
Keys: TypeAlias = NDArray[np.uint64]
Integers: TypeAlias = NDArray[np.int32]

# numba keeps compiled code until this file changes, so every value that is compiled in stands in this file.
SPACE, LETTER, NUMBER, LOWER, UPPER, TABLE_SIZE = 1, 2, 4, 8, 16, 0x20000
assert (SPACE, LETTER, NUMBER) == (FLAGS["SPACE"], FLAGS["LETTER"], FLAGS["NUMBER"])
assert (LOWER, UPPER, TABLE_SIZE) == (FLAGS["LOWER"], FLAGS["UPPER"], FLAGS["TABLE_SIZE"])
IDEOGRAPH = LETTER | LOWER | UPPER
OFFSET_BASIS, PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a

WORD, WORD_AND_MARK, ASCII, WIDE = range(4)  # kinds of parts: ASCII letters; and one of ,;:!?)] behind them; other ASCII; other
CHARACTERS, PART_CHARACTERS, UPPERCASE, DIGITS, SYMBOLS, ALPHABETIC_PARTS, LONGEST_PART = range(7)
COUNTS = 7  # of a text, in this order


def byte_weights() -> Keys:
    """What each byte adds to the sum over a part: 16 bits each for capitals, digits, other ASCII and bytes above 127."""
    weights = np.zeros(256, np.uint64)
    for byte in range(256):
        character = chr(byte)
        if byte >= 0x80:
            weights[byte] = 1 << 48
        elif not character.isalpha():
            weights[byte] = 1 << 16 if character.isdigit() else 1 << 32
        elif character.isupper():
            weights[byte] = 1
    weights.flags.writeable = False
    return weights


@njit(cache=True)
def find_parts(
    data: Bytes,
    offsets: NDArray[np.int64],
    classes: NDArray[np.uint16],
    weights: Keys,
    parts: Integers,
    kinds: Bytes,
    hashes: Keys,
    lines: Integers,
    line_hashes: Keys,
    text_lines: Integers,
    counts: NDArray[np.int64],
) -> tuple[int, int]:
    """Cut all texts; returns how many parts and lines there are.

    classes: `characters.character_table()`. weights: `byte_weights()`.
    parts, kinds, hashes: by part: its first byte and the one behind it (2 x parts), what it is, FNV-1a over its bytes.
    lines: by line: its first byte, the one behind it, its first part, the characters of its longest part, and its bytes that begin no
    character (5 x lines); one more line than there are closes the list. line_hashes: over the hashes of its parts and its bytes' number.
    text_lines: the first line of each text, one more than there are texts. A text has one line more than line feeds, the empty one
    after a last line feed too. counts: COUNTS x texts.
    """
    n_parts = n_lines = 0
    for text in range(offsets.size - 1):
        position, end = offsets[text], offsets[text + 1]
        text_lines[text] = n_lines
        upper = digits = symbols = 0
        part_characters = characters = alphabetic = longest = longest_in_line = continuations = 0
        line_hash = OFFSET_BASIS
        lines[0, n_lines], lines[2, n_lines] = position, n_parts
        while True:
            while position < end and data[position] <= 32:
                characters += 1
                if data[position] == 10:
                    lines[1, n_lines], lines[3, n_lines], lines[4, n_lines] = position, longest_in_line, continuations
                    line_hashes[n_lines] = (line_hash ^ np.uint64(position - lines[0, n_lines])) * PRIME
                    longest_in_line, continuations, line_hash = 0, 0, OFFSET_BASIS
                    n_lines += 1
                    lines[0, n_lines], lines[2, n_lines] = position + 1, n_parts
                position += 1
            if position >= end:
                break
            begin = position
            total, value = np.uint64(0), OFFSET_BASIS
            while position < end:
                byte = data[position]
                if byte <= 32:
                    break
                total += weights[byte]
                value = (value ^ np.uint64(byte)) * PRIME
                position += 1
            size = position - begin
            if size < 0x10000 and total >> np.uint64(16) == 0:
                kinds[n_parts] = WORD
                upper += np.int64(total)
                alphabetic += 1
            elif size < 0x10000 and total >> np.uint64(48) == 0:
                kind = ASCII
                if size > 1 and total >> np.uint64(16) == 1 << 16:
                    last = data[position - 1]
                    if last == 44 or last == 46 or last == 58 or last == 59 or last == 33 or last == 63 or last == 41:
                        kind = WORD_AND_MARK
                kinds[n_parts] = kind
                part_digits = np.int64(total >> np.uint64(16)) & 0xFFFF
                part_symbols = np.int64(total >> np.uint64(32)) & 0xFFFF
                upper += np.int64(total) & 0xFFFF
                digits += part_digits
                symbols += part_symbols
                alphabetic += part_digits + part_symbols < size
            else:  # decoded, and cut where it has white space beyond ASCII
                at, count, has_letter, sum_before = begin, 0, False, OFFSET_BASIS
                while True:
                    code, width = 32, 1
                    if at < position:
                        code, width = _decode(data, at)
                    about = np.int64(classes[code]) if code < TABLE_SIZE else IDEOGRAPH
                    if about & SPACE:
                        characters += at < position
                        if at > begin:
                            parts[0, n_parts], parts[1, n_parts] = begin, at
                            kinds[n_parts], hashes[n_parts] = WIDE, sum_before
                            line_hash = (line_hash ^ sum_before) * PRIME
                            n_parts += 1
                            alphabetic += has_letter
                            part_characters += count
                            characters += count
                            longest_in_line = max(longest_in_line, count)
                        begin, count, has_letter, sum_before = at + width, 0, False, OFFSET_BASIS
                    else:
                        count += 1
                        if about & LETTER:
                            has_letter = True
                            upper += about & (UPPER | LOWER) == UPPER
                        elif about & NUMBER:
                            digits += 1
                        else:
                            symbols += 1
                        for byte in data[at : at + width]:
                            sum_before = (sum_before ^ np.uint64(byte)) * PRIME
                    if at >= position:
                        break
                    continuations += width - 1
                    at += width
                longest = max(longest, longest_in_line)
                continue
            parts[0, n_parts], parts[1, n_parts] = begin, position
            hashes[n_parts] = value
            line_hash = (line_hash ^ value) * PRIME
            n_parts += 1
            part_characters += size
            characters += size
            longest_in_line = max(longest_in_line, size)
            longest = max(longest, size)
        lines[1, n_lines], lines[3, n_lines], lines[4, n_lines] = end, longest_in_line, continuations
        line_hashes[n_lines] = (line_hash ^ np.uint64(end - lines[0, n_lines])) * PRIME
        n_lines += 1
        counts[CHARACTERS, text], counts[PART_CHARACTERS, text] = characters, part_characters
        counts[UPPERCASE, text], counts[DIGITS, text], counts[SYMBOLS, text] = upper, digits, symbols
        counts[ALPHABETIC_PARTS, text], counts[LONGEST_PART, text] = alphabetic, longest
    text_lines[offsets.size - 1] = n_lines
    lines[2, n_lines] = n_parts
    return n_parts, n_lines


@njit(cache=True)
def _decode(text: Bytes, position: int) -> tuple[int, int]:
    """The code point at `position` of valid UTF-8, and how many bytes it takes."""
    first = np.int64(text[position])
    if first < 0x80:
        return first, 1
    if first < 0xE0:
        return (first & 0x1F) << 6 | np.int64(text[position + 1]) & 0x3F, 2
    second = np.int64(text[position + 1]) & 0x3F
    if first < 0xF0:
        return (first & 0x0F) << 12 | second << 6 | np.int64(text[position + 2]) & 0x3F, 3
    third, fourth = np.int64(text[position + 2]) & 0x3F, np.int64(text[position + 3]) & 0x3F
    return (first & 0x07) << 18 | second << 12 | third << 6 | fourth, 4
