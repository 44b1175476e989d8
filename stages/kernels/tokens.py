"""The kernel that measures tokens and sentences, and leaves each token's hash and length for the n-grams.

Sentences are those of spaCy's sentencizer: one begins with a line, and with the first token that is no punctuation behind a token
of terminal
punctuation.

Definitions: `stages.filter.statistics`.
"""

# numba tells 64-bit integers from Python's and needs to; to a reader they are the same.
# mypy: disable-error-code="assignment,return-value"

from typing import Any, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from stages.kernels.characters import FLAGS
from stages.kernels.characters import IDEOGRAPH as HAN
from stages.kernels.parts import WORD, WORD_AND_MARK
from stages.kernels.words import load_word

Bytes: TypeAlias = NDArray[np.uint8]
Keys: TypeAlias = NDArray[np.uint64]
Integers: TypeAlias = NDArray[np.int32]
Flags: TypeAlias = NDArray[np.uint16]

# numba keeps compiled code until this file changes, so every value that is compiled in stands in this file.
LETTER, LOWER, UPPER, UNSPACED, PUNCTUATION, MARK_OF_TEXT, TERMINAL, TABLE_SIZE = (
    2,
    8,
    16,
    16384,
    1024,
    2048,
    4096,
    0x20000,
)
IDEOGRAPH = LETTER | LOWER | UPPER | UNSPACED
_NAMES = "LETTER LOWER UPPER UNSPACED PUNCTUATION MARK_OF_TEXT TERMINAL TABLE_SIZE"
_VALUES = (LETTER, LOWER, UPPER, UNSPACED, PUNCTUATION, MARK_OF_TEXT, TERMINAL, TABLE_SIZE)
assert tuple(FLAGS[name] for name in _NAMES.split()) == _VALUES, "the table of characters has changed"
assert (HAN, WORD, WORD_AND_MARK) == (IDEOGRAPH, 0, 1)
BASIS, PRIME, HALF = np.uint64(0xCBF29CE484222325), np.uint64(0xD6E8FEB86659FD93), np.uint64(32)  # as english.hash_of
ONE = np.uint64(1)
DOT, EXCLAMATION, QUESTION, HASH, OPENING, CLOSING, COLON, SLASH, SMALL_H, SMALL_S = (
    ord(sign) for sign in ".!?#():/hs"
)
ELLIPSIS = ord("…")

(TOKENS, WORDS, WORD_CHARACTERS, ALPHABETIC_TOKENS, STOP_WORDS, HASH_SIGNS, ELLIPSES, PARENTHESES, URL_CHARACTERS) = (
    range(9)
)
COUNTS = 9  # of a text, in this order


@njit(cache=True)
def measure_tokens(
    data: Bytes,
    classes: Flags,
    parts: Integers,
    kinds: Bytes,
    hashes: Keys,
    lines: Integers,
    text_lines: Integers,
    cuts: Integers,
    stops: Keys,
    stop_tables: Keys,
    groups: Integers,
    tokens: Keys,
    reach: Integers,
    text_tokens: Integers,
    line_counts: Integers,
    counts: NDArray[np.int64],
) -> None:
    """Measure the tokens of parts that `parts.find_parts` found and `cut.cut_parts` cut.

    stops, stop_tables: `english.perfect_tables` of the stop words of each group of texts. groups: the group of each text.
    tokens: the hash of each token. text_tokens: the first token of each text. reach: the characters of a text's tokens up to each
    of them;
    text t's begin with a 0 at text_tokens[t] + t. line_counts: tokens and sentences by line (2 x lines). counts: COUNTS x texts, zero.
    """
    nowhere = np.uint64(stops.size)
    seen = np.full(
        stops.size + 1, -1, np.int32
    )  # by slot: the last text that had the stop word; the last is for other tokens
    n = n_cuts = 0
    for text in range(text_lines.size - 1):
        text_tokens[text] = n
        length = 0
        reach[n + text] = 0
        row = counts[:, text]
        first_slot, multiplier, shift = (
            stop_tables[0, groups[text]],
            stop_tables[1, groups[text]],
            stop_tables[2, groups[text]],
        )
        words = word_characters = alphabetic = 0
        for line in range(text_lines[text], text_lines[text + 1]):
            first, sentences, ended = n, 1, False
            for index in range(lines[2, line], lines[2, line + 1]):
                part = np.uint64(index)
                begin, end, kind, value = np.int64(parts[0, part]), np.int64(parts[1, part]), kinds[part], hashes[part]
                if kind <= WORD_AND_MARK:
                    marked = np.int64(kind)
                    size, last = end - begin - marked, data[np.uint64(end - 1)]
                    mark = (BASIS ^ np.uint64(last)) * PRIME
                    to, after = np.uint64(n), np.uint64(n + text + 1)
                    tokens[to], tokens[to + ONE] = value, mark ^ mark >> HALF
                    reach[after], reach[after + ONE] = length + size, length + size + 1
                    n += 1 + marked
                    length += size + marked
                    words += 1
                    word_characters += size
                    alphabetic += 1
                    sentences += ended
                    ended = marked > 0 and last in (DOT, EXCLAMATION, QUESTION)
                    row[PARENTHESES] += marked & (last == CLOSING)
                    slot = first_slot + (value * multiplier >> shift)
                    seen[slot if stops[slot] == value else nowhere] = text
                    continue
                before = length
                dots = 0
                at = begin
                while at < end:
                    characters, any_of, all_of = 0, 0, -1
                    cut = np.int64(cuts[np.uint64(n_cuts)])
                    n_cuts += 1
                    value = _hash(data, at, cut)
                    while at < cut:
                        code, width = _decode(data, at)
                        about = np.int64(classes[code]) if code < TABLE_SIZE else IDEOGRAPH
                        any_of |= about
                        all_of &= about
                        characters += 1
                        at += width
                        if about & LETTER:
                            dots = 0
                        elif code == DOT:
                            dots += 1
                            row[ELLIPSES] += dots % 3 == 0
                        else:
                            dots = 0
                            row[ELLIPSES] += code == ELLIPSIS
                            row[HASH_SIGNS] += code == HASH
                            row[PARENTHESES] += code in (OPENING, CLOSING)
                    tokens[n] = value
                    length += characters
                    n += 1
                    reach[n + text] = length
                    alphabetic += any_of & LETTER != 0
                    if all_of & PUNCTUATION == 0:
                        words += 1
                        word_characters += characters
                    if characters == 1 and all_of & TERMINAL != 0:
                        ended = True
                    elif all_of & MARK_OF_TEXT == 0:
                        sentences += ended
                        ended = False
                    slot = first_slot + (value * multiplier >> shift)
                    seen[slot if stops[slot] == value else nowhere] = text
                if _is_address(data, begin, end):
                    row[URL_CHARACTERS] += length - before
            line_counts[0, line], line_counts[1, line] = n - first, sentences if n > first else 0
        row[TOKENS], row[WORDS], row[WORD_CHARACTERS] = n - text_tokens[text], words, word_characters
        row[ALPHABETIC_TOKENS] = alphabetic
        for slot in range(first_slot, first_slot + (np.uint64(1) << (np.uint64(64) - shift))):
            row[STOP_WORDS] += seen[slot] == text
    text_tokens[text_lines.size - 1] = n


@njit(cache=True)
def _hash(data: Bytes, begin: int, end: int) -> int:
    """As english.hash_of."""
    value = BASIS
    while begin < end:
        count = min(end - begin, 8)
        value = (value ^ (load_word(data, begin) & (~np.uint64(0) >> np.uint64(64 - 8 * count)))) * PRIME
        value ^= value >> HALF
        begin += count
    return value


@njit(cache=True)
def _is_address(data: Bytes, begin: int, end: int) -> bool:
    """Whether a part begins with http:// or https://."""
    if end - begin < 8 or data[begin] != SMALL_H:
        return False
    at = begin + 5 if data[begin + 4] == SMALL_S else begin + 4
    is_http = data[begin + 1] == 116 and data[begin + 2] == 116 and data[begin + 3] == 112
    return is_http and data[at] == COLON and data[at + 1] == SLASH and data[at + 2] == SLASH


@njit(cache=True)
def _decode(text: Bytes, position: int) -> tuple[Any, int]:
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
