"""The stack of open tags: what a tag stands in, what it passes on to the tags inside it, and what
closes it.

Each row of `page.stack` is an open tag with what it has inherited. An element (a tag that breaks
lines) also has a row in `page.elements`.
"""

import numpy as np
from corpusmill.stages.columns.compiled import uncounted
from corpusmill.stages.extract.page.names import (
    ARIA_LABEL,
    BLOCK,
    CLASS,
    FAR,
    ID,
    ITEMPROP,
    RENDERED_MATH,
    ROLE,
    SKIPPED,
    STRONG,
    UNDISPLAYED,
    UNSPOKEN,
    region,
    tag_number,
)
from corpusmill.stages.extract.page.nesting import CLOSE, STOP
from corpusmill.stages.extract.page.page import (
    ANNOTATION_FROM,
    DEPTH,
    ELEMENTS,
    FORMULA_END,
    IN_LINK,
    LAST,
    LEVEL,
    MATH_DISPLAY,
    MATH_FROM,
    MAX_DEPTH,
    ORDINAL,
    OVERFLOW,
    PARENT,
    PRE_FROM,
    S_CELL,
    S_COUNT,
    S_ELEMENT,
    S_HEADING,
    S_ITEM,
    S_LEVELS,
    S_LIST_DEPTH,
    S_ORDERED,
    S_ROW,
    S_STRONG,
    S_TAG,
    SIGNATURE,
    SKIPPED_FROM,
    TAG,
    TOO_MANY,
    WRITE,
    Names,
    Page,
)
from corpusmill.stages.extract.page.tags import mark_words, signature
from corpusmill.stages.extract.page.text import (
    close_formula,
    end_block,
    new_line_in_code,
)
from numpy.typing import NDArray

A, LI, OL, PRE, LISTING, TABLE, TD, TH, TR, UL = (
    tag_number(name)
    for name in ["a", "li", "ol", "pre", "listing", "table", "td", "th", "tr", "ul"]
)
H1, H6, MENU, DIR = (tag_number(name) for name in ("h1", "h6", "menu", "dir"))
assert H6 == H1 + 5
NOT_SHOWN, NOT_SPOKEN = region("not_shown"), region("not_spoken")
WORD_ATTRIBUTES = np.array([CLASS, ID, ROLE, ITEMPROP, ARIA_LABEL])
WITH_WORDS = 1 << CLASS | 1 << ID | 1 << ROLE | 1 << ITEMPROP | 1 << ARIA_LABEL


@uncounted
def break_block(page: Page) -> None:
    """End the block at a tag that breaks lines. In preformatted text begin a new line instead."""
    if page.state[PRE_FROM] > 0:
        new_line_in_code(page)
    elif page.state[SKIPPED_FROM] == 0:
        end_block(page)


@uncounted
def push(page: Page, names: Names, number: int, facts: int, present: int) -> None:
    """Open a tag. All tags below it inherit its state."""
    state, flags = page.state, names.tag_flags[number]
    if state[DEPTH] >= MAX_DEPTH:
        state[OVERFLOW] += 1
        return
    state[DEPTH] += 1
    depth = state[DEPTH]
    page.open_count[number] += 1
    below, top = page.stack[depth - 1], page.stack[depth]
    for column in range(top.size):
        top[column] = below[column]
    top[S_TAG], top[S_COUNT] = number, 0
    if flags & BLOCK:
        _open_element(page, number, depth, present)
    if flags & STRONG:
        top[S_STRONG] = 1
    _open_regions(page, names, number, facts, present)
    if state[SKIPPED_FROM] == 0 and (
        flags & SKIPPED or (facts & RENDERED_MATH and not flags & BLOCK)
    ):
        state[SKIPPED_FROM] = depth
    if (number in (PRE, LISTING)) and state[PRE_FROM] == 0 and state[SKIPPED_FROM] == 0:
        state[PRE_FROM] = depth


@uncounted
def _open_element(page: Page, number: int, depth: int, present: int) -> None:
    state, elements = page.state, page.elements
    below, top = page.stack[depth - 1], page.stack[depth]
    element = state[ELEMENTS]
    if element >= elements.shape[0]:
        state[ELEMENTS] = TOO_MANY
        return
    state[ELEMENTS] += 1
    elements[element, PARENT], elements[element, TAG] = below[S_ELEMENT], number
    elements[element, LEVEL] = elements[below[S_ELEMENT], LEVEL] + 1
    elements[element, SIGNATURE] = signature(
        page, number, present, elements[below[S_ELEMENT], SIGNATURE]
    )
    top[S_ELEMENT] = element
    if number == LI:
        top[S_ITEM] = element
        if below[S_ORDERED]:
            below[S_COUNT] += 1
            elements[element, ORDINAL] = below[S_COUNT]
        top[S_ORDERED] = 0
    elif number in (UL, OL, MENU, DIR):
        top[S_LIST_DEPTH] += 1
        top[S_ORDERED] = number == OL
    elif number == TABLE:
        top[S_ROW] = top[S_CELL] = top[S_ITEM] = top[S_LIST_DEPTH] = 0
    elif number == TR:
        top[S_ROW] = element
    elif number in (TD, TH):
        top[S_CELL] = element
    elif H1 <= number <= H6:
        top[S_HEADING] = number - H1 + 1


@uncounted
def _open_regions(page: Page, names: Names, number: int, facts: int, present: int) -> None:
    """Set the levels of the regions for a new tag. Below a tag that breaks lines each region is one
    level farther. A region begins here if the tag or its attributes say so. A tag that changes
    nothing shares the row of levels of the tag around it.
    """
    depth = page.state[DEPTH]
    breaks, opened = names.tag_flags[number] & BLOCK, names.tag_regions[number]
    if (
        not breaks
        and opened < 0
        and not present & WITH_WORDS
        and not facts & (UNDISPLAYED | UNSPOKEN)
    ):
        return
    levels, below = page.stack_levels[depth], page.stack_levels[page.stack[depth, S_LEVELS]]
    page.stack[depth, S_LEVELS] = depth
    farther = np.uint8(1 if breaks else 0)
    for place in range(levels.size):
        levels[place] = min(below[place] + farther, np.uint8(FAR))
    for attribute in WORD_ATTRIBUTES:
        if present >> attribute & 1:
            mark_words(page, names, attribute, depth)
    if opened >= 0:
        levels[opened] = 0
    if facts & UNDISPLAYED:
        levels[NOT_SHOWN] = 0
    if facts & UNSPOKEN:
        levels[NOT_SPOKEN] = 0


@uncounted
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
        if page.stack[state[DEPTH], S_ELEMENT] != page.stack[depth - 1, S_ELEMENT]:
            break_block(page)
        pop_to(page, depth - 1)


@uncounted
def pop_to(page: Page, depth: int) -> None:
    """Close the open tags above `depth`."""
    state = page.state
    while state[DEPTH] > depth:
        top = page.stack[state[DEPTH]]
        page.open_count[top[S_TAG]] -= 1
        if top[S_ELEMENT] != page.stack[state[DEPTH] - 1, S_ELEMENT] and state[ELEMENTS] > 0:
            page.elements[top[S_ELEMENT], LAST] = state[ELEMENTS] - 1
        if top[S_TAG] == A:
            state[IN_LINK] = 0
        if state[ANNOTATION_FROM] == state[DEPTH]:
            close_formula(page, state[MATH_DISPLAY] != 0)
            state[FORMULA_END], state[ANNOTATION_FROM], state[SKIPPED_FROM] = (
                state[WRITE],
                0,
                state[MATH_FROM],
            )
        if state[SKIPPED_FROM] == state[DEPTH]:
            state[SKIPPED_FROM] = 0
        if state[MATH_FROM] == state[DEPTH]:
            state[MATH_FROM] = 0
        if state[PRE_FROM] == state[DEPTH]:
            end_block(page)
            state[PRE_FROM] = 0
        state[DEPTH] -= 1
