"""What the line edits look for in one line: phrases and page furniture.

Most lines hold none of this. So `look_over` first goes over all bytes, and marks places where four
letters in a row stand that few words outside the phrases have. Letters count in any case (ASCII).
"""

# numba needs 64-bit integers and Python's kept apart. For readers and mypy they are the same.
# mypy: disable-error-code="assignment,return-value"

from typing import TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.filter.measure.line_counts import (
    COUNTER,
    NUMERIC,
    SINGLE_WORD,
    STAYS,
    UPPERCASE,
)
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Integers: TypeAlias = NDArray[np.int32]

DOT, OPENING, COMMA = (ord(sign) for sign in ".[,")
ITEMS_IN_CART, READ_MORE, SIGN_IN = (
    np.frombuffer(text, np.uint8) for text in (b"items in cart", b"read more...", b"sign-in")
)
_COUNTED = (
    b"likes shares comments retweets reposts quotes bookmarks upvotes downvotes downloads "
    b"views followers"
).split()
COUNTED = np.frombuffer(b"".join(_COUNTED), np.uint8)
# With what the words of a notice about JavaScript begin.
_NOTICED = (
    b"activat,blocked,browser,disabl,enabl,is off,must,need,please,requir,switch on,switched o,"
    b"turn on,turned o,without"
).split(b",")
NOTICED = np.frombuffer(b"".join(_NOTICED), np.uint8)
NOTICED_BEGINS = np.cumsum([0, *map(len, _NOTICED)])
COUNTED_BEGINS = np.cumsum([0, *map(len, _COUNTED)])
# The rare pairs of letters at which phrases are looked for, five bits per letter: ki, cy, va, ms,
# ps.
PAIRS = np.array(
    [
        (first, second) in {(11, 9), (3, 25), (22, 1), (13, 19), (16, 19)}
        for first in range(32)
        for second in range(32)
    ]
)
CURLY, LETTERS, OPENS, BRACES = ord("{"), 1, 2, 4  # the last three: bits of a group of bytes
GROUP, ONE, TWO, THREE, SMALL = 64, np.uint64(1), np.uint64(2), np.uint64(3), np.uint8(32)
A, C, E, I, K, M, O, P, R, S, T, U, V, Y = (ord(letter) for letter in "aceikmoprstuvy")  # noqa: E741


@njit
def look_over(data: Bytes, size: int, groups: Bytes) -> None:
    """Mark each group of GROUP bytes: whether four letters of a phrase begin there, and whether it
    has brackets. The compiler vectorizes this loop.
    """
    for group in range((size + GROUP - 1) // GROUP):
        rare = opens = braces = False
        for index in range(group * GROUP, (group + 1) * GROUP):
            # Unsigned: otherwise the compiler handles negative places and does not vectorize.
            at = np.uint64(index)
            first, second, third, fourth = (
                data[at],
                data[at + ONE],
                data[at + TWO],
                data[at + THREE],
            )
            opens |= first == OPENING
            braces |= first == CURLY
            first, second, third, fourth = (
                first | SMALL,
                second | SMALL,
                third | SMALL,
                fourth | SMALL,
            )
            rare |= (first == I) & (second == P) & (third == S) & (fourth == U)  # lorem ipsum
            rare |= (first == V) & (second == A) & (third == S) & (fourth == C)  # javascript
            rare |= (first == V) & (second == A) & (third == C) & (fourth == Y)  # privacy policy
            rare |= (first == O) & (second == K) & (third == I) & (fourth == E)  # cookie
            rare |= (second == E) & (third == M) & (fourth == S) & (first == T)  # items in cart
            rare |= (second == R) & (third == M) & (fourth == S) & (first == E)  # terms of use
        groups[group] = rare | opens << 1 | braces << 2


@njit
def noticed_in(groups: Bytes, begin: int, end: int) -> int:
    """The marks of the groups in which a line lies. They may come from just beside the line, which
    does no harm.
    """
    noticed = 0
    for group in range(begin // GROUP, (end - 1) // GROUP + 1):
        noticed |= groups[group]
    return noticed


@njit
def is_notice(data: Bytes, begin: int, end: int) -> bool:
    """Whether a word begins as those of a notice about JavaScript do: `enable`, `browser`."""
    for at in range(begin, end):
        if at > begin and 97 <= data[at - 1] | SMALL <= 122:
            continue
        for word in range(NOTICED_BEGINS.size - 1):
            first, size = NOTICED_BEGINS[word], NOTICED_BEGINS[word + 1] - NOTICED_BEGINS[word]
            index = 0
            while index < size and at + index < end:
                if data[at + index] | SMALL != NOTICED[first + index]:
                    break
                index += 1
            if index == size:
                return True
    return False


@njit
def phrases_in(data: Bytes, begin: int, end: int, phrases: Bytes, table: Integers) -> int:
    """The bits of the phrases that stand in data[begin:end]."""
    found = pair = 0
    for at in range(begin, end):
        pair = (pair << 5 | data[np.uint64(at)] & 31) & 1023
        if PAIRS[np.uint64(pair)]:
            for phrase in range(table.shape[1]):
                start, size = at - table[2, phrase], table[1, phrase]
                if (
                    start >= begin
                    and start + size <= end
                    and _same(data, start, phrases, table[0, phrase], size)
                ):
                    found |= table[3, phrase]
    return found


@njit
def _same(data: Bytes, at: int, phrases: Bytes, phrase: int, size: int) -> bool:
    """Whether a phrase, given in lower case, stands at a place, in any case."""
    index = 0
    while (
        index < size
        and (data[at + index] | (32 if 65 <= data[at + index] <= 90 else 0))
        == phrases[phrase + index]
    ):
        index += 1
    return index == size


@njit
def furniture(data: Bytes, begin: int, end: int, n_parts: int) -> int:
    """RefinedWeb's and DCLM's reasons to take a line out: mostly capitals, only digits, a counter
    (`3 likes`), or a single word.
    """
    capitals = digits = continuations = 0
    for index in range(begin, end):
        capitals += 65 <= data[index] <= 90
        digits += 48 <= data[index] <= 57
        continuations += data[index] & 0xC0 == 0x80
    if 2 * capitals > end - begin - continuations:
        return UPPERCASE
    if digits == end - begin:
        return NUMERIC
    if _is_counter(data, begin, end):
        return COUNTER
    return SINGLE_WORD if n_parts == 1 else STAYS


@njit
def _is_counter(data: Bytes, begin: int, end: int) -> bool:
    """Whether the line is a counter: a number, perhaps with k, m or b, white space, and the name of
    a counted thing. Signs around them do not matter.
    """
    while begin < end and not _is_alphanumeric(data[begin]):
        begin += 1
    while end > begin and not _is_alphanumeric(data[end - 1]):
        end -= 1
    at = begin
    while at < end and (
        48 <= data[at] <= 57 or (at > begin and (data[at] == COMMA or data[at] == DOT))
    ):
        at += 1
    if at == begin:
        return False
    if at < end and data[at] | 32 in (107, 109, 98):
        at += 1
    space = at
    while at < end and data[at] <= 32:
        at += 1
    if at == space:
        return False
    for word in range(COUNTED_BEGINS.size - 1):
        size = COUNTED_BEGINS[word + 1] - COUNTED_BEGINS[word]
        if end - at == size and _same(data, at, COUNTED, COUNTED_BEGINS[word], size):
            return True
    return False


@njit
def _is_alphanumeric(byte: int) -> bool:
    return 48 <= byte <= 57 or 97 <= byte | 32 <= 122


@njit
def call_to_act(data: Bytes, begin: int, end: int, cart: bool) -> tuple[int, int, int]:
    """Where a call to act stands in a line, with a space before or behind it, and how many words it
    has. "items in cart" may stand anywhere, "read more..." at the end, "sign-in" at the beginning.
    """
    if cart:
        for at in range(begin, end - ITEMS_IN_CART.size + 1):
            if _same(data, at, ITEMS_IN_CART, 0, ITEMS_IN_CART.size):
                return at - (at > begin and data[at - 1] <= 32), at + ITEMS_IN_CART.size, 3
    at = end - READ_MORE.size
    if at >= begin and _same(data, at, READ_MORE, 0, READ_MORE.size):
        return at - (at > begin and data[at - 1] <= 32), end, 2
    at = begin + SIGN_IN.size
    if at <= end and _same(data, begin, SIGN_IN, 0, SIGN_IN.size):
        return begin, at + (at < end and data[at] <= 32), 1
    return begin, begin, 0
