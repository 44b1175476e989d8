"""Writing a page's text: white space, lines and character references."""

import numpy as np
from corpusmill.stages.columns.compiled import merged, uncounted
from corpusmill.stages.extract.page.block_borders import (
    NEWLINE,
    NOTHING,
    RETURN,
    SPACE,
    TAB,
    admits,
    begin_block,
    end_block,
)
from corpusmill.stages.extract.page.entities import decode_reference
from corpusmill.stages.extract.page.page import (
    ADDRESS_BEGIN,
    ADDRESS_END,
    AFTER_LINE_END,
    BLOCK_BEGIN,
    BLOCKS,
    CODE_FROM,
    DEPTH,
    IN_LINK,
    LINK_BEGIN,
    LINK_END,
    LINK_PLACE,
    LINKS_READ,
    PENDING,
    PRE_FROM,
    PREFORMATTED,
    S_BEGIN,
    S_SOFT,
    S_STRONG,
    TEXT_CHARACTERS,
    TEXT_LINK_CHARACTERS,
    TEXT_LINKS,
    TEXT_STRONG,
    WRITE,
    Page,
)
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

AMPERSAND = ord("&")
# Bytes that can only be part of visible characters, which is most of any text. White space,
# references, and lead bytes of characters that `_blank` knows are not among them.
PLAIN = np.array(
    [byte > SPACE and byte not in (AMPERSAND, 0x7F, 0xC2, 0xE2, 0xE3, 0xEF) for byte in range(256)]
)


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
        begin_block(page)
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
        begin_block(page)
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
        begin_block(page)
    elif state[PENDING] != NOTHING:
        page.text[state[WRITE]] = state[PENDING]
        state[WRITE] += 1
        state[PENDING] = NOTHING
    state[AFTER_LINE_END] = 0
    page.text[state[WRITE]] = byte if byte in (NEWLINE, TAB) else SPACE
    state[WRITE] += 1
