"""The stack of open tags: what a tag stands in, and what it passes on to the tags inside it.
`close_tags` closes them.

Each row of `page.stack` is an open tag with what it has inherited. An element (a tag that breaks
lines) also has a row in `page.elements`.
"""

from corpusmill.stages.columns.compiled import merged
from corpusmill.stages.extract.page.attribute_values import mark_words, signature, whole_number
from corpusmill.stages.extract.page.block_borders import end_block
from corpusmill.stages.extract.page.code import (
    is_no_text,
    open_code,
)
from corpusmill.stages.extract.page.facts import (
    FINDABLE,
    LAYOUT,
    MATH_WRAPPER,
    MOVES,
    NO_SIZE,
    OUT_OF_SIGHT,
    POST,
    RENDERED_MATH,
    TRANSPARENT,
    UNDISPLAYED,
    UNSPOKEN,
)
from corpusmill.stages.extract.page.mathml import (
    in_formula,
    open_math,
)
from corpusmill.stages.extract.page.names import (
    BLOCK,
    FAR,
    SKIPPED,
    STRONG,
    TAG_FLAGS,
    TAG_REGIONS,
    UNKNOWN_TAG,
    WORD_ATTRIBUTES,
    attribute_number,
    region,
    tag_number,
)
from corpusmill.stages.extract.page.numbering import number_item, open_numbering
from corpusmill.stages.extract.page.page import (
    BLOCK_BEGIN,
    BLOCK_HIDDEN,
    BLOCKS,
    DEPTH,
    ELEMENTS,
    FAINT,
    IS_POST,
    LANGUAGE_BEGIN,
    LANGUAGE_END,
    LEVEL,
    MARK,
    MAX_DEPTH,
    ORDINAL,
    OVERFLOW,
    PARENT,
    PRE_FROM,
    READ,
    ROLE,
    S_BEGIN,
    S_BLOCK,
    S_CELL,
    S_COUNT,
    S_ELEMENT,
    S_HEADING,
    S_HIDDEN,
    S_ITEM,
    S_LEVELS,
    S_LINKS,
    S_LIST_DEPTH,
    S_MARK,
    S_ORDERED,
    S_ROW,
    S_STRONG,
    S_TAG,
    SIGNATURE,
    SKIPPED_FROM,
    TAG,
    TEXT_LINKS,
    TOO_MANY,
    WRITE,
    Page,
)
from corpusmill.stages.extract.page.scripts import open_script
from corpusmill.stages.extract.page.tags import is_space
from corpusmill.stages.extract.page.text import new_line_in_code

_TAGS = "a dialog li noscript ol table td th tr ul"
A, DIALOG, LI, NOSCRIPT, OL, TABLE, TD, TH, TR, UL = (tag_number(name) for name in _TAGS.split())
H1, H6, MENU, DIR = (tag_number(name) for name in ("h1", "h6", "menu", "dir"))
assert H6 == H1 + 5
OPEN, COLSPAN, ROWSPAN, DATA_LANG, DATA_LANGUAGE = (
    attribute_number(name) for name in ["open", "colspan", "rowspan", "data-lang", "data-language"]
)
NOT_SHOWN, NOT_SPOKEN = region("not_shown"), region("not_spoken")
PANEL = region("accordion")  # of tabs and accordions: a click shows what is hidden there
LESS = ord("<")
WITH_WORDS = (1 << WORD_ATTRIBUTES) - 1


@merged
def break_block(page: Page) -> None:
    """End the block at a tag that breaks lines. In preformatted text begin a new line instead. A
    hidden tag does not break what is shown around it.
    """
    state = page.state
    if state[PRE_FROM] > 0:
        new_line_in_code(page)
    elif state[SKIPPED_FROM] == 0 and not (
        state[WRITE] > state[BLOCK_BEGIN]
        and page.stack[state[DEPTH], S_HIDDEN] > state[BLOCK_HIDDEN]
    ):
        end_block(page)


@merged
def push(page: Page, number: int, facts: int, present: int) -> None:
    """Open a tag. All tags below it inherit its state."""
    state, flags = page.state, TAG_FLAGS[number]
    if state[DEPTH] >= MAX_DEPTH:
        state[OVERFLOW] += 1
        if state[SKIPPED_FROM] == 0 and (flags & SKIPPED or _hides(page, number, facts, present)):
            state[SKIPPED_FROM] = MAX_DEPTH + state[OVERFLOW]
        return
    state[DEPTH] += 1
    depth = state[DEPTH]
    page.open_count[number] += 1
    below, top = page.stack[depth - 1], page.stack[depth]
    for column in range(S_MARK):
        top[column] = below[column]
    top[S_TAG] = number
    top[S_COUNT] = top[S_MARK] = 0
    top[S_BEGIN], top[S_BLOCK], top[S_LINKS] = state[WRITE], state[BLOCKS], state[TEXT_LINKS]
    if flags & BLOCK:
        _open_element(page, number, facts, present)
    if flags & STRONG:
        top[S_STRONG] = 1
    if facts & POST:
        page.elements[top[S_ELEMENT], ROLE] = IS_POST
    _open_regions(page, number, facts, present)
    panel = flags & BLOCK and page.stack_levels[top[S_LEVELS], PANEL] == 0
    if not panel:
        if _hides(page, number, facts, present):
            top[S_HIDDEN] += 1
        if facts & TRANSPARENT and not facts & MOVES:
            top[S_HIDDEN] += FAINT
    if state[SKIPPED_FROM] > 0:
        return
    if (
        flags & SKIPPED
        or (facts & RENDERED_MATH and not flags & BLOCK and number != UNKNOWN_TAG)
        or is_no_text(page, number, facts)
    ):
        state[SKIPPED_FROM] = depth
        return
    for attribute in (DATA_LANG, DATA_LANGUAGE):
        if present >> attribute & 1:
            state[LANGUAGE_BEGIN], state[LANGUAGE_END] = (
                page.spans[attribute, 0],
                page.spans[attribute, 1],
            )
    open_code(page, number, facts)
    if in_formula(page):
        open_math(page, number)
    elif not flags & BLOCK:
        open_script(page, number, facts)


@merged
def _hides(page: Page, number: int, facts: int, present: int) -> bool:
    """Whether a browser does not show what is in a tag, to a reader with eyes and scripts."""
    if facts & UNDISPLAYED and not facts & (FINDABLE | MATH_WRAPPER):
        return True
    if facts & OUT_OF_SIGHT and not H1 <= number <= H6:
        return True
    if facts & NO_SIZE and _begins_with_text(page):
        return True
    return number == NOSCRIPT or (number == DIALOG and not present >> OPEN & 1)


@merged
def _begins_with_text(page: Page) -> bool:
    place = page.state[READ]
    while place < page.data.size and is_space(page.data[place]):
        place += 1
    return place < page.data.size and page.data[place] != LESS


@merged
def _open_element(page: Page, number: int, facts: int, present: int) -> None:
    state, elements, depth = page.state, page.elements, page.state[DEPTH]
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
            number_item(page, below, element, facts, present)
        top[S_ORDERED] = 0
    elif number in (UL, OL, MENU, DIR):
        top[S_LIST_DEPTH] += 1
        top[S_ORDERED] = 0
        if number == OL:
            open_numbering(page, top, facts, present)
    elif number == TABLE:
        top[S_ROW] = top[S_CELL] = top[S_ITEM] = top[S_LIST_DEPTH] = 0
        elements[element, MARK] = facts & LAYOUT != 0
    elif number == TR:
        top[S_ROW] = element
    elif number in (TD, TH):
        top[S_CELL] = element
        elements[element, ORDINAL] = whole_number(page, COLSPAN, 1) if present >> COLSPAN & 1 else 1
        elements[element, MARK] = whole_number(page, ROWSPAN, 1) if present >> ROWSPAN & 1 else 1
    elif H1 <= number <= H6:
        top[S_HEADING] = number - H1 + 1


@merged
def _open_regions(page: Page, number: int, facts: int, present: int) -> None:
    """Set the levels of the regions for a new tag. Below a tag that breaks lines each region is one
    level farther. A region begins here if the tag or its attributes say so. A tag that changes
    nothing shares the row of levels of the tag around it.
    """
    depth = page.state[DEPTH]
    breaks, opened = TAG_FLAGS[number] & BLOCK, TAG_REGIONS[number]
    if (
        not breaks
        and opened < 0
        and not present & WITH_WORDS
        and not facts & (UNDISPLAYED | UNSPOKEN)
    ):
        return
    levels, below = page.stack_levels[depth], page.stack_levels[page.stack[depth, S_LEVELS]]
    page.stack[depth, S_LEVELS] = depth
    for place in range(levels.size):
        levels[place] = below[place]
    if breaks:
        for place in range(levels.size):
            levels[place] += levels[place] < FAR
    for attribute in range(WORD_ATTRIBUTES):
        if present >> attribute & 1:
            mark_words(page, attribute, depth)
    if opened >= 0:
        levels[opened] = 0
    if facts & UNDISPLAYED and not (breaks and levels[PANEL] == 0):
        levels[NOT_SHOWN] = 0
    if facts & UNSPOKEN:
        levels[NOT_SPOKEN] = 0
