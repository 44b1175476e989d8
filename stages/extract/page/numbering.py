"""How the items of an ordered list are numbered: `start`, `value`, `reversed` and `type` (HTML
standard, 4.4.5).
"""

from typing import Final

import numpy as np
from corpusmill.stages.columns.compiled import uncounted
from corpusmill.stages.extract.page.attribute_values import whole_number
from corpusmill.stages.extract.page.facts import (
    CAPITAL_LETTERS,
    CAPITAL_ROMAN,
    SMALL_LETTERS,
    SMALL_ROMAN,
)
from corpusmill.stages.extract.page.names import attribute_number
from corpusmill.stages.extract.page.page import (
    MARK,
    ORDINAL,
    PARENT,
    S_COUNT,
    S_ELEMENT,
    S_ORDERED,
    Page,
)
from numpy.typing import NDArray

START, VALUE, REVERSED, TYPE = (
    attribute_number(name) for name in ("start", "value", "reversed", "type")
)
NUMBERS, LETTERS, CAPITALS, ROMAN, CAPITAL_ROMANS = range(1, 6)
KINDS: Final = 7  # the bits of these five
# From the number of items, which is known at the end. Until then the first item has number 0.
COUNTED_DOWN: Final = 8
DOWN: Final = 16
SIGNS = np.array([ord(sign) for sign in "1aAiI"])
_ROMAN: Final = tuple(
    zip(
        (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
        ["m", "cm", "d", "cd", "c", "xc", "l", "xl", "x", "ix", "v", "iv", "i"],
        strict=True,
    )
)


@uncounted
def open_numbering(page: Page, top: NDArray[np.int32], facts: int, present: int) -> None:
    """Begin an ordered list. top: its row of the stack."""
    kind = _kind(page, facts, present, NUMBERS)
    down, started = present >> REVERSED & 1, present >> START & 1
    top[S_COUNT] = whole_number(page, START, 1) if started else 0 if down else 1
    top[S_ORDERED] = kind | (DOWN if down else 0) | (COUNTED_DOWN if down and not started else 0)


@uncounted
def number_item(
    page: Page, below: NDArray[np.int32], element: int, facts: int, present: int
) -> None:
    """Give an item its number, and its list the next one. below: the row of the tag around it."""
    if present >> VALUE & 1:
        below[S_COUNT] = whole_number(page, VALUE, below[S_COUNT])
        below[S_ORDERED] &= ~COUNTED_DOWN
    numbering = below[S_ORDERED]
    page.elements[element, ORDINAL] = below[S_COUNT]
    page.elements[element, MARK] = _kind(page, facts, present, numbering & KINDS) | (
        numbering & COUNTED_DOWN
    )
    below[S_COUNT] += -1 if numbering & DOWN else 1
    page.elements[below[S_ELEMENT], ORDINAL] += 1


@uncounted
def _kind(page: Page, facts: int, present: int, otherwise: int) -> int:
    """What a list or an item says about its kind of numbers."""
    if present >> TYPE & 1 and page.spans[TYPE, 1] == page.spans[TYPE, 0] + 1:
        sign = page.data[page.spans[TYPE, 0]]
        for number in range(SIGNS.size):
            if sign == SIGNS[number]:
                return number + NUMBERS
    if facts & SMALL_LETTERS:
        return LETTERS
    if facts & CAPITAL_LETTERS:
        return CAPITALS
    if facts & SMALL_ROMAN:
        return ROMAN
    return CAPITAL_ROMANS if facts & CAPITAL_ROMAN else otherwise


def mark_of(elements: NDArray[np.int32], item: int) -> str:
    """The mark of a list item: `-`, `3.`, `c.`, `iii.`."""
    numbering, number = int(elements[item, MARK]), int(elements[item, ORDINAL])
    kind = numbering & KINDS
    if not kind:
        return "-"
    if numbering & COUNTED_DOWN:  # the list has counted its items
        number += int(elements[elements[item, PARENT], ORDINAL])
    if kind in (LETTERS, CAPITALS) and number > 0:
        word = _letters(number)
    elif kind in (ROMAN, CAPITAL_ROMANS) and 0 < number < 4000:
        word = _roman(number)
    else:
        word = str(number)
    return f"{word.upper() if kind in (CAPITALS, CAPITAL_ROMANS) else word}."


def _letters(number: int) -> str:
    """a, b ... z, aa, ab ..."""
    word = ""
    while number:
        number, rest = divmod(number - 1, 26)
        word = chr(ord("a") + rest) + word
    return word


def _roman(number: int) -> str:
    word = ""
    for value, letters in _ROMAN:
        word += letters * (number // value)
        number %= value
    return word
