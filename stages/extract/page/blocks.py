"""From a page's bytes to blocks of text, in one walk and without a tree.

The tokens are those of the HTML standard (`html_tokens`); of tree construction the walk keeps what decides where text stands: a stack of
open tags, implied end tags and their scopes (`html_nesting`), elements whose content is characters. What a browser would move to
another place (text within a table but outside its cells) stays where it is.

Every byte is looked at a bounded number of times and the stack has a limit, so time is linear in the page's length whatever it holds.
A formula is written once, as TeX: from `<math>` by its `alttext` or its TeX annotation, from MathJax's scripts, from images of formulas.
"""

import numpy as np
from corpusmill.stages.columns.compiled import uncounted
from corpusmill.stages.extract.page.hashing import look_up
from corpusmill.stages.extract.page.names import (
    ALT,
    ALTTEXT,
    ARIA_LABEL,
    ATTRIBUTES,
    BLOCK,
    CLASS,
    CLOSES_PARAGRAPH,
    DISPLAY_MATH,
    DISPLAY_SCRIPT,
    FACTS,
    FAR,
    ID,
    IGNORED,
    ITEMPROP,
    MATH_IMAGE,
    MATH_SCRIPT,
    RAW,
    RENDERED_MATH,
    ROLE,
    SKIPPED,
    STRONG,
    TEX_ANNOTATION,
    UNDISPLAYED,
    UNKNOWN_TAG,
    UNSPOKEN,
    VOID,
    region,
    tag,
)
from corpusmill.stages.extract.page.nesting import CLOSE, STOP
from corpusmill.stages.extract.page.page import (
    ANNOTATION_FROM,
    BLOCK_BEGIN,
    BLOCKS,
    DEPTH,
    ELEMENTS,
    FORMULA_END,
    IN_LINK,
    LAST,
    LEVEL,
    MATH_BEGIN,
    MATH_DISPLAY,
    MATH_FROM,
    MATH_PENDING,
    MAX_DEPTH,
    ORDINAL,
    OVERFLOW,
    PARENT,
    PENDING,
    PRE_FROM,
    RULE_SEEN,
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
    SKIPPED_FROM,
    TAG,
    TEXT_IMAGES,
    TOO_MANY,
    WRITE,
    Names,
    Page,
)
from corpusmill.stages.extract.page.tags import (
    after_comment,
    facts_of,
    is_letter,
    mark_words,
    name_end,
    name_hash,
    raw_end,
    read_attributes,
)
from corpusmill.stages.extract.page.text import (
    break_line,
    close_formula,
    end_block,
    new_line_in_code,
    open_formula,
    write_formula,
    write_text,
)
from numpy.typing import NDArray

A, ANNOTATION, BR, HR, IMG, LI, MATH, OL, P, PRE = (
    tag(name) for name in ("a", "annotation", "br", "hr", "img", "li", "math", "ol", "p", "pre")
)
PLAINTEXT, LISTING, SCRIPT, SVG, TABLE, TD, TH, TITLE, TR, UL = (
    tag(name)
    for name in ("plaintext", "listing", "script", "svg", "table", "td", "th", "title", "tr", "ul")
)
H1, H6, MENU, DIR = (tag(name) for name in ("h1", "h6", "menu", "dir"))
assert H6 == H1 + 5
NOT_SHOWN, NOT_SPOKEN = region("not_shown"), region("not_spoken")
WORD_ATTRIBUTES = np.array([CLASS, ID, ROLE, ITEMPROP, ARIA_LABEL])
WITH_WORDS = 1 << CLASS | 1 << ID | 1 << ROLE | 1 << ITEMPROP | 1 << ARIA_LABEL
TELLING = sum(1 << ATTRIBUTES.index(name) for name in {name for name, _ in FACTS})

LESS, GREATER, SLASH, EXCLAMATION, QUESTION = (ord(sign) for sign in "<>/!?")


@uncounted
def walk(page: Page, names: Names) -> None:
    """Fill `text`, `blocks`, `levels` and `elements`. A limit that was met leaves `TOO_MANY` in `state[BLOCKS]` or `state[ELEMENTS]`."""
    data, state = page.data, page.state
    size = data.size
    state[ELEMENTS] = 1
    place = np.int64(0)
    while place < size and state[BLOCKS] >= 0 and state[ELEMENTS] >= 0:
        following = data[place + 1] if data[place] == LESS and place + 1 < size else 0
        if is_letter(following):
            place = _start_tag(page, names, place + 1)
        elif following == SLASH and place + 2 < size and is_letter(data[place + 2]):
            place = _end_tag(page, names, place + 2)
        elif following in (EXCLAMATION, QUESTION, SLASH):
            place = after_comment(data, place + 2)
        else:
            end = place + 1
            while end < size and data[end] != LESS:
                end += 1
            write_text(page, names, place, end)
            place = end
    if state[BLOCKS] >= 0 and state[ELEMENTS] >= 0:
        end_block(page)
        _pop_to(page, np.int64(0))
        page.elements[0, LAST] = state[ELEMENTS] - 1


@uncounted
def _break_block(page: Page) -> None:
    """A tag that breaks lines ends the block; in preformatted text it begins a new line."""
    if page.state[PRE_FROM] > 0:
        new_line_in_code(page)
    elif page.state[SKIPPED_FROM] == 0:
        end_block(page)


@uncounted
def _start_tag(page: Page, names: Names, begin: int) -> int:
    """Read a start tag whose name begins at `begin`, and open it. Returns the place after it (and after raw content)."""
    data, state = page.data, page.state
    end = name_end(data, begin)
    number = look_up(names.tags, name_hash(data, begin, end))
    if number < 0:
        number = UNKNOWN_TAG
    place, present = read_attributes(page, names, end)
    flags = names.tag_flags[number]
    if flags & IGNORED or place > data.size:  # the page's end cuts the tag off
        return place
    _close_first(page, names.implied_ends[number])
    if flags & CLOSES_PARAGRAPH and page.open_count[P] > 0:
        _close_first(page, names.implied_ends[P])
    if flags & BLOCK:
        _break_block(page)
    facts = facts_of(page, names, present) if present & TELLING else 0
    if flags & VOID:
        _void(page, names, number, facts, present)
    elif flags & RAW:
        return _raw(page, names, number, facts, place)
    elif data[place - 2] != SLASH or (
        number != SVG and page.open_count[SVG] + page.open_count[MATH] == 0
    ):
        _push(page, names, number, facts, present)
        if number in (MATH, ANNOTATION):
            _open_formula_element(page, names, number, facts, present)
        if number == A:
            state[IN_LINK] = 1
    return place


@uncounted
def _void(page: Page, names: Names, number: int, facts: int, present: int) -> None:
    state = page.state
    if number == BR:
        break_line(page)
    elif number == HR:
        state[RULE_SEEN] = 1
    elif number == IMG and state[SKIPPED_FROM] == 0:
        state[TEXT_IMAGES] += 1
        written_already = state[FORMULA_END] == state[WRITE] and state[WRITE] > state[BLOCK_BEGIN]
        if facts & MATH_IMAGE and present >> ALT & 1 and not written_already:
            write_formula(
                page, names, page.spans[ALT, 0], page.spans[ALT, 1], facts & DISPLAY_MATH != 0
            )


@uncounted
def _raw(page: Page, names: Names, number: int, facts: int, begin: int) -> int:
    """The content, from `begin`, of an element that holds characters only. Returns the place after its end tag."""
    end, place = raw_end(page.data, names, begin, number if number != PLAINTEXT else -2)
    if number == SCRIPT and facts & MATH_SCRIPT:
        write_formula(page, names, begin, end, facts & DISPLAY_SCRIPT != 0)
    elif number == TITLE and page.open_count[SVG] == 0 and page.state[PRE_FROM] == 0:
        _push(page, names, number, facts, facts & 0)
        write_text(page, names, begin, end)
        end_block(page)
        _pop_to(page, page.state[DEPTH] - 1)
    return place


@uncounted
def _push(page: Page, names: Names, number: int, facts: int, present: int) -> None:
    """Open a tag: what is below it inherits what it is."""
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
        _open_element(page, number, depth)
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
def _open_element(page: Page, number: int, depth: int) -> None:
    state, elements = page.state, page.elements
    below, top = page.stack[depth - 1], page.stack[depth]
    element = state[ELEMENTS]
    if element >= elements.shape[0]:
        state[ELEMENTS] = TOO_MANY
        return
    state[ELEMENTS] += 1
    elements[element, PARENT], elements[element, TAG] = below[S_ELEMENT], number
    elements[element, LEVEL] = elements[below[S_ELEMENT], LEVEL] + 1
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
    """Each region is one level farther below a tag that breaks lines, and begins here if tag or attributes say so. A tag that changes
    nothing shares the row of levels of the tag around it."""
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
def _open_formula_element(page: Page, names: Names, number: int, facts: int, present: int) -> None:
    """`<math>`: its alttext, if it has one, stands for it. TeX that annotates it replaces what was written of it."""
    state = page.state
    if state[SKIPPED_FROM] > 0:
        return
    if number == MATH and state[MATH_FROM] == 0:
        state[MATH_FROM], state[MATH_BEGIN], state[MATH_PENDING] = (
            state[DEPTH],
            state[WRITE],
            state[PENDING],
        )
        state[MATH_DISPLAY] = facts & DISPLAY_MATH
        if present >> ALTTEXT & 1:
            write_formula(
                page,
                names,
                page.spans[ALTTEXT, 0],
                page.spans[ALTTEXT, 1],
                state[MATH_DISPLAY] != 0,
            )
            state[SKIPPED_FROM] = state[DEPTH]
    elif number == ANNOTATION and state[MATH_FROM] > 0:
        if facts & TEX_ANNOTATION:
            state[WRITE] = max(state[MATH_BEGIN], state[BLOCK_BEGIN])
            state[PENDING] = state[MATH_PENDING]
            state[ANNOTATION_FROM] = state[DEPTH]
            open_formula(page, state[MATH_DISPLAY] != 0)
        else:
            state[SKIPPED_FROM] = state[DEPTH]


@uncounted
def _end_tag(page: Page, names: Names, begin: int) -> int:
    """Read an end tag whose name begins at `begin`, and close what it closes. Returns the place after it."""
    data, state = page.data, page.state
    place = name_end(data, begin)
    number = look_up(names.tags, name_hash(data, begin, place))
    while place < data.size and data[place] != GREATER:
        place += 1
    if number < 0:
        number = UNKNOWN_TAG
    flags = names.tag_flags[number]
    if flags & IGNORED:
        return place + 1
    if number == A:
        state[IN_LINK] = 0
    if state[OVERFLOW] > 0 and not flags & VOID:
        state[OVERFLOW] -= 1
        if flags & BLOCK:
            _break_block(page)
    elif number == BR:
        break_line(page)
    elif page.open_count[number] > 0 or H1 <= number <= H6:
        _close_first(page, names.reach[number])
    elif number == P:
        _break_block(page)
    return place + 1


@uncounted
def _close_first(page: Page, rules: NDArray[np.uint8]) -> None:
    """Close the innermost open tag that the rules say to close, and all within it, unless they say stop before."""
    state = page.state
    depth = state[DEPTH]
    while depth > 0 and rules[page.stack[depth, S_TAG]] != CLOSE:
        if rules[page.stack[depth, S_TAG]] == STOP:
            return
        depth -= 1
    if depth > 0:
        if page.stack[state[DEPTH], S_ELEMENT] != page.stack[depth - 1, S_ELEMENT]:
            _break_block(page)
        _pop_to(page, depth - 1)


@uncounted
def _pop_to(page: Page, depth: int) -> None:
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
