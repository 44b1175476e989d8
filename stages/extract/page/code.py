"""Where code begins and what is no part of it: line numbers, buttons that copy, signs of permanent
links.

Code is `pre`. It is also what highlighters and editors make of `div`, table rows and `code`: there
the tags are the line ends ("soft"), and a line end of the page is a space.
"""

import numpy as np
from corpusmill.stages.columns.compiled import merged, uncounted
from corpusmill.stages.extract.page.block_borders import NEWLINE, SPACE, TAB
from corpusmill.stages.extract.page.facts import (
    CODE,
    CODE_BOX,
    CODE_LINE,
    CODE_TOOL,
    GUTTER,
    NUMBERS,
    PERMALINK,
    TOOL,
    WHITE_SPACE,
)
from corpusmill.stages.extract.page.names import BLOCK, FAR, TAG_FLAGS, region, tag_number
from corpusmill.stages.extract.page.notation import content_begin, remove
from corpusmill.stages.extract.page.page import (
    BEGIN,
    BLOCK_BEGIN,
    BLOCKS,
    CODE_FROM,
    DEPTH,
    END,
    LANGUAGE,
    LANGUAGE_BEGIN,
    LANGUAGE_END,
    PRE_FROM,
    READ,
    S_BEGIN,
    S_BLOCK,
    S_HEADING,
    S_LEVELS,
    S_MARK,
    S_SOFT,
    S_TAG,
    WRITE,
    Page,
)
from corpusmill.stages.extract.page.text import new_line_in_code
from numpy.typing import NDArray

_TAGS = "a button code kbd li listing pre samp table td th tr tt xmp"
A, BUTTON, CODE_TAG, KBD, LI, LISTING, PRE, SAMP, TABLE, TD, TH, TR, TT, XMP = (
    tag_number(name) for name in _TAGS.split()
)
CONTROLS = region("button")
M_NUMBERS, M_LINK, M_PERMALINK, M_LINE = (1 << bit for bit in range(12, 16))
M_REMOVED = M_NUMBERS | M_LINK | M_PERMALINK
LONGEST_SIGN = 40  # bytes of the text of a permanent link
FARTHEST_LINE_END = 2000  # bytes after a tag in which a line end makes its text code with lines
LESS, SLASH, HASH, ZERO, NINE, LINE_END = ord("<"), ord("/"), ord("#"), ord("0"), ord("9"), 10
AROUND_NUMBERS = (SPACE, TAB, NEWLINE, ord("["), ord("]"), ord(":"))


@merged
def is_no_text(page: Page, number: int, facts: int) -> bool:
    """Whether the content of a tag is no text of the page: line numbers, or a button beside
    code.
    """
    in_code = page.state[PRE_FROM] > 0
    return facts & (GUTTER | TOOL) != 0 or (
        in_code and (facts & CODE_TOOL != 0 or number == BUTTON)
    )


@merged
def open_code(page: Page, number: int, facts: int) -> None:
    """Begin code at a tag if the tag or its attributes say so. Its row of the stack is the last."""
    state, depth = page.state, page.state[DEPTH]
    top, block = page.stack[depth], TAG_FLAGS[number] & BLOCK
    if number == A:
        top[S_MARK] |= M_PERMALINK | M_LINK if facts & PERMALINK else M_LINK
    is_pre = number in (PRE, LISTING, XMP)
    # Prism has `line-numbers` on the code itself, which may be numbers.
    if facts & NUMBERS and (state[PRE_FROM] > 0 or (block and not is_pre)):
        top[S_MARK] |= M_NUMBERS
    if state[PRE_FROM] > 0:
        if block and (facts & CODE_LINE or number in (TR, LI)):
            top[S_MARK] |= M_LINE
        if is_pre:
            top[S_SOFT] = 0
    elif is_pre:
        _begin_code(page, depth, 0)
    elif block and facts & CODE_LINE:
        top[S_MARK] |= M_LINE
        _begin_code(page, _around_line(page, number), 1)
    elif block and facts & CODE:
        _begin_code(page, depth, 0 if facts & WHITE_SPACE else 1)
    elif facts & WHITE_SPACE and (
        (block and facts & CODE_BOX)
        or (number in (CODE_TAG, SAMP, KBD, TT) and _has_line_end(page))
    ):
        _begin_code(page, depth, 0)
    elif (number in (CODE_TAG, SAMP) or facts & CODE_BOX) and state[CODE_FROM] == 0:
        state[CODE_FROM] = depth


@uncounted
def _begin_code(page: Page, begin: int, soft: int) -> None:
    """Begin code at the open tag of depth `begin`. It is no control, whatever the names around it
    say.
    """
    state = page.state
    state[PRE_FROM] = begin
    for depth in range(begin, state[DEPTH] + 1):
        page.stack[depth, S_SOFT] = soft
        if page.stack[depth, S_LEVELS] == depth:
            page.stack_levels[depth, CONTROLS] = FAR


@uncounted
def _around_line(page: Page, number: int) -> int:
    """The depth of the element that holds the lines, of which the last open tag is one."""
    depth = page.state[DEPTH]
    around = depth - 1
    if number in (TD, TH, TR):
        while around > 0 and page.stack[around, S_TAG] != TABLE:
            around -= 1
    return around if around > 0 else depth


@uncounted
def _has_line_end(page: Page) -> bool:
    """Whether a line end stands between `code`, `samp`, `kbd` or `tt` and its end tag."""
    data, place = page.data, page.state[READ]
    end = min(data.size, place + FARTHEST_LINE_END)
    while place < end and not _ends_code(data, place, end):
        if data[place] == LINE_END:
            return True
        place += 1
    return False


@uncounted
def _ends_code(data: NDArray[np.uint8], place: int, end: int) -> bool:
    """Whether `</code`, `</samp`, `</kbd` or `</tt` begins here. Two letters tell them from the end
    tags of the `span` and `strong` within.
    """
    if data[place] != LESS or place + 3 >= end or data[place + 1] != SLASH:
        return False
    first, second = data[place + 2] | 32, data[place + 3] | 32
    return (
        (first == 99 and second == 111)
        or (first == 115 and second == 97)
        or (first == 107 and second == 98)
        or (first == 116 and second == 116)
    )


@uncounted
def end_line(page: Page, top: NDArray[np.int32]) -> None:
    """End the line at the end of an element within code. An empty line element is an empty line."""
    state, text = page.state, page.text
    if top[S_TAG] in (TD, TH):
        return
    begin = max(np.int64(top[S_BEGIN]), state[BLOCK_BEGIN])
    blank = state[WRITE] > state[BLOCK_BEGIN]
    for place in range(begin, state[WRITE]):
        if text[place] not in (SPACE, TAB):
            blank = False
            break
    written = state[WRITE] > begin
    new_line_in_code(page)
    if blank and (top[S_MARK] & M_LINE or (written and top[S_SOFT])):
        text[state[WRITE]] = NEWLINE
        state[WRITE] += 1


@uncounted
def close_removed(page: Page, top: NDArray[np.int32]) -> None:
    """Take away what an element that has ended has written, if it is a gutter of line numbers or
    the sign of a permanent link.
    """
    state, begin = page.state, np.int64(top[S_BEGIN])
    if top[S_MARK] & M_NUMBERS:
        if _only_numbers(page, top):
            _remove_numbers(page, top)
    elif state[BLOCKS] == top[S_BLOCK] and begin >= state[BLOCK_BEGIN] and state[PRE_FROM] == 0:
        content = content_begin(page, begin)
        length = state[WRITE] - content
        if not 0 < length <= LONGEST_SIGN:
            return
        follows = top[S_MARK] & M_PERMALINK != 0 and begin > state[BLOCK_BEGIN]
        if follows or _is_sign(page, content, top[S_HEADING] > 0):
            remove(page, begin, top)


@uncounted
def _only_numbers(page: Page, top: NDArray[np.int32]) -> bool:
    """Whether the element of row `top` has written only numbers, in brackets or not."""
    state, first = page.state, np.int64(top[S_BLOCK])
    some = False
    for number in range(first, state[BLOCKS] + 1):
        begin, end = state[BLOCK_BEGIN], state[WRITE]
        if number < state[BLOCKS]:
            begin, end = np.int64(page.blocks[number, BEGIN]), np.int64(page.blocks[number, END])
        for place in range(max(begin, np.int64(top[S_BEGIN])), end):
            byte = page.text[place]
            if ZERO <= byte <= NINE:
                some = True
            elif byte not in AROUND_NUMBERS:
                return False
    return some


@uncounted
def _remove_numbers(page: Page, top: NDArray[np.int32]) -> None:
    """Take away what the element of row `top` has written. A language that the first of its blocks
    has taken waits for the next.
    """
    state, first, begin = page.state, np.int64(top[S_BLOCK]), np.int64(top[S_BEGIN])
    if begin <= state[BLOCK_BEGIN]:
        language = page.blocks[first, LANGUAGE] if first < page.blocks.shape[0] else 0
        if language > 0 and state[LANGUAGE_END] == 0:
            state[LANGUAGE_END] = state[LANGUAGE_BEGIN] + language
        state[BLOCKS], state[BLOCK_BEGIN] = first, begin
    remove(page, begin, top)


@uncounted
def _is_sign(page: Page, content: int, heading: bool) -> bool:
    """Whether the text from `content` on is a sign of permanent links: # ¶ 🔗 ⚓, in a heading also
    §.
    """
    text, end = page.text, page.state[WRITE]
    first, second = text[content], text[content + 1] if content + 1 < end else 0
    if first == HASH:
        while content < end and text[content] == HASH:
            content += 1
        return content == end
    if end - content == 2:
        return first == 0xC2 and (second == 0xB6 or (heading and second == 0xA7))
    if end - content in (4, 7):  # 7: with a selector of its form
        return first == 0xF0 and second == 0x9F and text[content + 2] == 0x94
    return (
        end - content in (3, 6) and first == 0xE2 and second == 0x9A and text[content + 2] == 0x93
    )
