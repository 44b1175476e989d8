"""What kind of line a single line of light Markdown is, and how long its mark is."""

# numba needs 64-bit integers and Python's kept apart. For readers and mypy they are the same.
# mypy: disable-error-code="assignment,return-value"

from typing import TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]

# Kinds that a line alone tells. Those above BLANK make a text one with marks.
(PLAIN, BLANK, HEADING, ITEM, NUMBERED, STARRED, FENCE, CELLS, RULE) = range(9)
(FORMULA, DISPLAY, BRACKET, TEX) = range(9, 13)
# Kinds that only the neighbours tell. MARK: the line is a mark, a fence or a table's rule.
(CODE, TABLE, MARK, CONTINUED) = range(13, 17)
(ENVIRONMENT, UNDERLINE) = range(17, 19)  # these also tell alone
KIND, TABBED = 31, 32  # the bits of the kind; whether a tab stands in the line

SPACE, HASH, HYPHEN, STAR, PLUS, DOT, CLOSING, BAR = (ord(sign) for sign in " #-*+.)|")
BACKTICK, TILDE, DOLLAR, BACKSLASH, COLON = (ord(sign) for sign in "`~$\\:")
OPEN_BRACKET, CLOSE_BRACKET, EQUALS, CARET, UNDERSCORE, BRACE = (ord(sign) for sign in "[]=^_{")
COMMA, SEMICOLON, OPENING = (ord(sign) for sign in ",;(")
DEEPEST_HEADING, MOST_DIGITS = 6, 3  # a line that begins with 1998. is a sentence
MOST_MARKED_DIGITS, LONGEST_ROMAN = 4, 5
ROMAN, CLOSE_BRACE = tuple(b"ivx"), ord("}")
BULLETS = tuple("•‣◦▪▫■□●○–—⁃".encode()[2::3])  # their last bytes
BULLETS_BEFORE = tuple("•‣◦▪▫■□●○–—⁃".encode()[1::3])
BEGIN_MARK, END_MARK = (np.frombuffer(text, np.uint8) for text in (b"\\begin{", b"\\end{"))
# LaTeX environments whose lines are no prose, with a blank around each name.
DISPLAYED = np.frombuffer(
    b" equation align aligned alignat gather gathered multline eqnarray flalign split math"
    b" displaymath dmath cases array matrix pmatrix bmatrix vmatrix Vmatrix Bmatrix smallmatrix"
    b" subequations tabular tabularx longtable verbatim Verbatim lstlisting minted tikzpicture"
    b" algorithmic ",
    np.uint8,
)


@njit
def kind_of(data: Bytes, begin: int, end: int, has_bar: bool, has_tab: bool) -> int:
    """The kind of data[begin:end], with the bit TABBED if a tab stands behind its first sign."""
    while begin < end and data[begin] <= SPACE:
        begin += 1
    while end > begin and data[end - 1] <= SPACE:
        end -= 1
    if begin == end:
        return BLANK
    kind, first = PLAIN, data[begin]
    if first == HASH:
        kind = HEADING if _heading_size(data, begin, end) > 0 else PLAIN
    elif first == HYPHEN and end - begin > 2 and data[begin + 1] == SPACE:
        kind = ITEM
    elif first in (STAR, PLUS) and end - begin > 2 and data[begin + 1] == SPACE:
        kind = STARRED
    elif 48 <= first <= 57:
        kind = NUMBERED if _number_size(data, begin, end) > 0 else PLAIN
    elif first in (BACKTICK, TILDE):
        kind = FENCE if fence_size(data, begin, end)[0] > 0 else PLAIN
    elif first == DOLLAR:
        kind = _kind_in_dollars(data, begin, end)
    elif first == BACKSLASH and end - begin > 1:
        if data[begin + 1] == OPEN_BRACKET:
            kind = BRACKET
        elif begins_with(data, begin, end, BEGIN_MARK):
            kind = ENVIRONMENT
        elif data[begin + 1] == CLOSE_BRACKET or 97 <= data[begin + 1] | 32 <= 122:
            kind = TEX
    if kind in (PLAIN, ITEM):
        if has_bar and _is_rule(data, begin, end):
            kind = RULE
        elif kind == PLAIN and has_bar and _has_cells(data, begin, end):
            kind = CELLS
    if kind == PLAIN:
        if _has_other_mark(data, begin, end):
            kind = STARRED
        elif first in (EQUALS, HYPHEN) and _is_underline(data, begin, end):
            kind = UNDERLINE
    return kind | TABBED if has_tab and _holds_tab(data, begin, end) else kind


@njit
def mark_size(data: Bytes, begin: int, end: int, kind: int) -> int:
    """How many bytes of a line's begin are its mark, with the indentation before it."""
    start = begin
    while begin < end and data[begin] <= SPACE:
        begin += 1
    if kind == HEADING:
        return begin - start + _heading_size(data, begin, end)
    if kind == ITEM:
        return begin - start + 2
    if kind == NUMBERED:
        return begin - start + _number_size(data, begin, end)
    return 0


@njit
def _heading_size(data: Bytes, begin: int, end: int) -> int:
    """The size of `# ` to `###### ` with something behind it, or 0."""
    at = begin
    while at < end and data[at] == HASH:
        at += 1
    if at - begin > DEEPEST_HEADING or at + 1 >= end or data[at] != SPACE:
        return 0
    return at + 1 - begin


@njit
def is_deep_heading(data: Bytes, begin: int) -> bool:
    """Whether a heading's mark has more than one sign. One alone also begins a comment."""
    while data[begin] <= SPACE:
        begin += 1
    return data[begin + 1] == HASH


@njit
def _number_size(data: Bytes, begin: int, end: int) -> int:
    """The size of `1. ` or `1) ` with something behind it, or 0."""
    at = begin
    while at < end and 48 <= data[at] <= 57:
        at += 1
    if at - begin > MOST_DIGITS or at + 2 >= end or data[at + 1] != SPACE:
        return 0
    return at + 2 - begin if data[at] == DOT or data[at] == CLOSING else 0


@njit
def _has_other_mark(data: Bytes, begin: int, end: int) -> bool:
    """Whether a line begins as an item does with a mark that Markdown has not: `• `, `– `, `a) `,
    `(1) `, `iv. `, `1000. `. Such marks are words of the text, so they stand in its view.
    """
    first = data[begin]
    if first == 0xE2:
        if end - begin < 5 or data[begin + 3] != SPACE:
            return False
        for at in range(len(BULLETS)):
            if data[begin + 1] == BULLETS_BEFORE[at] and data[begin + 2] == BULLETS[at]:
                return True
        return False
    at = begin + (first == OPENING)
    start = at
    while at < end and at - start < MOST_MARKED_DIGITS and 48 <= data[at] <= 57:
        at += 1
    if at == start:
        while at < end and at - start < LONGEST_ROMAN and data[at] | 32 in ROMAN:
            at += 1
        at = max(at, start + (start < end and 97 <= data[start] | 32 <= 122))
    if at == start or at + 2 >= end or data[at + 1] != SPACE:
        return False
    return data[at] == CLOSING or (data[at] == DOT and first != OPENING)


@njit
def _is_underline(data: Bytes, begin: int, end: int) -> bool:
    """Whether a line is three or more `=` or `-`, as below a heading."""
    for at in range(begin + 1, end):
        if data[at] != data[begin]:
            return False
    return end - begin >= 3


@njit
def begins_with(data: Bytes, begin: int, end: int, text: Bytes) -> bool:
    """Whether data[begin:end] begins with `text`."""
    if end - begin < text.size:
        return False
    for index in range(text.size):  # noqa: SIM110 (numba knows no all() over a generator)
        if data[begin + index] != text[index]:
            return False
    return True


@njit
def environment_of(data: Bytes, begin: int, end: int) -> tuple[int, int]:
    r"""The place and the size of the name in a line that begins with `\\begin{`."""
    while data[begin] <= SPACE:
        begin += 1
    begin += BEGIN_MARK.size
    at = begin
    while at < end and data[at] > SPACE and data[at] != CLOSE_BRACE:
        at += 1
    return begin, at - begin


@njit
def closes_environment(data: Bytes, begin: int, end: int, name: int, size: int) -> bool:
    r"""Whether a line holds `\\end{` with the name of data[name:name + size]."""
    for at in range(begin, end - END_MARK.size - size):
        if data[at] == BACKSLASH and begins_with(data, at, end, END_MARK):
            start = at + END_MARK.size
            if data[start + size] == CLOSE_BRACE and begins_with(
                data, start, end, data[name : name + size]
            ):
                return True
    return False


@njit
def is_displayed(data: Bytes, name: int, size: int) -> bool:
    """Whether the environment of this name holds a formula, a table or code, starred or not."""
    size -= size > 0 and data[name + size - 1] == STAR
    for at in range(DISPLAYED.size - size - 1):
        if (
            size > 0
            and DISPLAYED[at] == SPACE
            and DISPLAYED[at + size + 1] == SPACE
            and begins_with(DISPLAYED, at + 1, DISPLAYED.size, data[name : name + size])
        ):
            return True
    return False


@njit
def fence_size(data: Bytes, begin: int, end: int) -> tuple[int, int]:
    """How many equal signs a fence has (0 if it is none), and the sign."""
    while begin < end and data[begin] <= SPACE:
        begin += 1
    at, sign = begin, np.int64(data[begin])
    while at < end and data[at] == sign:
        at += 1
    size = at - begin
    if size < 3 or (sign != BACKTICK and sign != TILDE):
        return 0, sign
    while at < end and data[at] != BACKTICK:
        at += 1
    return (size if at == end else 0), sign  # no backtick behind it: it is code in a sentence


@njit
def _kind_in_dollars(data: Bytes, begin: int, end: int) -> int:
    """The kind of a line that begins with a dollar sign: `$$` alone, a formula, or plain."""
    while end > begin and data[end - 1] in (COMMA, SEMICOLON, DOT, COLON):
        end -= 1
    if end - begin == 2 and data[begin + 1] == DOLLAR:
        return DISPLAY
    if end - begin < 3 or data[end - 1] != DOLLAR:
        return PLAIN
    dollars = signs = 0
    for at in range(begin, end):
        byte = data[at]
        dollars += byte == DOLLAR
        signs += byte in (BACKSLASH, EQUALS, CARET, UNDERSCORE, BRACE)
    is_double = data[begin + 1] == DOLLAR and data[end - 2] == DOLLAR
    is_whole = dollars == (4 if is_double else 2)  # else text stands between two formulas
    return FORMULA if signs > 0 and is_whole else PLAIN


@njit
def closes_bracket(data: Bytes, begin: int, end: int) -> bool:
    r"""Whether a line ends in `\\]`, perhaps with a mark behind it."""
    while end > begin and (data[end - 1] <= SPACE or data[end - 1] in (COMMA, SEMICOLON, DOT)):
        end -= 1
    return end - begin > 1 and data[end - 1] == CLOSE_BRACKET and data[end - 2] == BACKSLASH


@njit
def _is_rule(data: Bytes, begin: int, end: int) -> bool:
    """Whether nothing but bars, hyphens, colons and blanks stands there."""
    for at in range(begin, end):  # noqa: SIM110 (numba knows no all() over a generator)
        if data[at] not in (BAR, HYPHEN, COLON, SPACE):
            return False
    return True


@njit
def _has_cells(data: Bytes, begin: int, end: int) -> bool:
    """Whether a bar stands there between blanks or at an end."""
    for at in range(begin, end):
        if (
            data[at] == BAR
            and (at == begin or data[at - 1] <= SPACE)
            and (at + 1 == end or data[at + 1] <= SPACE)
        ):
            return True
    return False


@njit
def _holds_tab(data: Bytes, begin: int, end: int) -> bool:
    for at in range(begin, end):  # noqa: SIM110 (numba knows no any() over a generator)
        if data[at] == 9:
            return True
    return False


@njit
def is_indented(data: Bytes, begin: int) -> bool:
    """Whether a line begins with a tab or two blanks."""
    return data[begin] == 9 or (data[begin] == SPACE and data[begin + 1] == SPACE)
