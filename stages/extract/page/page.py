"""The data of a page during the walk, and after it: text, elements, blocks.

A **block** is a run of text between two tags that break lines: a paragraph, a list item, a table
cell, a line of a menu. An **element** is a tag that breaks lines. Elements are numbered in the
order in which they open, so a parent comes before its children. Element 0 is the page.
"""

from typing import Final, NamedTuple

import numpy as np
from corpusmill.stages.extract.page.hashing import HashTable
from corpusmill.stages.extract.page.names import ATTRIBUTES, FAR, REGIONS, TAG_FLAGS
from numpy.typing import NDArray

MAX_DEPTH: Final = 256  # open tags; anything deeper counts as lying there
MAX_BLOCKS: Final = 100_000
MAX_ELEMENTS: Final = 1_000_000
NAME_SLOTS: Final = 4096  # of `hidden_names`, which is at most half full
TOO_MANY: Final = -1
LESS: Final = ord("<")

# Columns of `blocks`. HIDDEN: how many hidden elements it is in, and FAINT times how many without
# opacity. LANGUAGE: the bytes of `text` before BEGIN that name the programming language.
(BEGIN, END, ELEMENT, LINK_CHARACTERS, CHARACTERS, LINKS, STRONG_CHARACTERS, IMAGES) = range(8)
(LIST_ITEM, LIST_DEPTH, ROW, CELL, HEADING, PREFORMATTED, RULED, TITLE) = range(8, 16)
HIDDEN, LANGUAGE, BLOCK_COLUMNS = range(16, 19)
FAINT: Final = 1 << 10
# Columns of `links`: a byte of the link's text, where its address begins in the data, and its end.
LINK_PLACE, ADDRESS_BEGIN, ADDRESS_END, LINK_COLUMNS = range(4)
# Columns of `elements`. LAST: the last element inside.
# ORDINAL: of a list item in an ordered list, its number; of a reversed list, its count of items; of
# a cell, the columns that it spans; 0 elsewhere.
# MARK: of a list item, its numbering (`numbering`); of a cell, the rows that it spans; of a table,
# whether it is for layout only. SIGNATURE: a hash of the tag and the first word of its class.
# ROLE: IS_POST, if its class or that of an inline tag in it says that it holds a post of a thread;
# IS_FORM, if it is a form with a field for text.
PARENT, TAG, ORDINAL, LAST, LEVEL, MARK, SIGNATURE, ROLE, ELEMENT_COLUMNS = range(9)
IS_POST: Final = 1
IS_FORM: Final = 2
# Columns of `stack`: the state that an open tag has inherited. Those from S_MARK on are its own.
# S_MARK: what to do at its end (`marks`). S_BEGIN, S_BLOCK, S_LINKS: text, blocks and links written
# before it.
(
    S_TAG,
    S_ELEMENT,
    S_ITEM,
    S_LIST_DEPTH,
    S_ROW,
    S_CELL,
    S_HEADING,
    S_STRONG,
    S_ORDERED,
    S_COUNT,
    S_LEVELS,
    S_HIDDEN,
    S_SOFT,
    S_MARK,
    S_BEGIN,
    S_BLOCK,
    S_LINKS,
    STACK_COLUMNS,
) = range(18)
# Places of `state`.
(
    WRITE,
    DEPTH,
    OVERFLOW,
    ELEMENTS,
    BLOCKS,
    BLOCK_BEGIN,
    PENDING,
    IN_LINK,
    SKIPPED_FROM,
    PRE_FROM,
) = range(10)
(
    MATH_FROM,
    MATH_BEGIN,
    MATH_PENDING,
    MATH_DISPLAY,
    ANNOTATION_FROM,
    FORMULA_END,
    TEXT_LINK_CHARACTERS,
    TEXT_CHARACTERS,
) = range(10, 18)
(TEXT_LINKS, TEXT_STRONG, TEXT_IMAGES, RULE_SEEN) = range(18, 22)
(
    BLOCK_HIDDEN,
    AFTER_LINE_END,
    CODE_FROM,
    LANGUAGE_BEGIN,
    LANGUAGE_END,
    MATH_STRUCTURED,
    READ,
    HIDDEN_NAMES,
    LINK_BEGIN,
    LINK_END,
    LINKS_READ,
    BASE_BEGIN,
    BASE_END,
    STATE_SIZE,
) = range(22, 36)


class Page(NamedTuple):
    """data: the page's UTF-8. text: the text written so far. levels: by block, how many levels up
    each region begins (`FAR`: nowhere).

    links: of text, in order; `state[LINKS_READ]` of them. hidden_names: classes and ids that style
    sheets hide (`style_sheets`).

    stack, stack_levels, open_count, state, buffer, spans: internal to the walk.
    """

    data: NDArray[np.uint8]
    text: NDArray[np.uint8]
    blocks: NDArray[np.int32]
    levels: NDArray[np.uint8]
    elements: NDArray[np.int32]
    links: NDArray[np.int32]
    hidden_names: HashTable
    stack: NDArray[np.int32]
    stack_levels: NDArray[np.uint8]
    open_count: NDArray[np.int32]
    state: NDArray[np.int64]
    buffer: NDArray[np.uint8]
    spans: NDArray[np.int64]


def new_page(data: bytes) -> Page:
    """Room for all that a page of these bytes can hold, up to the limits. Memory that is never
    touched costs nothing.
    """
    bytes_of_page = np.frombuffer(data, np.uint8)
    tags = int(np.count_nonzero(bytes_of_page == LESS))
    blocks, open_elements = min(tags + 2, MAX_BLOCKS), min(tags + 2, MAX_ELEMENTS)
    return Page(
        bytes_of_page,
        # A reference of 5 bytes may become 6, and `<mtable>` becomes `\matrix{}`.
        np.empty(len(data) + len(data) // 2 + 64, np.uint8),
        np.empty((blocks, BLOCK_COLUMNS), np.int32),
        np.empty((blocks, len(REGIONS)), np.uint8),
        np.zeros((open_elements, ELEMENT_COLUMNS), np.int32),
        np.empty((tags, LINK_COLUMNS), np.int32),  # a link begins with a tag
        HashTable(np.zeros(NAME_SLOTS, np.uint64), np.zeros(NAME_SLOTS, np.int64)),
        np.zeros((MAX_DEPTH + 1, STACK_COLUMNS), np.int32),
        np.full((MAX_DEPTH + 1, len(REGIONS)), FAR, np.uint8),
        np.zeros(TAG_FLAGS.size, np.int32),
        np.zeros(STATE_SIZE, np.int64),
        np.zeros(8, np.uint8),
        np.zeros((len(ATTRIBUTES), 2), np.int64),
    )
