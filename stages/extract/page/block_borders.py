"""Where a block of a page's text begins and ends, and what it is then known to be in."""

from typing import Final

from corpusmill.stages.columns.compiled import merged, uncounted
from corpusmill.stages.extract.page.names import tag_number
from corpusmill.stages.extract.page.page import (
    BEGIN,
    BLOCK_BEGIN,
    BLOCK_HIDDEN,
    BLOCKS,
    CELL,
    CHARACTERS,
    DEPTH,
    ELEMENT,
    END,
    HEADING,
    HIDDEN,
    IMAGES,
    LANGUAGE,
    LANGUAGE_BEGIN,
    LANGUAGE_END,
    LINK_CHARACTERS,
    LINKS,
    LIST_DEPTH,
    LIST_ITEM,
    PENDING,
    PRE_FROM,
    PREFORMATTED,
    ROW,
    RULE_SEEN,
    RULED,
    S_CELL,
    S_ELEMENT,
    S_HEADING,
    S_HIDDEN,
    S_ITEM,
    S_LEVELS,
    S_LIST_DEPTH,
    S_ROW,
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

NOTHING, SPACE, NEWLINE, RETURN, TAB = 0, 32, 10, 13, 9
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
def begin_block(page: Page) -> None:
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
