"""The kernel that finds where personal data could stand: one walk over the bytes.

A candidate is a place, not yet a result. It may be: an at sign between two words, a run of digits
long enough for a telephone number or a card, four numbers with full stops, hexadecimal groups with
colons, or a few capitals before digits. `stages.redact` looks only at candidates. Ordinary web
text has one in about 4 KB, so this walk takes nearly all of the time.
"""

from typing import TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.redact.candidate_ends import (
    address_end,
    after_word,
    card_end,
    code_end,
    dated_code_end,
    iban_end,
    in_name,
    in_word,
    is_card_group,
    number_end,
    spelled_at,
)
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

_PLUS, _OPEN = ord("+"), ord("(")

PHONE_DIGITS = 7  # a shorter number may be anything
LONGEST_GAP = 3  # signs between two groups of digits: `) - `
LONGEST_GAP_AFTER_PLUS = 5  # `+49 - (40) - 1234`


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
                if first < at and at + 1 < end and in_name(data[at - 1]) and in_name(data[at + 1]):
                    kind, stop = EMAIL, at + 1
            elif what == _BRACKET:
                stop = spelled_at(data, at, end)
                if stop > at:
                    kind = EMAIL
            elif first < at and in_word(data[at - 1]):
                at = after_word(data, at, end)
                continue
            elif what == _CAPITAL:
                stop = code_end(data, at, end)
                if stop > at:
                    kinds[found], rows[found] = NATIONAL_ID, row
                    begins[found], ends[found] = at, stop
                    found += 1
                stop = iban_end(data, at, end)
                if stop > at:
                    kind = IBAN
            if kind >= 0:
                kinds[found], rows[found], begins[found], ends[found] = kind, row, start, stop
                found += 1
            if what != _DIGIT:
                at = at + 1 if stop <= at else stop
                continue

            stop = address_end(data, first, at, end)
            if stop > at:
                kinds[found], rows[found], begins[found], ends[found] = IP, row, at, stop
                found += 1
                at = stop
                continue
            # Every group may begin a card, also behind other numbers.
            stop = card_end(data, at, at, end) if is_card_group(data, at, end) else at
            while stop > at:
                kinds[found], rows[found], begins[found], ends[found] = CARD, row, at, stop
                found += 1
                stop = card_end(data, at, stop, end)
            stop = dated_code_end(data, at, end)
            if stop > at:
                kinds[found], rows[found], begins[found], ends[found] = NATIONAL_ID, row, at, stop
                found += 1
            if at < seen:
                at = after_word(data, at, end)
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
            stop, digits, grouped = number_end(data, at, end, longest_gap)
            if digits >= PHONE_DIGITS and grouped:
                kinds[found], rows[found], begins[found], ends[found] = PHONE, row, start, stop
                kinds[found + 1], rows[found + 1] = NATIONAL_ID, row
                begins[found + 1], ends[found + 1] = at, stop
                found += 2
            seen = stop
            at = after_word(data, at, end)  # a later group may begin an address
    return found


def room_for(size: int) -> int:
    """How many candidates a text of `size` bytes has, at most."""
    return 2 * size + 8
