"""The kernel that finds lines which text repair could change: one walk over the bytes.

It decides by pairs of neighbouring characters. It may find a line that needs no repair, but never
misses one that does. `stages.extract.repair` says which characters belong to which class.
"""

from typing import TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Integers: TypeAlias = NDArray[np.int64]

# Classes of a character.
ALONE = 1  # suspicious beside any character
SUSPECT = 2  # suspicious beside another one
LETTER = 4  # a suspect that is harmless beside another letter
STARTER = 8  # suspicious before every character beyond ASCII
OPEN = 16  # suspicious before everything but an ASCII letter
TABLE_SIZE = 0x20000
# Ideographs beyond the table, which no normal form contains.
COMPATIBILITY, COMPATIBILITY_END = 0x2F800, 0x2FA20

_NEWLINE, _AMPERSAND, _SEMICOLON, _HASH = (ord(sign) for sign in "\n&;#")
_LONGEST_ENTITY = 26


@njit
def find_suspicious_lines(
    data: Bytes, classes: Bytes, entities: bool, begins: Integers, ends: Integers
) -> int:
    """Fill `begins` and `ends` with the places of suspicious lines, line feeds included, and return
    how many there are.

    data: UTF-8. classes: TABLE_SIZE of them. entities: whether HTML entities are suspicious. If the
    arrays are too short, the last line found reaches to the end of the text.
    """
    found, line, at, end = 0, 0, 0, data.size
    before, suspicious = 0, False
    while at < end:
        byte = data[at]
        if byte < 0x80:
            if before & OPEN and not (65 <= byte <= 90 or 97 <= byte <= 122):
                suspicious = True
            before = classes[byte]
            if before & ALONE or (byte == _AMPERSAND and entities and _is_entity(data, at, end)):
                suspicious = True
            at += 1
            if byte != _NEWLINE:
                continue
            before = 0
        else:
            if byte < 0xE0:
                point, size = (byte & 0x1F) << 6 | data[at + 1] & 0x3F, 2
            elif byte < 0xF0:
                point, size = (
                    (byte & 0x0F) << 12 | (data[at + 1] & 0x3F) << 6 | data[at + 2] & 0x3F,
                    3,
                )
            else:
                high = (byte & 0x07) << 18 | (data[at + 1] & 0x3F) << 12
                point, size = high | (data[at + 2] & 0x3F) << 6 | data[at + 3] & 0x3F, 4
            this = (
                classes[point]
                if point < TABLE_SIZE
                else ALONE
                if COMPATIBILITY <= point < COMPATIBILITY_END
                else 0
            )
            if (
                this & ALONE
                or before & (STARTER | OPEN)
                or (this & SUSPECT and before & SUSPECT and not this & before & LETTER)
            ):
                suspicious = True
            before = this
            at += size
            continue
        if suspicious:
            begins[found], ends[found] = line, at
            found += 1
            suspicious = False
            if found == begins.size:
                ends[found - 1] = end
                return found
        line = at
    if suspicious or before & OPEN:
        begins[found], ends[found] = line, end
        found += 1
    return found


@njit
def _is_entity(data: Bytes, at: int, end: int) -> bool:
    """Whether letters, digits or `#` and then a semicolon follow the ampersand."""
    place = at + 1
    while place < end and place - at <= _LONGEST_ENTITY:
        byte = data[place]
        if byte == _SEMICOLON:
            return place > at + 1
        if not (48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122 or byte == _HASH):
            return False
        place += 1
    return False
