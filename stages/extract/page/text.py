"""Writing a page's text: white space, character references, formulas, and the borders of blocks."""

from typing import Final

import numpy as np
from corpusmill.stages.columns.compiled import merged, uncounted
from corpusmill.stages.extract.page.entities import decode_reference
from corpusmill.stages.extract.page.names import tag_number
from corpusmill.stages.extract.page.page import (
    ADDRESS_BEGIN,
    ADDRESS_END,
    AFTER_LINE_END,
    BEGIN,
    BLOCK_BEGIN,
    BLOCK_HIDDEN,
    BLOCKS,
    CELL,
    CHARACTERS,
    CODE_FROM,
    DEPTH,
    ELEMENT,
    END,
    FORMULA_END,
    HEADING,
    HIDDEN,
    IMAGES,
    IN_LINK,
    LANGUAGE,
    LANGUAGE_BEGIN,
    LANGUAGE_END,
    LINK_BEGIN,
    LINK_CHARACTERS,
    LINK_END,
    LINK_PLACE,
    LINKS,
    LINKS_READ,
    LIST_DEPTH,
    LIST_ITEM,
    PENDING,
    PRE_FROM,
    PREFORMATTED,
    ROW,
    RULE_SEEN,
    RULED,
    S_BEGIN,
    S_CELL,
    S_ELEMENT,
    S_HEADING,
    S_HIDDEN,
    S_ITEM,
    S_LEVELS,
    S_LIST_DEPTH,
    S_ROW,
    S_SOFT,
    S_STRONG,
    S_TAG,
    SKIPPED_FROM,
    STRONG_CHARACTERS,
    TEXT_CHARACTERS,
    TEXT_IMAGES,
    TEXT_LINK_CHARACTERS,
    TEXT_LINKS,
    TEXT_STRONG,
    TITLE,
    TOO_MANY,
    WRITE,
    Page,
)
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

NOTHING, SPACE, NEWLINE, RETURN, TAB = 0, 32, 10, 13, 9
AMPERSAND, DOLLAR, BACKSLASH, ROUND, SQUARE = (ord(sign) for sign in "&$\\([")
# Bytes that can only be part of visible characters, which is most of any text. White space,
# references, and lead bytes of characters that `_blank` knows are not among them.
PLAIN = np.array(
    [byte > SPACE and byte not in (AMPERSAND, 0x7F, 0xC2, 0xE2, 0xE3, 0xEF) for byte in range(256)]
)
TITLE_TAG: Final = tag_number("title")
LONGEST_LANGUAGE: Final = 24  # bytes of the name of a programming language


@uncounted
def end_block(page: Page) -> None:
    """End the block: make a block of the text written since the last one's end, unless there is
    none.
    """
    state = page.state
    state[PENDING] = NOTHING
    begin, end = state[BLOCK_BEGIN], state[WRITE]
    while end > begin and page.text[end - 1] in (NEWLINE, SPACE, TAB):
        end -= 1
    state[WRITE] = end
    if end > begin and state[BLOCKS] >= 0:
        number = state[BLOCKS]
        if number >= page.blocks.shape[0]:
            state[BLOCKS] = TOO_MANY
            return
        block = page.blocks[number]
        block[BEGIN], block[END] = begin, end
        block[CHARACTERS], block[LINK_CHARACTERS] = (
            state[TEXT_CHARACTERS],
            state[TEXT_LINK_CHARACTERS],
        )
        block[LINKS], block[STRONG_CHARACTERS] = state[TEXT_LINKS], state[TEXT_STRONG]
        block[IMAGES], block[RULED] = state[TEXT_IMAGES], state[RULE_SEEN]
        state[TEXT_IMAGES] = state[RULE_SEEN] = 0
        state[BLOCKS] += 1
        state[LANGUAGE_END] = 0
    state[BLOCK_BEGIN] = end
    state[TEXT_CHARACTERS] = state[TEXT_LINK_CHARACTERS] = state[TEXT_LINKS] = state[
        TEXT_STRONG
    ] = 0


@uncounted
def _begin_block(page: Page) -> None:
    """Begin a block, whose first character comes next. It takes its properties from its place in
    the page.
    """
    state = page.state
    number = state[BLOCKS]
    top = page.stack[state[DEPTH]]
    state[BLOCK_HIDDEN] = top[S_HIDDEN]
    if not 0 <= number < page.blocks.shape[0]:
        return
    block = page.blocks[number]
    block[ELEMENT], block[LIST_ITEM], block[LIST_DEPTH] = (
        top[S_ELEMENT],
        top[S_ITEM],
        top[S_LIST_DEPTH],
    )
    block[ROW], block[CELL], block[HEADING] = top[S_ROW], top[S_CELL], top[S_HEADING]
    block[PREFORMATTED] = state[PRE_FROM] > 0
    block[TITLE] = top[S_TAG] == TITLE_TAG
    block[HIDDEN] = top[S_HIDDEN]
    block[LANGUAGE] = _write_language(page) if state[PRE_FROM] > 0 else 0
    for region in range(page.levels.shape[1]):
        page.levels[number, region] = page.stack_levels[top[S_LEVELS], region]


@uncounted
def _write_language(page: Page) -> int:
    """Write the name of a programming language before a block of code, if a class has named it.
    Returns its length. Each class is used once, so the text has room for it.
    """
    state = page.state
    begin, end = state[LANGUAGE_BEGIN], state[LANGUAGE_END]
    state[LANGUAGE_END] = 0
    if not 0 < end - begin <= LONGEST_LANGUAGE:
        return 0
    for place in range(begin, end):
        page.text[state[WRITE]] = page.data[place]
        state[WRITE] += 1
    state[BLOCK_BEGIN] = state[WRITE]
    return end - begin


@merged
def admits(page: Page) -> bool:
    """Whether text is written here. Hidden text makes blocks of its own. Inside a block that is
    less hidden it is left out.
    """
    state = page.state
    if state[SKIPPED_FROM] > 0:
        return False
    if state[WRITE] > state[BLOCK_BEGIN]:
        hidden = page.stack[state[DEPTH], S_HIDDEN]
        if hidden > state[BLOCK_HIDDEN]:
            return False
        if hidden < state[BLOCK_HIDDEN]:
            end_block(page)
    return True


@uncounted
def break_line(page: Page) -> None:
    """Write a new line for `<br>`. Two of them end the block, except in code. In a box of code the
    first one says that it is code with lines.
    """
    state = page.state
    if not admits(page):
        return
    box = state[CODE_FROM]
    if (
        box > 0
        and state[PRE_FROM] == 0
        and page.stack[box, S_BEGIN] <= state[BLOCK_BEGIN] < state[WRITE]
    ):
        state[PRE_FROM] = box
        for depth in range(box, state[DEPTH] + 1):
            page.stack[depth, S_SOFT] = 1
        if 0 <= state[BLOCKS] < page.blocks.shape[0]:
            page.blocks[state[BLOCKS], PREFORMATTED] = 1
        state[PENDING] = NOTHING
    if state[PRE_FROM] > 0:
        state[AFTER_LINE_END] = 0
        state[PENDING] = NOTHING
        if state[WRITE] > state[BLOCK_BEGIN]:
            page.text[state[WRITE]] = NEWLINE
            state[WRITE] += 1
    elif state[PENDING] == NEWLINE:
        end_block(page)
    else:
        state[PENDING] = NEWLINE


@uncounted
def new_line_in_code(page: Page) -> None:
    """Write a new line in preformatted text at a tag that breaks lines, unless a line has just
    begun.
    """
    state = page.state
    state[AFTER_LINE_END] = 0
    state[PENDING] = NOTHING
    if page.stack[state[DEPTH], S_SOFT]:
        _strip_line(page)
    if state[WRITE] > state[BLOCK_BEGIN] and page.text[state[WRITE] - 1] != NEWLINE:
        page.text[state[WRITE]] = NEWLINE
        state[WRITE] += 1


@uncounted
def _strip_line(page: Page) -> None:
    """Take the white space at the end of the line away."""
    state = page.state
    while state[WRITE] > state[BLOCK_BEGIN] and page.text[state[WRITE] - 1] in (SPACE, TAB):
        state[WRITE] -= 1


@merged
def _write_run(page: Page, begin: int, end: int) -> None:
    """Write data[begin:end], plain bytes with single spaces between. `write_character` would write
    the same, one by one.
    """
    data, text, state = page.data, page.text, page.state
    if state[WRITE] == state[BLOCK_BEGIN]:
        _begin_block(page)
    elif state[PENDING] != NOTHING:
        text[state[WRITE]] = state[PENDING]
        state[WRITE] += 1
    state[PENDING] = NOTHING
    write, characters = state[WRITE], 0
    for place in range(begin, end):
        text[write] = data[place]
        write += 1
        characters += SPACE < data[place] < 0x80 or data[place] >= 0xC0
    state[WRITE] = write
    _count_characters(page, characters)


@uncounted
def _count_characters(page: Page, characters: int) -> None:
    state = page.state
    state[TEXT_CHARACTERS] += characters
    if state[IN_LINK] != 0:
        state[TEXT_LINK_CHARACTERS] += characters
        if state[IN_LINK] == 1:  # the first character of a link
            state[TEXT_LINKS] += 1
            state[IN_LINK] = 2
            if state[LINK_BEGIN] < state[LINK_END]:
                link = page.links[state[LINKS_READ]]
                link[LINK_PLACE] = state[WRITE] - 1
                link[ADDRESS_BEGIN], link[ADDRESS_END] = state[LINK_BEGIN], state[LINK_END]
                state[LINKS_READ] += 1
    state[TEXT_STRONG] += characters * page.stack[state[DEPTH], S_STRONG]


@uncounted
def write_character(page: Page, length: int) -> None:
    """Write the visible character in `page.buffer`, after the white space that waits before it."""
    state = page.state
    if state[WRITE] == state[BLOCK_BEGIN]:
        _begin_block(page)
    elif state[PENDING] != NOTHING:
        page.text[state[WRITE]] = state[PENDING]
        state[WRITE] += 1
    state[PENDING] = NOTHING
    for offset in range(length):
        page.text[state[WRITE]] = page.buffer[offset]
        state[WRITE] += 1
    _count_characters(page, 1)


@merged
def _length(data: Bytes, begin: int, end: int) -> int:
    """The number of bytes of the UTF-8 character that begins at `begin`."""
    byte = data[begin]
    length = 1 if byte < 0xC0 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
    return min(length, end - begin)


@merged
def _blank(character: Bytes, length: int) -> int:
    """1: white space; 2: a character that has no place in text (soft hyphen, zero width, controls);
    0: anything else.
    """
    byte, second, third = character[0], character[1], character[2]
    if length == 1:
        if byte == SPACE or 9 <= byte <= 13:
            return 1
        return 2 if byte < SPACE or byte == 0x7F else 0
    if length == 2 and byte == 0xC2:
        if second == 0xA0 or second == 0x85:
            return 1
        return 2 if second == 0xAD or second < 0xA0 else 0
    if length == 3:
        if byte == 0xE2 and second == 0x80:
            if 0x80 <= third <= 0x8A or third == 0xA8 or third == 0xA9 or third == 0xAF:
                return 1
            return 2 if third == 0x8B or third == 0x8E or third == 0x8F else 0
        if byte == 0xE2 and second == 0x81:  # invisible operators of mathematics
            return 1 if third == 0x9F or third == 0xA1 else 2 if 0xA0 <= third <= 0xA4 else 0
        if byte == 0xE3 and second == 0x80 and third == 0x80:
            return 1
        if byte == 0xEF and second == 0xBB and third == 0xBF:
            return 2
    return 0


@uncounted
def write_text(page: Page, begin: int, end: int) -> None:
    """Write data[begin:end]. White space collapses, and character references are resolved."""
    put_text(page, begin, end)


@merged
def put_text(page: Page, begin: int, end: int) -> None:
    """`write_text`, for the one place that writes most of a page's text."""
    data, state = page.data, page.state
    if not admits(page):
        return
    place = begin
    while place < end:
        if PLAIN[data[place]]:
            run = place + 1
            while run < end and (
                PLAIN[data[run]] or (data[run] == SPACE and run + 1 < end and PLAIN[data[run + 1]])
            ):
                run += 1
            state[AFTER_LINE_END] = 0
            _write_run(page, place, run)
            place = run
            continue
        length = taken = _length(data, place, end)
        referred = 0
        if data[place] == AMPERSAND:
            referred, length = decode_reference(data, place, end, page.buffer)
            taken, length = max(referred, 1), max(length, 1)
        if referred == 0:
            for offset in range(length):
                page.buffer[offset] = data[place + offset]
        blank = _blank(page.buffer, length)
        if blank == 0:
            state[AFTER_LINE_END] = 0
            write_character(page, length)
        elif blank == 1:
            if state[PRE_FROM] > 0:
                _write_code_space(page)
            elif state[PENDING] == NOTHING and state[WRITE] > state[BLOCK_BEGIN]:
                state[PENDING] = SPACE
        place += taken


@uncounted
def _write_code_space(page: Page) -> None:
    """Write white space in preformatted text as it is: line ends, tabs and spaces. A block does not
    begin with an empty line.

    Where tags are the line ends (S_SOFT), a line end of the page and the white space around it are
    one space between words, and nothing at the ends of a line.
    """
    state, byte = page.state, page.buffer[0]
    if byte == RETURN:
        return
    soft = page.stack[state[DEPTH], S_SOFT] != 0
    if soft and byte == NEWLINE:
        _strip_line(page)
        state[AFTER_LINE_END] = 1
        if state[WRITE] > state[BLOCK_BEGIN] and page.text[state[WRITE] - 1] != NEWLINE:
            state[PENDING] = SPACE
        return
    if state[AFTER_LINE_END] and byte in (SPACE, TAB):
        return
    if state[WRITE] == state[BLOCK_BEGIN]:
        if byte == NEWLINE:
            return
        _begin_block(page)
    elif state[PENDING] != NOTHING:
        page.text[state[WRITE]] = state[PENDING]
        state[WRITE] += 1
        state[PENDING] = NOTHING
    state[AFTER_LINE_END] = 0
    page.text[state[WRITE]] = byte if byte in (NEWLINE, TAB) else SPACE
    state[WRITE] += 1


@uncounted
def write_formula(page: Page, begin: int, end: int, display: bool) -> None:
    """Write data[begin:end], which is TeX, as `$...$`. Write it as `$$...$$` if it stands on a line
    of its own.
    """
    data = page.data
    while begin < end and data[begin] <= SPACE:
        begin += 1
    while end > begin and data[end - 1] <= SPACE:
        end -= 1
    if begin == end:
        return
    following = data[begin + 1] if end - begin > 1 else 0
    if not admits(page):
        return
    marked = data[begin] == DOLLAR or (data[begin] == BACKSLASH and (following in (ROUND, SQUARE)))
    if not marked:
        open_formula(page, display)
    write_text(page, begin, end)
    if not marked:
        close_formula(page, display)
    page.state[FORMULA_END] = page.state[WRITE]


@uncounted
def open_formula(page: Page, display: bool) -> None:
    if page.state[SKIPPED_FROM] == 0:
        length = 2 if display else 1
        for offset in range(length):
            page.buffer[offset] = DOLLAR
        write_character(page, length)


@uncounted
def close_formula(page: Page, display: bool) -> None:
    if page.state[SKIPPED_FROM] == 0:
        page.state[PENDING] = NOTHING
        for _ in range(2 if display else 1):
            page.text[page.state[WRITE]] = DOLLAR
            page.state[WRITE] += 1
