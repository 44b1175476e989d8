"""From a page's bytes to blocks of text, in one walk and without a tree.

The walk reads tags and attributes as the HTML standard says (`tags`). Of the standard's tree
construction it keeps only what decides where text stands: a stack of open tags (`open_tags`),
implied end tags and their scopes (`nesting`), and elements whose content is characters. A browser
moves some text to another place, such as text within a table but outside its cells. Here such text
stays in its place.

Every byte is read a bounded number of times, and the stack has a limit. So time is linear in the
page's length.

A formula is written once, as TeX. It comes from the `alttext` or the TeX annotation of `<math>`,
from MathJax's scripts, or from the `alt` of an image.
"""

import numpy as np
from corpusmill.stages.columns.compiled import merged, uncounted
from corpusmill.stages.extract.page.attribute_values import facts_of
from corpusmill.stages.extract.page.block_borders import NOTHING, SPACE, admits, end_block
from corpusmill.stages.extract.page.close_tags import close_deeper, close_first, pop_to
from corpusmill.stages.extract.page.facts import (
    DISPLAY_MATH,
    DISPLAY_SCRIPT,
    MATH_IMAGE,
    MATH_SCRIPT,
    ON_SCREEN,
    OTHER_MEDIA,
    TEX_ANNOTATION,
    VALUE_ATTRIBUTES,
)
from corpusmill.stages.extract.page.formulas import open_formula, write_formula
from corpusmill.stages.extract.page.hashing import look_up
from corpusmill.stages.extract.page.mathml import in_formula
from corpusmill.stages.extract.page.names import (
    BLOCK,
    CLOSES_PARAGRAPH,
    IGNORED,
    RAW,
    TAG_FLAGS,
    TAGS,
    UNKNOWN_TAG,
    VOID,
    attribute_number,
    tag_number,
)
from corpusmill.stages.extract.page.nesting import IMPLIED_ENDS, REACH
from corpusmill.stages.extract.page.open_tags import H1, H6, break_block, push
from corpusmill.stages.extract.page.page import (
    AFTER_LINE_END,
    ANNOTATION_FROM,
    BASE_BEGIN,
    BASE_END,
    BLOCK_BEGIN,
    BLOCKS,
    DEPTH,
    ELEMENTS,
    FORMULA_END,
    IN_LINK,
    IS_FORM,
    LAST,
    LINK_BEGIN,
    LINK_END,
    MATH_BEGIN,
    MATH_DISPLAY,
    MATH_FROM,
    MATH_PENDING,
    MATH_STRUCTURED,
    OVERFLOW,
    PENDING,
    PRE_FROM,
    READ,
    ROLE,
    RULE_SEEN,
    S_COUNT,
    S_ELEMENT,
    S_TAG,
    SKIPPED_FROM,
    TEXT_IMAGES,
    WRITE,
    Page,
)
from corpusmill.stages.extract.page.search import find
from corpusmill.stages.extract.page.style_sheets import read_style_sheet
from corpusmill.stages.extract.page.tags import (
    after_comment,
    is_letter,
    name_hash,
    raw_end,
    read_attributes,
    tag_name_end,
)
from corpusmill.stages.extract.page.text import break_line, put_text, write_text

A, ANNOTATION, BASE, BR, HR = (tag_number(name) for name in ["a", "annotation", "base", "br", "hr"])
IMG, INPUT, MATH, P = (tag_number(name) for name in ["img", "input", "math", "p"])
PLAINTEXT, SCRIPT, SVG, TD, TH, TITLE, XMP = (
    tag_number(name) for name in ["plaintext", "script", "svg", "td", "th", "title", "xmp"]
)
FORM, STYLE, TEXTAREA = (tag_number(name) for name in ["form", "style", "textarea"])
ALT, ALTTEXT, HREF, MEDIA = (attribute_number(name) for name in ("alt", "alttext", "href", "media"))
FACT_ATTRIBUTES = sum(
    1 << attribute_number(name) for name in ("class", "id", "style", *VALUE_ATTRIBUTES)
)

LESS, GREATER, SLASH, EXCLAMATION, QUESTION = (ord(sign) for sign in "<>/!?")


@uncounted
def walk(page: Page) -> None:
    """Fill `text`, `blocks`, `levels` and `elements`. If the page exceeds a limit, `state[BLOCKS]`
    or `state[ELEMENTS]` is `TOO_MANY`.
    """
    data, state = page.data, page.state
    size = data.size
    state[ELEMENTS] = 1
    place = np.int64(0)
    while place < size and state[BLOCKS] >= 0 and state[ELEMENTS] >= 0:
        following = data[place + 1] if data[place] == LESS and place + 1 < size else 0
        if is_letter(following):
            place = _start_tag(page, place + 1)
        elif following == SLASH and place + 2 < size and is_letter(data[place + 2]):
            place = _end_tag(page, place + 2)
        elif following in (EXCLAMATION, QUESTION, SLASH):
            place = after_comment(data, place + 2)
        else:
            end = find(data, LESS, place + 1, size)
            put_text(page, place, end)
            place = end
    if state[BLOCKS] >= 0 and state[ELEMENTS] >= 0:
        pop_to(page, np.int64(0))
        end_block(page)
        page.elements[0, LAST] = state[ELEMENTS] - 1


@merged
def _start_tag(page: Page, begin: int) -> int:
    """Read a start tag whose name begins at `begin`, and open it. Returns the place after the tag,
    or after its raw content.
    """
    data, state = page.data, page.state
    end = tag_name_end(data, begin)
    number = look_up(TAGS, name_hash(data, begin, end))
    if number < 0:
        number = UNKNOWN_TAG
    place, present = read_attributes(page, end)
    flags = TAG_FLAGS[number]
    if flags & IGNORED or place > data.size:  # the page ends within the tag
        return place
    close_first(page, IMPLIED_ENDS[number])
    if flags & CLOSES_PARAGRAPH and page.open_count[P] > 0:
        close_first(page, IMPLIED_ENDS[P])
    if flags & BLOCK:
        if state[PRE_FROM] > 0 and number in (TD, TH):
            state[AFTER_LINE_END], state[PENDING] = 0, NOTHING  # cells of code are one line
        else:
            break_block(page)
    facts = facts_of(page, present, number) if present & FACT_ATTRIBUTES else 0
    state[READ] = place
    if flags & VOID:
        _void(page, number, facts, present)
    elif flags & RAW and not _holds_text(page, number):
        return _skip_raw(page, number, facts, present, place)
    elif (
        flags & RAW
        or data[place - 2] != SLASH
        or (number != SVG and page.open_count[SVG] + page.open_count[MATH] == 0)
    ):
        depth = state[DEPTH]
        push(page, number, facts, 0 if flags & RAW else present)
        if flags & RAW:
            return _write_raw(page, number, place, depth)
        if number in (MATH, ANNOTATION) and state[DEPTH] > depth:
            _open_formula_element(page, number, facts, present)
        if number == A:
            state[IN_LINK] = 1
            state[LINK_BEGIN] = page.spans[HREF, 0] if present >> HREF & 1 else 0
            state[LINK_END] = page.spans[HREF, 1] if present >> HREF & 1 else 0
    elif in_formula(page):
        page.stack[state[DEPTH], S_COUNT] += 1
    return place


@uncounted
def _void(page: Page, number: int, facts: int, present: int) -> None:
    state = page.state
    if number == BR:
        break_line(page)
    elif number == HR:
        state[RULE_SEEN] = 1
    elif number == INPUT:
        if admits(page) and state[PENDING] == NOTHING and state[WRITE] > state[BLOCK_BEGIN]:
            state[PENDING] = SPACE
    elif number == BASE:
        if present >> HREF & 1 and state[BASE_END] == 0:  # the first one counts
            state[BASE_BEGIN], state[BASE_END] = page.spans[HREF, 0], page.spans[HREF, 1]
    elif number == IMG and state[SKIPPED_FROM] == 0:
        state[TEXT_IMAGES] += 1
        written_already = state[FORMULA_END] == state[WRITE] and state[WRITE] > state[BLOCK_BEGIN]
        if facts & MATH_IMAGE and present >> ALT & 1 and not written_already:
            write_formula(page, page.spans[ALT, 0], page.spans[ALT, 1], facts & DISPLAY_MATH != 0)


@uncounted
def _holds_text(page: Page, number: int) -> bool:
    """Whether the characters of a raw element are text of the page: `<title>` and `<xmp>`."""
    if page.state[PRE_FROM] > 0:
        return False
    return (number == XMP and page.state[SKIPPED_FROM] == 0) or (
        number == TITLE and page.open_count[SVG] == 0
    )


@uncounted
def _write_raw(page: Page, number: int, begin: int, depth: int) -> int:
    """Write the content of the raw element that has just been opened. Returns the place after its
    end tag. depth: of the tag around it.
    """
    end, place = raw_end(page.data, begin, number)
    write_text(page, begin, end)
    end_block(page)
    if page.state[DEPTH] > depth:
        pop_to(page, depth)
    else:
        close_deeper(page)
    return place


@uncounted
def _skip_raw(page: Page, number: int, facts: int, present: int, begin: int) -> int:
    """Pass by the content of a raw element that is no text, from `begin` on. Returns the place
    after its end tag.
    """
    end, place = raw_end(page.data, begin, number if number != PLAINTEXT else -2)
    if number == STYLE:
        if not present >> MEDIA & 1 or (facts & ON_SCREEN and not facts & OTHER_MEDIA):
            read_style_sheet(page, begin, end)
    elif number == TEXTAREA:
        _mark_form(page)
    elif number == SCRIPT and facts & MATH_SCRIPT:
        write_formula(page, begin, end, facts & DISPLAY_SCRIPT != 0)
    return place


@uncounted
def _mark_form(page: Page) -> None:
    """Note that the innermost open form has a field for text."""
    depth = page.state[DEPTH] if page.open_count[FORM] > 0 else 0
    while depth > 0:
        if page.stack[depth, S_TAG] == FORM:
            page.elements[page.stack[depth, S_ELEMENT], ROLE] = IS_FORM
            return
        depth -= 1


@uncounted
def _open_formula_element(page: Page, number: int, facts: int, present: int) -> None:
    """Open `<math>` or a TeX annotation inside it. An alttext of `<math>` is written in its place.
    A TeX annotation replaces the text of the formula so far.
    """
    state = page.state
    if not admits(page):
        return
    if number == MATH and state[MATH_FROM] == 0:
        state[MATH_FROM], state[MATH_BEGIN], state[MATH_PENDING] = (
            state[DEPTH],
            state[WRITE],
            state[PENDING],
        )
        state[MATH_DISPLAY], state[MATH_STRUCTURED] = facts & DISPLAY_MATH, 0
        if present >> ALTTEXT & 1:
            write_formula(
                page,
                page.spans[ALTTEXT, 0],
                page.spans[ALTTEXT, 1],
                state[MATH_DISPLAY] != 0,
            )
            state[SKIPPED_FROM] = state[DEPTH]
    elif number == ANNOTATION and state[MATH_FROM] > 0:
        if facts & TEX_ANNOTATION:
            state[WRITE] = max(state[MATH_BEGIN], state[BLOCK_BEGIN])
            state[MATH_STRUCTURED] = 0
            state[PENDING] = state[MATH_PENDING]
            state[ANNOTATION_FROM] = state[DEPTH]
            open_formula(page, state[MATH_DISPLAY] != 0)
        else:
            state[SKIPPED_FROM] = state[DEPTH]


@merged
def _end_tag(page: Page, begin: int) -> int:
    """Read an end tag whose name begins at `begin`, and close the tags that it closes. Returns the
    place after it.
    """
    data, state = page.data, page.state
    place = tag_name_end(data, begin)
    number = look_up(TAGS, name_hash(data, begin, place))
    place = find(data, GREATER, place, data.size)
    if number < 0:
        number = UNKNOWN_TAG
    flags = TAG_FLAGS[number]
    if flags & IGNORED:
        return place + 1
    if number == A:
        state[IN_LINK] = 0
    if state[OVERFLOW] > 0 and not flags & VOID:
        close_deeper(page)
        if flags & BLOCK:
            break_block(page)
    elif number == BR:
        break_line(page)
    elif page.open_count[number] > 0 or H1 <= number <= H6:
        close_first(page, REACH[number])
    elif number == P:
        break_block(page)
    return place + 1
