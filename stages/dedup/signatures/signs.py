"""Which signs carry meaning: a kernel that looks at a sign and at its neighbours.

`3.5` is not 35, `-12` is not 12, `a < b` is not `a > b`. So a sign that carries meaning counts by
itself, or is part of a number:

- A full stop, comma, colon or apostrophe between two digits belongs to the number. A comma or
  apostrophe before exactly three digits only groups them, and is dropped.
- A hyphen or dash counts, but not between the letters of a word (`well-known`) and not behind one
  (`pre- and`). Between two single letters it counts: `x-y`. Between blanks it counts only if
  numbers, single letters or brackets stand on both sides; else it is a dash or a bullet.
  So does a bar: else it parts the cells of a table or the entries of a menu.
- An exclamation mark counts as a factorial, a negation, or before an equals sign. `#` counts after
  a letter (`C#`), an apostrophe before a bracket (`f'(x)`), a colon before an equals sign.
- Other operators, currencies, symbols and brackets count wherever they stand.

Marks of layout do not count: runs such as `-----`, `--` between words, `**` around words, and `*`,
`+` and `>` at the beginning of a line. All runs are looked at once, so time is linear.
"""

from typing import Any

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.columns.word_rule import SPACE, UNSPACED_CHARACTER, WORD
from corpusmill.stages.dedup.signatures.normalization import DIGIT, SIGN

# What becomes of a sign.
DROP, COUNTS, IN_NUMBER = 0, 1, 2

_ONE = np.uint64(1)
_STOP, _COMMA, _COLON, _APOSTROPHE = (np.uint64(ord(sign)) for sign in ".,:'")
_HYPHEN, _PLUS, _STAR, _HASH, _GREATER = (np.uint64(ord(sign)) for sign in "-+*#>")
_EXCLAMATION, _EQUALS, _SLASH = (np.uint64(ord(sign)) for sign in "!=/")
_OPEN, _CLOSE, _OPEN_SQUARE, _CLOSE_SQUARE = (np.uint64(ord(sign)) for sign in "()[]")
_OPEN_CURLY, _CLOSE_CURLY, _BAR = (np.uint64(ord(sign)) for sign in "{}|")
_RULE = 4  # so many equal signs in a row are a line


@njit(nogil=True, inline="always")
def is_figure(sign: Any) -> bool:
    """Whether a sign counts among the figures of a text: all but brackets and bars do."""
    return sign not in (_OPEN, _CLOSE, _OPEN_SQUARE, _CLOSE_SQUARE, _OPEN_CURLY, _CLOSE_CURLY, _BAR)


@njit(nogil=True)
def character_at(data: Any, i: Any, end: Any, kinds: Any, lower: Any) -> Any:
    """The kind of the character at data[i], what stands for it, and where the next one begins.
    Past the end it is white space.
    """
    if i >= end:
        return np.uint8(SPACE), np.uint64(0), end
    lead = np.uint64(data[i])
    if lead < 0x80:
        return kinds[lead], np.uint64(lower[lead]), i + _ONE
    size = np.uint64(2) if lead < 0xE0 else np.uint64(3) if lead < 0xF0 else np.uint64(4)
    if i + size > end or size == 4:
        return np.uint8(WORD), np.uint64(0xFFFD), min(end, i + size)
    code = lead & (np.uint64(0x1F) if size == 2 else np.uint64(0x0F))
    for place in range(1, size):
        code = code << np.uint64(6) | np.uint64(data[i + np.uint64(place)] & 0x3F)
    return kinds[code], np.uint64(lower[code]), i + size


@njit(nogil=True)
def judge_sign(
    data: Any,
    at: Any,
    end: Any,
    sign: Any,
    last: Any,
    last_code: Any,
    segment: int,
    operand: bool,
    fresh: bool,
    kinds: Any,
    lower: Any,
) -> Any:
    """(what becomes of the sign, up to where signs of its run are dropped).

    at: where the character after the sign begins. last, last_code: kind and code of the character
    before. segment: characters since the last sign or blank. operand: whether a number,
    a single letter or a bracket stands before it, perhaps with blanks between. fresh: whether only
    white space and marks stand before it in its line.
    """
    following, following_code, after = character_at(data, at, end, kinds, lower)
    run, run_end = 1, at
    kind, code, next_end = following, following_code, after
    while kind == SIGN and code == sign:
        run, run_end = run + 1, next_end
        kind, code, next_end = character_at(data, run_end, end, kinds, lower)
    if run >= _RULE or (sign == _HYPHEN and run == _RULE - 1):
        return DROP, run_end
    if fresh and kind == SPACE and _is_mark(sign):
        signed = sign == _PLUS and _operand_follows(data, run_end, end, kinds, lower)
        return (COUNTS, at) if signed else (DROP, run_end)
    in_word = last in (WORD, UNSPACED_CHARACTER)
    if sign in (_STOP, _COMMA, _COLON, _APOSTROPHE):
        if following == DIGIT and last == DIGIT:
            grouping = sign in (_COMMA, _APOSTROPHE)
            return (DROP if grouping and _three_digits(data, at, end, kinds) else IN_NUMBER), at
        if sign == _STOP and following == DIGIT and not in_word:
            return IN_NUMBER, at
        derives = sign == _APOSTROPHE and in_word and following_code == _OPEN
        assigns = sign == _COLON and following_code == _EQUALS
        return (COUNTS if derives or assigns else DROP), at
    if sign == _BAR and run == 1 and last == SPACE and following == SPACE:
        counts = operand and _operand_follows(data, at, end, kinds, lower)
        return (COUNTS if counts else DROP), at
    if sign == _HYPHEN:
        if run > 1 and last != DIGIT and kind != DIGIT:
            return DROP, run_end
        if following == SPACE and (in_word or last == SPACE):
            counts = last == SPACE and operand and _operand_follows(data, at, end, kinds, lower)
            return (COUNTS if counts else DROP), at
        if in_word and (following in (WORD, UNSPACED_CHARACTER)):
            beyond, _, _ = character_at(data, after, end, kinds, lower)
            alone = segment == 1 and beyond != WORD and beyond != DIGIT
            return (COUNTS if alone else DROP), at
        return COUNTS, at
    if sign == _EXCLAMATION:
        counted = (last == DIGIT or last_code == _CLOSE) or following_code == _EQUALS
        opens = last in (SPACE, SIGN)
        negates = opens and (following == WORD or following_code == _OPEN)
        return (COUNTS if counted or negates else DROP), at
    if sign == _HASH:
        return (COUNTS if in_word or last == DIGIT else DROP), at
    if sign == _STAR and run > 1:
        power = (last in (WORD, DIGIT) or last_code == _CLOSE) and (
            kind in (WORD, DIGIT) or code in (_OPEN, _HYPHEN)
        )
        return (COUNTS, at) if power else (DROP, run_end)
    return COUNTS, at


@njit(nogil=True, inline="always")
def _is_mark(sign: Any) -> bool:
    return sign in (_PLUS, _STAR, _GREATER)


@njit(nogil=True)
def _operand_follows(data: Any, at: Any, end: Any, kinds: Any, lower: Any) -> bool:
    """Whether a number, a sign or a single letter comes next, after at most a few blanks."""
    kind, _, after = character_at(data, at, end, kinds, lower)
    for _ in range(4):
        if kind != SPACE or after >= end:
            break
        kind, _, after = character_at(data, after, end, kinds, lower)
    if kind == WORD:
        beyond, _, _ = character_at(data, after, end, kinds, lower)
        return beyond != WORD and beyond != DIGIT
    return kind in (DIGIT, SIGN)


@njit(nogil=True)
def _three_digits(data: Any, at: Any, end: Any, kinds: Any) -> bool:
    """Whether exactly three ASCII digits come next."""
    count = 0
    while count < 4 and at < end and data[at] < 0x80 and kinds[data[at]] == DIGIT:
        count += 1
        at += _ONE
    return count == 3
