"""Superscripts, subscripts, fractions, readings of characters: what stands above, below or over
other text is written in one line.

    km^2   2^(n+1)   x_1   H2O   1st   1998 [12]   3 1/2   √(x+1)   漢字(かんじ)

Text in a superscript may be an exponent, the end of an ordinal (1st, XIXe), a sign (TM), or the
mark of a note. Links and classes tell notes; otherwise the text before it tells.
"""

import numpy as np
from corpusmill.stages.columns.compiled import merged, uncounted
from corpusmill.stages.extract.page.block_borders import NOTHING, SPACE, admits
from corpusmill.stages.extract.page.facts import (
    DENOMINATOR,
    FRACTION,
    LOWERED,
    NOTE,
    NUMERATOR,
    OVERLINE,
    RAISED,
)
from corpusmill.stages.extract.page.hashing import word_hash
from corpusmill.stages.extract.page.names import tag_number
from corpusmill.stages.extract.page.notation import (
    OVER,
    ROUND_CLOSE,
    ROUND_OPEN,
    append_word,
    content_begin,
    insert,
    remove,
)
from corpusmill.stages.extract.page.page import (
    BLOCK_BEGIN,
    BLOCKS,
    DEPTH,
    PENDING,
    PRE_FROM,
    S_BEGIN,
    S_BLOCK,
    S_LINKS,
    S_MARK,
    S_TAG,
    TEXT_LINKS,
    WRITE,
    Page,
)
from corpusmill.stages.extract.page.script_places import (
    LONGEST_SCRIPT,
    are_digits,
    ends_with,
    ends_with_bracket,
    is_above_a_word,
    is_after_atom,
    is_after_fraction_slash,
    is_listed,
    is_sign,
    is_word_byte,
    word_at,
)
from numpy.typing import NDArray

A, RT, SUB, SUP = (tag_number(name) for name in ("a", "rt", "sub", "sup"))
M_SUP, M_SUB, M_NOTE, M_READING, M_RADICAND, M_FRACTION = (1 << bit for bit in range(6))
M_SCRIPT = M_SUP | M_SUB | M_READING | M_RADICAND
SHORT_SCRIPT = 12  # bytes; longer text with spaces is no exponent
# Endings of ordinals and abbreviations, signs: they are written as they are.
_PLAIN = (
    "st nd rd th er re ère e ers res es ème eme èmes nde ter o os a as ª º mo ma to te de ste tm "
    "sm mc r ® © ™ ℠ me mes mlle mlles lle lles gr mgr bis † ‡ § ¶ ° ′ ″"
)
PLAIN = np.array(
    [word_hash(word) for word in _PLAIN.split()],
    np.uint64,
)
SMALL_O = ord("o")  # nº, written as an o
CARET, UNDERSCORE, SLASH, LEFT, RIGHT, SQUARE, BACK_SQUARE, ZERO, ONE, NINE = (
    ord(sign) for sign in "^_/()[]019"
)


@merged
def open_script(page: Page, number: int, facts: int) -> None:
    """Note at its start what a tag's end has to do. Its row of the stack is the last."""
    state = page.state
    if state[PRE_FROM] > 0:
        return
    top = page.stack[state[DEPTH]]
    if number == SUP or facts & RAISED:
        top[S_MARK] |= M_SUP | (M_NOTE if facts & NOTE else 0)
    elif number == SUB or facts & LOWERED:
        top[S_MARK] |= M_SUB
    elif number == RT:
        if state[WRITE] > state[BLOCK_BEGIN] and not ends_with_bracket(page):
            append_word(page, ROUND_OPEN)
            top[S_MARK] |= M_READING
            top[S_BEGIN] = state[WRITE]
    elif facts & FRACTION:
        top[S_MARK] |= M_FRACTION
    elif facts & (NUMERATOR | DENOMINATOR) and page.stack[state[DEPTH] - 1, S_MARK] & M_FRACTION:
        _open_part(page, facts)
    elif facts & OVERLINE and ends_with(page, 0xE2, 0x88, 0x9A):  # a root sign
        top[S_MARK] |= M_RADICAND


@uncounted
def _open_part(page: Page, facts: int) -> None:
    """Set a numerator apart from the whole number before it, and a denominator from its
    numerator.
    """
    state = page.state
    if state[WRITE] == state[BLOCK_BEGIN] or not admits(page):
        return
    last = page.text[state[WRITE] - 1]
    if facts & DENOMINATOR:
        if ends_with(page, 0xE2, 0x81, 0x84):  # a fraction slash
            state[WRITE] -= 3
            append_word(page, OVER)
        elif last != SLASH:
            append_word(page, OVER)
        state[PENDING] = NOTHING
    elif is_word_byte(last):
        state[PENDING] = SPACE


@uncounted
def close_script(page: Page, top: NDArray[np.int32]) -> None:
    """Write the text of the element of row `top`, which has ended, as it stands to the text
    before.
    """
    state, mark = page.state, top[S_MARK]
    begin = np.int64(top[S_BEGIN])
    if state[BLOCKS] != top[S_BLOCK] or begin < state[BLOCK_BEGIN] or state[PRE_FROM] > 0:
        return
    content = content_begin(page, begin)
    if mark & M_READING:
        if content == state[WRITE]:  # nothing stands between the brackets
            remove(page, begin - 1, top)
        else:
            append_word(page, ROUND_CLOSE)
        return
    length = state[WRITE] - content
    if not 0 < length <= LONGEST_SCRIPT:
        return
    based = begin > state[BLOCK_BEGIN] and content == begin
    if mark & M_RADICAND:
        if based and length > 1:
            insert(page, begin, LEFT, 1)
            append_word(page, ROUND_CLOSE)
    elif mark & M_SUP:
        _close_sup(page, top, content, based)
    elif based:
        _close_sub(page, content)


@uncounted
def _close_sup(page: Page, top: NDArray[np.int32], content: int, based: bool) -> None:
    text, state = page.text, page.state
    above = page.stack[state[DEPTH] - 1]
    linked = (
        top[S_MARK] & M_NOTE != 0
        or state[TEXT_LINKS] > top[S_LINKS]
        or (above[S_TAG] == A and above[S_BEGIN] == top[S_BEGIN])
    )
    first = text[content]
    letter_above_letter = (
        based
        and state[WRITE] - content == 1
        and first != SMALL_O
        and 97 <= text[content - 1] <= 122
    )
    if not letter_above_letter and is_listed(PLAIN, word_at(page, content, state[WRITE])):
        return
    if linked or (based and is_above_a_word(page, content)):
        bracketed = first in (SQUARE, LEFT)
        if bracketed or is_word_byte(first):
            if not bracketed:
                insert(page, content, SQUARE, 1)
                text[state[WRITE]] = BACK_SQUARE
                state[WRITE] += 1
            if based:
                insert(page, content, SPACE, 1)
        return
    if not based or not (is_word_byte(first) or is_sign(page, content) or first == LEFT):
        return
    if first == SQUARE or text[content - 1] == CARET:
        return
    _write_script(page, content, CARET)


@uncounted
def _close_sub(page: Page, content: int) -> None:
    text, state = page.text, page.state
    slash = content - 1
    if text[slash] == SLASH or is_after_fraction_slash(page, content):
        if text[slash] != SLASH:
            slash -= 2
            text[slash] = SLASH
            for place in range(content, state[WRITE]):
                text[place - 2] = text[place]
            state[WRITE] -= 2
        _join_numerator(page, slash)
        return
    if not is_word_byte(text[content]) and not is_sign(page, content):
        return
    if are_digits(page, content) and (
        text[content - 1] == RIGHT
        or (
            (text[content] > ONE or (text[content] == ONE and state[WRITE] - content > 1))
            and is_after_atom(page, content)
        )
    ):
        return
    _write_script(page, content, UNDERSCORE)


@uncounted
def _write_script(page: Page, content: int, mark: int) -> None:
    """Mark the text from `content` on as an exponent or an index. It gets brackets unless it is one
    number or name.
    """
    state = page.state
    single, spaced = True, False
    for place in range(content, state[WRITE]):
        byte = page.text[place]
        spaced = spaced or byte == SPACE
        if not is_word_byte(byte) and not (place == content and is_sign(page, place)):
            single = False
    if spaced and state[WRITE] - content > SHORT_SCRIPT:
        insert(page, content, SPACE, 1)
        return
    last = page.text[state[WRITE] - 1]
    bracketed = page.text[content] == LEFT and last == RIGHT
    if single or bracketed or state[WRITE] - content == 1:
        insert(page, content, mark, 1)
        return
    insert(page, content, LEFT, 2)
    page.text[content] = mark
    page.text[state[WRITE]] = RIGHT
    state[WRITE] += 1


@uncounted
def _join_numerator(page: Page, slash: int) -> None:
    """Make `3^1/2` the number 3 1/2, and `^1/2` a plain half."""
    text, state = page.text, page.state
    place = slash
    while place > state[BLOCK_BEGIN] and ZERO <= text[place - 1] <= NINE:
        place -= 1
    if place == slash or place <= state[BLOCK_BEGIN] or text[place - 1] != CARET:
        return
    if place - 1 > state[BLOCK_BEGIN] and is_word_byte(text[place - 2]):
        text[place - 1] = SPACE
        return
    for at in range(place, state[WRITE]):
        text[at - 1] = text[at]
    state[WRITE] -= 1
