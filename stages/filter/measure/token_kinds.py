"""The kinds of the tokens of a hard part, and what the part adds to its document's counts.

A token's kind is its number of characters, times 16, plus four flags. Two things are counted for a
part: its ellipses, and its characters if it is an address. `known_parts` keeps both.

Definitions: `stages.filter.statistics`.
"""

# numba needs 64-bit integers and Python's kept apart. For readers and mypy they are the same.
# mypy: disable-error-code="assignment,return-value"

from typing import TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.filter.measure.characters import (
    IDEOGRAPH,
    LETTER,
    MARK_OF_TEXT,
    PUNCTUATION,
    TABLE_SIZE,
    TERMINAL,
)
from corpusmill.stages.filter.measure.utf8 import decode
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Integers: TypeAlias = NDArray[np.int32]
Flags: TypeAlias = NDArray[np.uint16]

DOT, COLON, SLASH, SMALL_H, SMALL_S = (ord(sign) for sign in ".:/hs")
ELLIPSIS = ord("…")

# Flags of a token: it has a letter; it is a word; it ends a sentence; it has only marks, and so
# begins no sentence.
ALPHABETIC, IS_WORD, ENDS, IS_MARK = 1, 2, 4, 8
# Rows of counts.
ELLIPSES, URL_CHARACTERS = range(2)
EIGHT, BYTE_BITS = np.uint64(8), np.uint64(255)


@njit
def measure_part(
    data: Bytes,
    classes: Flags,
    begin: int,
    cuts: Integers,
    kinds: Integers,
    first: int,
    last: int,
    row: NDArray[np.int64],
) -> int:
    """Write the kinds of a part's tokens, which end at cuts[first:last], and add the part's counts
    to a document's.

    Returns the counts as `add_counts` takes them, for parts of at most 255 bytes.
    """
    at = begin
    ellipses = dots = length = 0
    for token in range(first, last):
        characters, any_of, all_of = 0, 0, -1
        while at < cuts[token]:
            code, width = decode(data, at)
            about = np.int64(classes[code]) if code < TABLE_SIZE else IDEOGRAPH
            any_of |= about
            all_of &= about
            characters += 1
            at += width
            dots = dots + 1 if code == DOT else 0
            ellipses += code == ELLIPSIS or (code == DOT and dots % 3 == 0)
        kind = ALPHABETIC if any_of & LETTER != 0 else 0
        kind |= IS_WORD if all_of & PUNCTUATION == 0 else 0
        kind |= ENDS if characters == 1 and all_of & TERMINAL != 0 else 0
        kind |= IS_MARK if all_of & MARK_OF_TEXT != 0 else 0
        kinds[token] = characters << 4 | kind
        length += characters
    length = length if is_address(data, begin, at) else 0
    row[ELLIPSES] += ellipses
    row[URL_CHARACTERS] += length
    return np.uint64(ellipses | length << 8)


@njit
def add_counts(part: int, row: NDArray[np.int64]) -> None:
    """Add a part's counts, one byte each, to a document's counts."""
    row[ELLIPSES] += np.int64(part & BYTE_BITS)
    row[URL_CHARACTERS] += np.int64(part >> EIGHT)


@njit
def is_address(data: Bytes, begin: int, end: int) -> bool:
    """Whether a part begins with http:// or https://."""
    if end - begin < 8 or data[begin] != SMALL_H:
        return False
    at = begin + 5 if data[begin + 4] == SMALL_S else begin + 4
    is_http = data[begin + 1] == 116 and data[begin + 2] == 116 and data[begin + 3] == 112
    return is_http and data[at] == COLON and data[at + 1] == SLASH and data[at + 2] == SLASH
