"""What the line edits look for in one line: phrases, citation marks, page furniture, and the line's
end.

Most lines hold none of this. So `look_over` first goes over all bytes, and marks places where four
letters in a row stand that few words outside the phrases have. Letters count in any case (ASCII).
"""

# numba needs 64-bit integers and Python's kept apart. For readers and mypy they are the same.
# mypy: disable-error-code="assignment,return-value"

from typing import TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.filter.measure.characters import LINE_END, TABLE_SIZE
from corpusmill.stages.filter.measure.line_counts import (
    COUNTER,
    NUMERIC,
    SINGLE_WORD,
    STAYS,
    UPPERCASE,
)
from corpusmill.stages.filter.measure.line_kinds import begins_with
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Integers: TypeAlias = NDArray[np.int32]

BACKSLASH, DOLLAR, BRACKETS = ord("\\"), ord("$"), tuple(ord(sign) for sign in "()[]")
COLON, QUOTE, APOSTROPHE = ord(":"), ord('"'), ord("'")
HYPHEN, DOT, OPENING, CLOSING, COMMA = (ord(sign) for sign in "-.[],")
EQUALS, ROUND, SEMICOLON, ZERO = (ord(sign) for sign in "=(;0")
MOST_DIGITS = 3  # of a citation; [1998] is none
ENDS = tuple(ord(sign) for sign in ".?!\"'")  # C4's terminal punctuation
EDIT, CITATION_NEEDED = (
    np.frombuffer(b"[edit]", np.uint8),
    np.frombuffer(b"[citation needed]", np.uint8),
)
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
def citation_at(data: Bytes, begin: int, end: int) -> int:
    """The number of bytes of a citation mark that begins here, or 0."""
    after = begin + 1
    while after < end and 48 <= data[after] <= 57:
        after += 1
    if after < end and data[after] == CLOSING:
        return after + 1 - begin
    for mark in (EDIT, CITATION_NEEDED):
        if begins_with(data, begin, end, mark):
            return mark.size
    return 0


@njit
def is_code(data: Bytes, begin: int, at: int, size: int, end: int, is_prose: bool) -> bool:
    """Whether the citation mark of `size` bytes at `at` is an index or a list of a program.

    begin, end: of the line. is_prose: whether the line has no `=`. `[edit]` is never code.
    """
    if size > 2 and not 48 <= data[at + 1] <= 57:
        return False
    if size <= 2 or size - 2 > MOST_DIGITS or data[at + 1] == ZERO or not is_prose:
        return size > 0
    after = at + size
    if (at > begin and data[at - 1] == ROUND) or (after < end and data[after] == ROUND):
        return True
    if after < end and data[after] == SEMICOLON:  # in prose, text goes on behind it
        return not has_text(data, after + 1, end, end, end)
    return after + 1 < end and data[after] == DOT and 97 <= data[after + 1] <= 122


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
def is_all_marks(data: Bytes, begin: int, end: int) -> bool:
    """Whether nothing but citation marks and white space stands there."""
    while begin < end:
        size = citation_at(data, begin, end) if data[begin] == OPENING else 0
        if size == 0 and data[begin] > 32:
            return False
        begin += max(size, 1)
    return True


@njit
def holds(data: Bytes, begin: int, end: int, byte: int) -> bool:
    for at in range(begin, end):  # noqa: SIM110 (numba knows no any() over a generator)
        if data[at] == byte:
            return True
    return False


@njit
def is_bullet(data: Bytes, begin: int, end: int) -> bool:
    if data[begin] == HYPHEN:
        return True
    # The sign • in UTF-8.
    return (
        end - begin > 2
        and data[begin] == 0xE2
        and data[begin + 1] == 0x80
        and data[begin + 2] == 0xA2
    )


@njit
def ends_in_ellipsis(data: Bytes, begin: int, end: int) -> bool:
    if end - begin < 3:
        return False
    dots = data[end - 1] == DOT and data[end - 2] == DOT and data[end - 3] == DOT
    return dots or (data[end - 1] == 0xA6 and data[end - 2] == 0x80 and data[end - 3] == 0xE2)


@njit
def ends_well(data: Bytes, begin: int, end: int, marked: bool) -> bool:
    """Whether a line ends well by C4's rule: in terminal punctuation or a quote, and not in three
    full stops. Citation marks behind the end do not count.
    """
    at = end - 1
    while marked and at > begin and data[end - 1] == CLOSING:
        while at > begin and data[at] != OPENING:
            at -= 1
        if data[at] != OPENING or citation_at(data, at, end) != end - at:
            break
        end = at
        at -= 1
    if end == begin:
        return False
    return data[end - 1] in ENDS and not (end - begin > 2 and ends_in_ellipsis(data, begin, end))


@njit
def ends_as_sentence(data: Bytes, begin: int, end: int) -> bool:
    """Whether a colon, a comma, a quote or an ellipsis stands at the end."""
    last = data[end - 1]
    if last in (COLON, COMMA, QUOTE, APOSTROPHE):
        return True
    # The signs ’ ” … in UTF-8.
    return (
        end - begin > 2
        and data[end - 3] == 0xE2
        and data[end - 2] == 0x80
        and last in (0x99, 0x9D, 0xA6)
    )


@njit
def ends_line(data: Bytes, begin: int, end: int, classes: NDArray[np.uint16]) -> bool:
    """Whether the last character is terminal punctuation."""
    if begin >= end:
        return False
    at = end - 1
    while at > begin and data[at] & 0xC0 == 0x80:
        at -= 1
    code = np.int64(data[at])
    if code >= 0x80:
        code &= 0x7F >> (end - at)
        for index in range(at + 1, end):
            code = code << 6 | np.int64(data[index]) & 0x3F
    return code < TABLE_SIZE and classes[code] & LINE_END != 0


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


@njit
def has_tex(data: Bytes, begin: int, end: int) -> bool:
    """Whether a TeX command, `\\(`, `\\[` or `$$` stands there."""
    for at in range(begin, end - 1):
        after = data[at + 1]
        if data[at] == BACKSLASH and (97 <= after | SMALL <= 122 or after in BRACKETS):
            return True
        if data[at] == DOLLAR and after == DOLLAR:
            return True
    return False


@njit
def has_text(data: Bytes, begin: int, skip_begin: int, skip_end: int, end: int) -> bool:
    """Whether anything but white space stands around the bytes that are cut out."""
    for index in range(begin, end):
        if not skip_begin <= index < skip_end and data[index] > 32:
            return True
    return False
