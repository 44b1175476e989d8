"""Character references (`&eacute;`, `&#233;`, `&#xE9;`) inside kernels.

All names of the HTML standard are known (13.5), with and without a semicolon as the standard says.
Numbers follow its rules (13.2.5.80): windows-1252 in the C1 range, U+FFFD for an invalid code
point. Anything else stays as it is.
"""

import html.entities
from typing import Final, NamedTuple

import numpy as np
from corpusmill.stages.columns.compiled import uncounted
from corpusmill.stages.extract.page.hashing import FNV_OFFSET, HashTable, hash_table, look_up, mix
from numpy.typing import NDArray

LONGEST_NAME: Final = 33  # with its semicolon
# Bytes, of the longest replacement: of any name that has two characters.
LONGEST_REPLACEMENT: Final = 6
REPLACEMENT_CHARACTER: Final = 0xFFFD
AMPERSAND, SEMICOLON, NUMBER_SIGN, LOWER_X, UPPER_X = (ord(sign) for sign in "&;#xX")


class Entities(NamedTuple):
    """names: name (with its semicolon, if it has one) -> number. offsets, replacements: UTF-8 by
    number. windows: the characters of 0x80-0x9F.
    """

    names: HashTable
    offsets: NDArray[np.int32]
    replacements: NDArray[np.uint8]
    windows: NDArray[np.int32]


def _entities() -> Entities:
    texts = [text.encode() for text in html.entities.html5.values()]
    assert max(map(len, texts)) <= LONGEST_REPLACEMENT
    assert max(map(len, html.entities.html5)) <= LONGEST_NAME
    windows = [ord(bytes([byte]).decode("cp1252", "replace")) for byte in range(0x80, 0xA0)]
    return Entities(
        hash_table({name: number for number, name in enumerate(html.entities.html5)}),
        np.cumsum([0, *map(len, texts)], dtype=np.int32),
        np.frombuffer(b"".join(texts), np.uint8),
        np.array(windows, np.int32),
    )


ENTITIES: Final = _entities()


@uncounted
def encode(code: int, buffer: NDArray[np.uint8]) -> int:
    """Write the UTF-8 of a code point to the beginning of `buffer`. Returns its length."""
    if code < 0x80:
        buffer[0] = code
        return 1
    if code < 0x800:
        buffer[0], buffer[1] = 0xC0 | (code >> 6), 0x80 | (code & 0x3F)
        return 2
    if code < 0x10000:
        buffer[0], buffer[1], buffer[2] = (
            0xE0 | (code >> 12),
            0x80 | ((code >> 6) & 0x3F),
            0x80 | (code & 0x3F),
        )
        return 3
    buffer[0], buffer[1] = 0xF0 | (code >> 18), 0x80 | ((code >> 12) & 0x3F)
    buffer[2], buffer[3] = 0x80 | ((code >> 6) & 0x3F), 0x80 | (code & 0x3F)
    return 4


@uncounted
def decode_reference(
    data: NDArray[np.uint8], begin: int, end: int, buffer: NDArray[np.uint8]
) -> tuple[int, int]:
    """Decode the reference that begins with the `&` at data[begin]. Returns how many bytes it takes
    (0 if it is no reference), and how many were written to `buffer`.
    """
    if begin + 1 < end and data[begin + 1] == NUMBER_SIGN:
        return _decode_number(data, begin, end, buffer)
    code, taken, found = FNV_OFFSET, 0, -1
    place = begin + 1
    while place < end and place - begin <= LONGEST_NAME:
        byte = data[place]
        letter_or_digit = 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122
        if not letter_or_digit and byte != SEMICOLON:
            break
        code = mix(code, byte)
        place += 1
        # Names without a semicolon have at most six letters.
        if byte == SEMICOLON or place - begin <= 7:
            number = look_up(ENTITIES.names, code)
            if number >= 0:
                taken, found = place - begin, number
        if byte == SEMICOLON:
            break
    if found < 0:
        return 0, 0
    first, last = ENTITIES.offsets[found], ENTITIES.offsets[found + 1]
    for offset in range(last - first):
        buffer[offset] = ENTITIES.replacements[first + offset]
    return taken, last - first


@uncounted
def _decode_number(
    data: NDArray[np.uint8], begin: int, end: int, buffer: NDArray[np.uint8]
) -> tuple[int, int]:
    place = begin + 2
    base = 10
    if place < end and data[place] in (LOWER_X, UPPER_X):
        base, place = 16, place + 1
    digits_begin, code = place, 0
    while place < end:
        digit = int(data[place]) - 48
        if base == 16 and digit > 9:
            digit = (int(data[place]) | 32) - 87
            if digit < 10:
                break
        if not 0 <= digit < base:
            break
        code = code * base + digit
        if code > 0x110000:
            code = 0x110000
        place += 1
    if place == digits_begin:
        return 0, 0
    if place < end and data[place] == SEMICOLON:
        place += 1
    if 0x80 <= code < 0xA0:
        code = ENTITIES.windows[code - 0x80]
    elif code == 0 or 0xD800 <= code < 0xE000 or code >= 0x110000:
        code = REPLACEMENT_CHARACTER
    return place - begin, encode(code, buffer)
