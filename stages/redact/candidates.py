"""The kernel that finds where personal data could stand: one walk over the bytes.

A candidate is a place, not yet a result. It may be: an at sign between two words, a run of digits
long enough for a telephone number or a card, four numbers with full stops, hexadecimal groups with
colons, or a few capitals before digits. `stages.redact` looks only at candidates. Ordinary web
text has one in about 4 KB, so this walk takes nearly all of the time.
"""

from typing import TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Integers: TypeAlias = NDArray[np.int64]

EMAIL, IP, PHONE, CARD, IBAN, NATIONAL_ID = range(6)

# What a byte can begin.
_NOTHING, _DIGIT, _AT, _CAPITAL, _BRACKET = range(5)
_BEGINS = np.zeros(256, np.uint8)
_BEGINS[48:58] = _DIGIT
_BEGINS[64] = _AT
_BEGINS[65:91] = _CAPITAL
_BEGINS[[ord("("), ord("[")]] = _BRACKET

_SPACE, _PLUS, _HYPHEN, _STOP, _SLASH, _COLON, _OPEN, _CLOSE = (ord(sign) for sign in " +-./:()")
_UNDERLINE, _OPEN_SQUARE, _CLOSE_SQUARE, _A, _T = (ord(sign) for sign in "_[]at")
_TWO, _THREE, _NINE = (ord(sign) for sign in "239")

PHONE_DIGITS = 7  # a shorter number may be anything
LONGEST_GAP = 3  # signs between two groups of digits: `) - `
LONGEST_GAP_AFTER_PLUS = 5  # `+49 - (40) - 1234`
IBAN_LENGTH = 15  # Norway's, the shortest
LONGEST_IBAN = 34
CARD_GROUP = 4  # digits in the first group of a card, at least
CODE_DIGITS, MOST_CAPITALS, LONGEST_CODE = 6, 6, 24  # of a national number with letters


@njit
def find_candidates(
    data: Bytes, offsets: Integers, kinds: Bytes, rows: Integers, begins: Integers, ends: Integers
) -> int:
    """Fill the four arrays (at least `room_for(data.size)` long) and return how many candidates
    there are.

    data, offsets: the UTF-8 bytes of all texts, and where each begins. rows: the text of each
    candidate. begins, ends: the candidate's bytes, as places in `data`. Of an e-mail address they
    hold only the at sign, of the other kinds all that may belong to the candidate. A place can be a
    candidate of several kinds. Candidates come in the order of their places.
    """
    found = 0
    for row in range(offsets.size - 1):
        first, end = offsets[row], offsets[row + 1]
        at = first
        # Up to here, groups of digits were already tried as a telephone number.
        seen = first
        while at < end:
            what = _BEGINS[data[at]]
            if what == _NOTHING:
                at += 1
                continue
            start, stop, kind = at, at, -1
            if what == _AT:
                if (
                    first < at
                    and at + 1 < end
                    and _in_name(data[at - 1])
                    and _in_name(data[at + 1])
                ):
                    kind, stop = EMAIL, at + 1
            elif what == _BRACKET:
                stop = _spelled_at(data, at, end)
                if stop > at:
                    kind = EMAIL
            elif first < at and _in_word(data[at - 1]):
                at = _after_word(data, at, end)
                continue
            elif what == _CAPITAL:
                stop = _code_end(data, at, end)
                if stop > at:
                    kinds[found], rows[found] = NATIONAL_ID, row
                    begins[found], ends[found] = at, stop
                    found += 1
                stop = _iban_end(data, at, end)
                if stop > at:
                    kind = IBAN
            if kind >= 0:
                kinds[found], rows[found], begins[found], ends[found] = kind, row, start, stop
                found += 1
            if what != _DIGIT:
                at = at + 1 if stop <= at else stop
                continue

            stop = _address_end(data, first, at, end)
            if stop > at:
                kinds[found], rows[found], begins[found], ends[found] = IP, row, at, stop
                found += 1
                at = stop
                continue
            # Every group may begin a card, also behind other numbers.
            stop = _card_end(data, at, at, end) if _is_card_group(data, at, end) else at
            while stop > at:
                kinds[found], rows[found], begins[found], ends[found] = CARD, row, at, stop
                found += 1
                stop = _card_end(data, at, stop, end)
            stop = _dated_code_end(data, at, end)
            if stop > at:
                kinds[found], rows[found], begins[found], ends[found] = NATIONAL_ID, row, at, stop
                found += 1
            if at < seen:
                at = _after_word(data, at, end)
                continue
            while (
                start > first
                and (data[start - 1] == _OPEN or data[start - 1] == _PLUS)
                and at - start < 2
            ):
                start -= 1
            longest_gap = (
                LONGEST_GAP_AFTER_PLUS if start < at and data[at - 1] == _PLUS else LONGEST_GAP
            )
            stop, digits, grouped = _number_end(data, at, end, longest_gap)
            if digits >= PHONE_DIGITS and grouped:
                kinds[found], rows[found], begins[found], ends[found] = PHONE, row, start, stop
                kinds[found + 1], rows[found + 1] = NATIONAL_ID, row
                begins[found + 1], ends[found + 1] = at, stop
                found += 2
            seen = stop
            at = _after_word(data, at, end)  # a later group may begin an address
    return found


def room_for(size: int) -> int:
    """How many candidates a text of `size` bytes has, at most."""
    return 2 * size + 8


@njit(inline="always")
def _is_digit(byte: int) -> bool:
    return 48 <= byte <= 57


@njit(inline="always")
def _in_word(byte: int) -> bool:
    return 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122 or byte == _UNDERLINE


@njit(inline="always")
def _in_name(byte: int) -> bool:
    """Whether a byte can stand beside an at sign: ASCII letters and digits, `_+-`, and any byte of
    a character beyond ASCII.
    """
    return _in_word(byte) or byte >= 0x80 or byte in (_PLUS, _HYPHEN)


@njit
def _after_word(data: Bytes, at: int, end: int) -> int:
    while at < end and _in_word(data[at]):
        at += 1
    return at


@njit
def _spelled_at(data: Bytes, at: int, end: int) -> int:
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
def _iban_end(data: Bytes, at: int, end: int) -> int:
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
def _code_end(data: Bytes, at: int, end: int) -> int:
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
def _dated_code_end(data: Bytes, at: int, end: int) -> int:
    """Where six digits, a capital, three digits and a sign end (`131052A308T`); else `at`."""
    if at + 11 > end or not 65 <= data[at + 6] <= 90:
        return at
    for place in (at, at + 1, at + 2, at + 3, at + 4, at + 5, at + 7, at + 8, at + 9):
        if not _is_digit(data[place]):
            return at
    return at + 11


@njit
def _is_card_group(data: Bytes, at: int, end: int) -> bool:
    """Whether at least `CARD_GROUP` digits stand here."""
    place = at
    while place < end and place - at < CARD_GROUP and _is_digit(data[place]):
        place += 1
    return place - at == CARD_GROUP


@njit
def _address_end(data: Bytes, first: int, at: int, end: int) -> int:
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
        and not (place < end and _in_word(data[place]))
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
    return place if whole and not (place < end and _in_word(data[place])) else at


@njit
def _card_end(data: Bytes, at: int, beyond: int, end: int) -> int:
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
                return place if place >= end or not _in_word(data[place]) else at
        elif byte in (_SPACE, _HYPHEN) and place + 1 < end and _is_digit(data[place + 1]):
            place += 1
        else:
            break
    return at


@njit
def _number_end(data: Bytes, at: int, end: int, longest_gap: int) -> tuple[int, int, bool]:
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
