"""What closes open tags (`open_tags`), and what their ends write."""

import numpy as np
from corpusmill.stages.columns.compiled import merged, uncounted
from corpusmill.stages.extract.page.block_borders import end_block
from corpusmill.stages.extract.page.code import M_REMOVED, close_removed, end_line
from corpusmill.stages.extract.page.formulas import close_formula
from corpusmill.stages.extract.page.mathml import M_MATH, close_math, end_formula
from corpusmill.stages.extract.page.names import tag_number
from corpusmill.stages.extract.page.nesting import CLOSE, STOP
from corpusmill.stages.extract.page.open_tags import break_block
from corpusmill.stages.extract.page.page import (
    ANNOTATION_FROM,
    CODE_FROM,
    DEPTH,
    ELEMENTS,
    FORMULA_END,
    IN_LINK,
    LAST,
    MATH_DISPLAY,
    MATH_FROM,
    MAX_DEPTH,
    OVERFLOW,
    PRE_FROM,
    S_ELEMENT,
    S_MARK,
    S_TAG,
    SKIPPED_FROM,
    WRITE,
    Page,
)
from corpusmill.stages.extract.page.scripts import M_SCRIPT, close_script
from numpy.typing import NDArray

A = tag_number("a")


@merged
def close_first(page: Page, rules: NDArray[np.uint8]) -> None:
    """Close the innermost open tag that the rules say to close, and all tags within it. Close none
    if the rules say stop before.
    """
    state = page.state
    depth = state[DEPTH]
    while depth > 0 and rules[page.stack[depth, S_TAG]] != CLOSE:
        if rules[page.stack[depth, S_TAG]] == STOP:
            return
        depth -= 1
    if depth > 0:
        pop_to(page, depth - 1)


@uncounted
def pop_to(page: Page, depth: int) -> None:
    """Close the open tags above `depth`."""
    state = page.state
    while state[DEPTH] > depth:
        top = page.stack[state[DEPTH]]
        page.open_count[top[S_TAG]] -= 1
        breaks = top[S_ELEMENT] != page.stack[state[DEPTH] - 1, S_ELEMENT]
        if breaks and state[ELEMENTS] > 0:
            page.elements[top[S_ELEMENT], LAST] = state[ELEMENTS] - 1
        if state[SKIPPED_FROM] == 0:
            if breaks:
                if state[PRE_FROM] > 0:
                    end_line(page, top)
                else:
                    break_block(page)
            if top[S_MARK]:
                _close_marked(page, top)
        if top[S_TAG] == A:
            state[IN_LINK] = 0
        if state[ANNOTATION_FROM] == state[DEPTH]:
            close_formula(page, state[MATH_DISPLAY] != 0)
            state[FORMULA_END], state[ANNOTATION_FROM], state[SKIPPED_FROM] = (
                state[WRITE],
                0,
                state[MATH_FROM],
            )
        if state[MATH_FROM] == state[DEPTH]:
            if state[SKIPPED_FROM] == 0:
                end_formula(page)
            state[MATH_FROM] = 0
        if state[SKIPPED_FROM] >= state[DEPTH]:
            state[SKIPPED_FROM] = 0
        if state[CODE_FROM] == state[DEPTH]:
            state[CODE_FROM] = 0
        if state[PRE_FROM] == state[DEPTH]:
            end_block(page)
            state[PRE_FROM] = 0
        state[DEPTH] -= 1


@uncounted
def _close_marked(page: Page, top: NDArray[np.int32]) -> None:
    mark = top[S_MARK]
    if mark & M_MATH:
        close_math(page, mark)
    if mark & M_SCRIPT:
        close_script(page, top)
    if mark & M_REMOVED:
        close_removed(page, top)


@merged
def close_deeper(page: Page) -> None:
    """Close the innermost tag, which is deeper than the stack."""
    state = page.state
    if state[SKIPPED_FROM] == MAX_DEPTH + state[OVERFLOW]:
        state[SKIPPED_FROM] = 0
    state[OVERFLOW] -= 1
