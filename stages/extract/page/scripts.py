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
from corpusmill.stages.extract.page.hashing import FNV_OFFSET, mix, word_hash
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
from numpy.typing import NDArray

A, RT, SUB, SUP = (tag_number(name) for name in ("a", "rt", "sub", "sup"))
M_SUP, M_SUB, M_NOTE, M_READING, M_RADICAND, M_FRACTION = (1 << bit for bit in range(6))
M_SCRIPT = M_SUP | M_SUB | M_READING | M_RADICAND
LONGEST_SCRIPT = 40  # bytes; longer text is no exponent
SHORT_SCRIPT = 12  # bytes; longer text with spaces is no exponent
NOTED_WORD = 4  # letters; a number above a longer word is a note's, except above these:
# Endings of ordinals and abbreviations, signs: they are written as they are.
_PLAIN = (
    "st nd rd th er re ère e ers res es ème eme èmes nde ter o os a as ª º mo ma to te de ste tm "
    "sm mc r ® © ™ ℠ me mes mlle mlles lle lles gr mgr bis † ‡ § ¶ ° ′ ″"
)
PLAIN = np.array(
    [word_hash(word) for word in _PLAIN.split()],
    np.uint64,
)
_MEASURED = (
    "mile miles inch inches feet foot yard yards acre metre metres meter meters metro metros "
    "mètre mètres sinh cosh tanh grad curl"
)
MEASURED = np.array(
    [word_hash(word) for word in _MEASURED.split()],
    np.uint64,
)
# Elements whose subscripts are numbers of atoms. A subscript 1 is never one.
_ATOMS = "Cl Br Na Ca Mg Al Si Fe Cu Zn Li Mn Ti Pb Ag Hg Cr Ni Co Ba Se"
ATOMS = np.array(
    [ord(letter) for letter in "HCNOSPFB"]
    + [ord(name[0]) << 8 | ord(name[1]) for name in _ATOMS.split()],
    np.int64,
)
SMALL_O = ord("o")  # nº, written as an o
CARET, UNDERSCORE, SLASH, LEFT, RIGHT, SQUARE, BACK_SQUARE, ZERO, ONE, NINE, PLUS, MINUS = (
    ord(sign) for sign in "^_/()[]019+-"
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
        if state[WRITE] > state[BLOCK_BEGIN] and not _ends_with_bracket(page):
            append_word(page, ROUND_OPEN)
            top[S_MARK] |= M_READING
            top[S_BEGIN] = state[WRITE]
    elif facts & FRACTION:
        top[S_MARK] |= M_FRACTION
    elif facts & (NUMERATOR | DENOMINATOR) and page.stack[state[DEPTH] - 1, S_MARK] & M_FRACTION:
        _open_part(page, facts)
    elif facts & OVERLINE and _ends_with(page, 0xE2, 0x88, 0x9A):  # a root sign
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
        if _ends_with(page, 0xE2, 0x81, 0x84):  # a fraction slash
            state[WRITE] -= 3
            append_word(page, OVER)
        elif last != SLASH:
            append_word(page, OVER)
        state[PENDING] = NOTHING
    elif _is_word_byte(last):
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
    if not letter_above_letter and _listed(PLAIN, _word(page, content, state[WRITE])):
        return
    if linked or (based and _above_a_word(page, content)):
        bracketed = first in (SQUARE, LEFT)
        if bracketed or _is_word_byte(first):
            if not bracketed:
                insert(page, content, SQUARE, 1)
                text[state[WRITE]] = BACK_SQUARE
                state[WRITE] += 1
            if based:
                insert(page, content, SPACE, 1)
        return
    if not based or not (_is_word_byte(first) or _is_sign(page, content) or first == LEFT):
        return
    if first == SQUARE or text[content - 1] == CARET:
        return
    _write_script(page, content, CARET)


@uncounted
def _close_sub(page: Page, content: int) -> None:
    text, state = page.text, page.state
    slash = content - 1
    if text[slash] == SLASH or _is_fraction_slash(page, content):
        if text[slash] != SLASH:
            slash -= 2
            text[slash] = SLASH
            for place in range(content, state[WRITE]):
                text[place - 2] = text[place]
            state[WRITE] -= 2
        _join_numerator(page, slash)
        return
    if not _is_word_byte(text[content]) and not _is_sign(page, content):
        return
    if _are_digits(page, content) and (
        text[content - 1] == RIGHT
        or (
            (text[content] > ONE or (text[content] == ONE and state[WRITE] - content > 1))
            and _after_atom(page, content)
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
        if not _is_word_byte(byte) and not (place == content and _is_sign(page, place)):
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
    if place - 1 > state[BLOCK_BEGIN] and _is_word_byte(text[place - 2]):
        text[place - 1] = SPACE
        return
    for at in range(place, state[WRITE]):
        text[at - 1] = text[at]
    state[WRITE] -= 1


@uncounted
def _above_a_word(page: Page, content: int) -> bool:
    """Whether a number stands above the end of a word or of a sentence, as marks of notes do."""
    if not _are_digits(page, content) or page.state[WRITE] - content > 3:
        return False
    text, place, letters = page.text, content, 0
    last = text[content - 1]
    if last in (0x2E, 0x2C, 0x3B, 0x3A, 0x21, 0x3F, 0x22, 0x27):  # . , ; : ! ? " '
        return True
    if last == 0x99 or last == 0x9D or last == 0x82:  # the end of ’ or ” or 。
        return text[content - 3] in (0xE2, 0xE3)
    while place > page.state[BLOCK_BEGIN] and content - place < LONGEST_SCRIPT:
        byte = text[place - 1]
        if not (_is_letter(byte) or byte >= 0x80):
            break
        letters += byte < 0x80 or byte >= 0xC0
        place -= 1
    return letters >= NOTED_WORD and not _listed(MEASURED, _word(page, place, content))


@uncounted
def _after_atom(page: Page, content: int) -> bool:
    """Whether the text before `content` ends with the symbol of a chemical element."""
    last = np.int64(page.text[content - 1])
    if 97 <= last <= 122 and content - 2 >= page.state[BLOCK_BEGIN]:
        last |= np.int64(page.text[content - 2]) << 8
    for atom in ATOMS:  # noqa: SIM110 (numba knows no any() over a generator)
        if atom == last:
            return True
    return False


@uncounted
def _listed(words: NDArray[np.uint64], code: np.uint64) -> bool:
    for word in words:  # noqa: SIM110 (numba knows no any() over a generator)
        if word == code:
            return True
    return False


@uncounted
def _word(page: Page, begin: int, end: int) -> np.uint64:
    """The hash of text in lower case (ASCII)."""
    code = FNV_OFFSET
    for place in range(begin, end):
        byte = page.text[place]
        code = mix(code, byte | 32 if 65 <= byte <= 90 else byte)
    return code


@uncounted
def _are_digits(page: Page, begin: int) -> bool:
    for place in range(begin, page.state[WRITE]):  # noqa: SIM110 (numba knows no all())
        if not ZERO <= page.text[place] <= NINE:
            return False
    return True


@uncounted
def _is_sign(page: Page, place: int) -> bool:
    """Whether a plus or minus stands at a place of the text."""
    text = page.text
    return (
        text[place] in (PLUS, MINUS)
        or (text[place] == 0xE2 and text[place + 1] == 0x88 and text[place + 2] == 0x92)
        or (text[place] == 0xE2 and text[place + 1] == 0x80 and text[place + 2] == 0x93)
    )


@uncounted
def _is_fraction_slash(page: Page, end: int) -> bool:
    text = page.text
    return (
        end - 3 >= page.state[BLOCK_BEGIN]
        and text[end - 3] == 0xE2
        and text[end - 2] == 0x81
        and text[end - 1] == 0x84
    )


@uncounted
def _ends_with(page: Page, first: int, second: int, third: int) -> bool:
    text, end = page.text, page.state[WRITE]
    return (
        end - 3 >= page.state[BLOCK_BEGIN]
        and page.state[PENDING] == NOTHING
        and text[end - 3] == first
        and text[end - 2] == second
        and text[end - 1] == third
    )


@uncounted
def _ends_with_bracket(page: Page) -> bool:
    """Whether the text ends with an opening bracket, ASCII or full width."""
    last = page.text[page.state[WRITE] - 1]
    return (
        last in (LEFT, SQUARE)
        or _ends_with(page, 0xEF, 0xBC, 0x88)
        or _ends_with(page, 0xE3, 0x80, 0x90)
    )


@uncounted
def _is_letter(byte: int) -> bool:
    return 97 <= (byte | 32) <= 122


@uncounted
def _is_word_byte(byte: int) -> bool:
    """Whether a byte is part of a letter or a digit; all beyond ASCII count as letters."""
    return _is_letter(byte) or ZERO <= byte <= NINE or byte >= 0x80
