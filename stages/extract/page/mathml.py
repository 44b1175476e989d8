r"""MathML without TeX: its elements that place things above, below or over others are written as
TeX would write them.

    \frac{a}{b}   x^{2}   x_{i}^{2}   \sqrt{x}   (x)^{1/3}   \matrix{a & b \\ c & d}

Operators and letters stay the characters that they are. An element's number among its siblings says
what it is to its parent (MathML Core, section 3).
"""

import numpy as np
from corpusmill.stages.columns.compiled import merged, uncounted
from corpusmill.stages.extract.page.block_borders import NOTHING
from corpusmill.stages.extract.page.formulas import DOLLAR
from corpusmill.stages.extract.page.names import tag_number
from corpusmill.stages.extract.page.notation import (
    ABOVE,
    BELOW,
    CLOSE,
    COMMA,
    FRACTION_OF,
    MATRIX,
    NEXT_CELL,
    NEXT_ROW,
    OPEN,
    ROOT_OF,
    ROUND_CLOSE,
    ROUND_OPEN,
    SQUARE_ROOT,
    append_word,
    content_begin,
    insert,
    write_word,
)
from corpusmill.stages.extract.page.page import (
    ANNOTATION_FROM,
    BLOCK_BEGIN,
    DEPTH,
    FORMULA_END,
    MATH_BEGIN,
    MATH_DISPLAY,
    MATH_FROM,
    MATH_STRUCTURED,
    PENDING,
    S_COUNT,
    S_MARK,
    S_TAG,
    SKIPPED_FROM,
    WRITE,
    Page,
)

_BUILDERS = "mfenced mfrac mi mn mo mover mroot msqrt msub msubsup"
MFENCED, MFRAC, MI, MN, MO, MOVER, MROOT, MSQRT, MSUB, MSUBSUP = (
    tag_number(name) for name in _BUILDERS.split()
)
MSUP, MTABLE, MTD, MTEXT, MTR, MUNDER, MUNDEROVER = (
    tag_number(name) for name in ["msup", "mtable", "mtd", "mtext", "mtr", "munder", "munderover"]
)
SCRIPTS = np.array([MSUB, MSUP, MSUBSUP, MUNDER, MOVER, MUNDEROVER])
TOKENS = np.array([MI, MN, MO, MTEXT])
# The brackets that close an element: its own, and those of the argument that it is.
M_BRACE, M_ROUND, M_OWN_BRACE, M_OWN_ROUND = (1 << bit for bit in range(8, 12))
M_MATH = M_BRACE | M_ROUND | M_OWN_BRACE | M_OWN_ROUND


@merged
def in_formula(page: Page) -> bool:
    state = page.state
    return state[MATH_FROM] > 0 and state[SKIPPED_FROM] == 0 and state[ANNOTATION_FROM] == 0


@uncounted
def open_math(page: Page, number: int) -> None:
    """Write what comes before an element of a formula. Its row of the stack is the last."""
    state = page.state
    depth = state[DEPTH]
    above, top = page.stack[depth - 1], page.stack[depth]
    parent, index = above[S_TAG], above[S_COUNT]
    above[S_COUNT] += 1
    if parent == MFRAC:
        _argument(page, FRACTION_OF if index == 0 else OPEN, index > 0)
    elif _among(SCRIPTS, parent):
        if index == 0 and not _among(TOKENS, number):
            _argument(page, OPEN, False)
        elif index == 1:
            _argument(page, ABOVE if parent in (MSUP, MOVER) else BELOW, True)
        elif index == 2:
            _argument(page, ABOVE, True)
    elif parent == MROOT:
        if index == 0:
            write_word(page, ROUND_OPEN)
            top[S_MARK] |= M_ROUND
        else:
            _argument(page, ROOT_OF, True)
    elif index > 0 and parent == MTR:
        write_word(page, NEXT_CELL)
    elif index > 0 and parent == MTABLE:
        write_word(page, NEXT_ROW)
    elif index > 0 and parent == MFENCED:
        write_word(page, COMMA)
    if number == MFENCED:
        write_word(page, ROUND_OPEN)
        top[S_MARK] |= M_OWN_ROUND
    elif number in (MSQRT, MTABLE):
        write_word(page, SQUARE_ROOT if number == MSQRT else MATRIX)
        top[S_MARK] |= M_OWN_BRACE
    if parent in (MFRAC, MROOT) or number in (MSQRT, MTABLE) or _among(SCRIPTS, parent):
        state[MATH_STRUCTURED] = 1


@uncounted
def _argument(page: Page, word: int, close: bool) -> None:
    """Open an argument in braces. close: close to the text before."""
    if close and page.state[WRITE] > page.state[MATH_BEGIN]:
        append_word(page, word)
    else:
        write_word(page, word)
    page.stack[page.state[DEPTH], S_MARK] |= M_BRACE


@uncounted
def close_math(page: Page, mark: int) -> None:
    """Write the brackets that close an element."""
    if in_formula(page):
        if mark & (M_OWN_BRACE | M_OWN_ROUND):
            append_word(page, CLOSE if mark & M_OWN_BRACE else ROUND_CLOSE)
        if mark & (M_BRACE | M_ROUND):
            append_word(page, CLOSE if mark & M_BRACE else ROUND_CLOSE)


@uncounted
def end_formula(page: Page) -> None:
    """Mark a formula that has ended as TeX, if it has TeX in it."""
    state = page.state
    begin = content_begin(page, max(state[MATH_BEGIN], state[BLOCK_BEGIN]))
    if state[MATH_STRUCTURED] and begin < state[WRITE]:
        count = 2 if state[MATH_DISPLAY] else 1
        state[PENDING] = NOTHING
        insert(page, begin, DOLLAR, count)
        for _ in range(count):
            page.text[state[WRITE]] = DOLLAR
            state[WRITE] += 1
        state[FORMULA_END] = state[WRITE]
    state[MATH_STRUCTURED] = 0


@uncounted
def _among(numbers: np.ndarray, number: int) -> bool:
    for one in numbers:  # noqa: SIM110 (numba knows no any() over a generator)
        if one == number:
            return True
    return False
