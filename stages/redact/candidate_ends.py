"""Where a candidate ends: one function for each form of personal data.

Each looks at the bytes from a place on, and returns the place itself if the form does not begin
there.
"""

from typing import TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]

_SPACE, _PLUS, _HYPHEN, _STOP, _SLASH, _COLON, _OPEN, _CLOSE = (ord(sign) for sign in " +-./:()")
_UNDERLINE, _OPEN_SQUARE, _CLOSE_SQUARE, _A, _T = (ord(sign) for sign in "_[]at")
_TWO, _THREE, _NINE = (ord(sign) for sign in "239")

IBAN_LENGTH = 15  # Norway's, the shortest
LONGEST_IBAN = 34
CARD_GROUP = 4  # digits in the first group of a card, at least
CODE_DIGITS, MOST_CAPITALS, LONGEST_CODE = 6, 6, 24  # of a national number with letters


@njit(inline="always")
def _is_digit(byte: int) -> bool:
    return 48 <= byte <= 57


@njit(inline="always")
def in_word(byte: int) -> bool:
    return 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122 or byte == _UNDERLINE


@njit(inline="always")
def in_name(byte: int) -> bool:
    """Whether a byte can stand beside an at sign: ASCII letters and digits, `_+-`, and any byte of
    a character beyond ASCII.
    """
    return in_word(byte) or byte >= 0x80 or byte in (_PLUS, _HYPHEN)


@njit
def after_word(data: Bytes, at: int, end: int) -> int:
    while at < end and in_word(data[at]):
        at += 1
    return at


@njit
def spelled_at(data: Bytes, at: int, end: int) -> int:
    """Where `(at)` or `[at]` ends; `at` if there is none. Only small letters count, with at most
    one space inside each bracket.
    """
    closing = _CLOSE_SQUARE if data[at] == _OPEN_SQUARE else _CLOSE
    place = at + 1
    if place < end and data[place] == _SPACE:
        place += 1
    if place + 1 >= end or data[place] != _A or data[place + 1] != _T:
        return at
    place += 2
    if place < end and data[place] == _SPACE:
        place += 1
    return place + 1 if place < end and data[place] == closing else at


@njit
def iban_end(data: Bytes, at: int, end: int) -> int:
    """Where a run of capitals and digits ends, in groups with at most one space between; `at` if it
    cannot be an IBAN.
    """
    if (
        at + 3 >= end
        or not 65 <= data[at + 1] <= 90
        or not _is_digit(data[at + 2])
        or not _is_digit(data[at + 3])
    ):
        return at
    place, length = at, 0
    while place < end and length < LONGEST_IBAN:
        byte = data[place]
        if _is_digit(byte) or 65 <= byte <= 90:
            length += 1
            place += 1
        elif (
            byte == _SPACE
            and place + 1 < end
            and (_is_digit(data[place + 1]) or 65 <= data[place + 1] <= 90)
        ):
            place += 1
        else:
            break
    return place if length >= IBAN_LENGTH else at


@njit
def code_end(data: Bytes, at: int, end: int) -> int:
    """Where a number that begins with capitals may end, such as `AB 12 34 56 C` or `X-1234567-L`;
    `at` if there is none. It has at least `CODE_DIGITS` digits. Blanks stand only behind two
    capitals.
    """
    place = at
    while place < end and 65 <= data[place] <= 90 and place - at <= MOST_CAPITALS:
        place += 1
    capitals = place - at
    if capitals > MOST_CAPITALS:
        return at
    if place < end and capitals <= 2 and data[place] in (_SPACE, _HYPHEN):
        place += 1
    if place >= end or not _is_digit(data[place]):
        return at
    last, digits = place, 0
    while place < end and place - at < LONGEST_CODE:
        byte = data[place]
        if _is_digit(byte) or 65 <= byte <= 90:
            digits += _is_digit(byte)
            last = place + 1
        elif place > last or not (byte in (_HYPHEN, _OPEN) or (byte == _SPACE and capitals == 2)):
            break
        place += 1
    last += last < end and data[last] == _CLOSE
    return last if digits >= CODE_DIGITS else at


@njit
def dated_code_end(data: Bytes, at: int, end: int) -> int:
    """Where six digits, a capital, three digits and a sign end (`131052A308T`); else `at`."""
    if at + 11 > end or not 65 <= data[at + 6] <= 90:
        return at
    for place in (at, at + 1, at + 2, at + 3, at + 4, at + 5, at + 7, at + 8, at + 9):
        if not _is_digit(data[place]):
            return at
    return at + 11


@njit
def is_card_group(data: Bytes, at: int, end: int) -> bool:
    """Whether at least `CARD_GROUP` digits stand here."""
    place = at
    while place < end and place - at < CARD_GROUP and _is_digit(data[place]):
        place += 1
    return place - at == CARD_GROUP


@njit
def address_end(data: Bytes, first: int, at: int, end: int) -> int:
    """Where an IPv4 address, or an IPv6 one of the range that is in use (2000::/3), ends; `at` if
    there is none.
    """
    if at - 1 > first and data[at - 1] == _STOP and _is_digit(data[at - 2]):
        return at
    place, value, width, numbers = at, 0, 0, 1
    while place < end:
        byte = data[place]
        if _is_digit(byte):
            value = value * 10 + byte - 48
            width += 1
            if width > 3 or value > 255:
                break
        elif byte == _STOP and numbers < 4 and width > 0:
            numbers += 1
            value, width = 0, 0
        else:
            break
        place += 1
    if (
        numbers == 4
        and 0 < width <= 3
        and value <= 255
        and not (place < end and in_word(data[place]))
    ):
        continues = (
            place + 1 < end
            and (data[place] == _STOP or data[place] == _HYPHEN)
            and _is_digit(data[place + 1])
        )
        if not continues:
            return place
    if (data[at] != _TWO and data[at] != _THREE) or (first < at and data[at - 1] == _COLON):
        return at
    place, width, colons, doubled = at, 0, 0, False
    while place < end:
        byte = data[place]
        if byte == _COLON:
            if colons == 0 and width != 4:
                return at
            doubled = doubled or (place + 1 < end and data[place + 1] == _COLON)
            colons += 1
            width = 0
        elif _is_digit(byte) or 65 <= byte <= 70 or 97 <= byte <= 102:
            width += 1
            if width > 4:
                return at
        else:
            break
        place += 1
    whole = colons == 7 or (doubled and 2 <= colons < 8)
    return place if whole and not (place < end and in_word(data[place])) else at


@njit
def card_end(data: Bytes, at: int, beyond: int, end: int) -> int:
    """Where 12 to 19 digits that pass the Luhn check end, in groups with single spaces or hyphens
    between. It is the first such place past `beyond`; `at` if there is none.
    """
    if data[at] < _TWO or data[at] == _NINE:
        return at
    place, digits = at, 0
    # Luhn sums: with the last digit taken once, and with it doubled. Each further digit swaps them.
    plain, doubled = 0, 0
    while place < end and digits < 20:
        byte = data[place]
        if _is_digit(byte):
            value = byte - 48
            twice = 2 * value - 9 if value > 4 else 2 * value
            plain, doubled = doubled + value, plain + twice
            digits += 1
            place += 1
            ends = place >= end or not _is_digit(data[place])
            if ends and place > beyond and 12 <= digits <= 19 and plain % 10 == 0:
                return place if place >= end or not in_word(data[place]) else at
        elif byte in (_SPACE, _HYPHEN) and place + 1 < end and _is_digit(data[place + 1]):
            place += 1
        else:
            break
    return at


@njit
def number_end(data: Bytes, at: int, end: int, longest_gap: int) -> tuple[int, int, bool]:
    """Where groups of digits end that are joined by spaces, hyphens, full stops, slashes and
    brackets. Also how many digits there are, and whether they could be more than a decimal
    fraction.
    """
    place, last, digits, gap, gaps, stops = at, at, 0, 0, 0, 0
    while place < end:
        byte = data[place]
        if _is_digit(byte):
            if gap > 0:
                gaps += 1
                stops += gap == 1 and data[place - 1] == _STOP
            gap = 0
            digits += 1
            place += 1
            last = place
            continue
        if byte in (_SPACE, _HYPHEN, _STOP, _SLASH, _OPEN, _CLOSE):
            place += 1
        elif byte == 0xC2 and place + 1 < end and data[place + 1] == 0xA0:
            place += 2  # a no-break space
        elif (
            byte == 0xE2
            and place + 2 < end
            and data[place + 1] == 0x80
            and _is_thin(data[place + 2])
        ):
            place += 3
        else:
            break
        gap += 1
        if gap > longest_gap:
            break
    return last, digits, not (gaps == 1 and stops == 1)


@njit(inline="always")
def _is_thin(byte: int) -> bool:
    """Whether this is the last byte of a hyphen or dash (U+2010 to U+2015), of a thin space
    (U+2009), or of the narrow no-break space (U+202F).
    """
    return 0x90 <= byte <= 0x95 or byte == 0x89 or byte == 0xAF
