"""What belongs together comes out together: code, tables, and the headings of kept sections.

The forest judges each block by its looks. A short listing looks like furniture, and so do a row of
numbers and a heading of two words. But a listing between two paragraphs of the text belongs to it,
half a table is worth less than none, and a section keeps its heading.
"""

from typing import Final

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.extract.page.block_text import ENDS_IN_COLON
from corpusmill.stages.extract.page.names import TAG_NAMES, tag_number
from corpusmill.stages.extract.page.page import (
    CELL,
    CHARACTERS,
    ELEMENT,
    HEADING,
    LINK_CHARACTERS,
    LIST_ITEM,
    PARENT,
    PREFORMATTED,
    ROW,
    TAG,
    TITLE,
)
from numpy.typing import NDArray

TABLE, TERM = tag_number("table"), tag_number("dt")
IS_LIST = np.array([name in ("dir", "menu", "ol", "ul") for name in (*TAG_NAMES, "")])
LONGEST_CELL: Final = 60  # words; a longer block is a paragraph of a layout table
MANY_BLOCKS: Final = 3  # a cell of more is no cell of data
NEAR: Final = 3  # blocks behind code in which the text must go on
LONGEST_HEADING: Final = 15  # words
LIKELY_HEADING: Final = 0.15  # its lowest probability
MOST: Final = 0.5  # share of a table's words
FEW: Final = 0.2
LIKELY_TABLE: Final = 0.1  # the lowest mean probability of its words
TAKE, LEAVE = 1, 2
MUCH: Final = 0.4  # share of the words of a list, or of all code
LINKED: Final = 0.5  # the highest share of words in links


@njit
def make_whole(
    blocks: NDArray[np.int32],
    elements: NDArray[np.int32],
    words: NDArray[np.float64],
    last_characters: NDArray[np.float32],
    scores: NDArray[np.float32],
    taken: NDArray[np.bool_],
) -> None:
    """Add to the taken blocks what belongs to them. last_characters: `block_text.LAST_CHARACTER`.
    scores: probabilities of being main content.

    Code is taken between taken blocks, and behind one that ends in a colon. Where much of a page's
    code is taken, so is code beside other code that is taken, and behind any taken block. A list is
    taken whole, with those inside it, if much of it is taken and most of its words are no links. A
    table of data is taken whole if most of it is taken, or if it stands in the text and is not
    unlikely; not at all if little is. A heading that is not unlikely is taken with the block below
    it, and so is a term of a list.
    """
    _take_lists(blocks, elements, words, taken)
    _take_code(blocks, words, last_characters, taken)
    _take_tables(blocks, elements, words, scores, taken)
    for number in range(blocks.shape[0] - 2, -1, -1):
        is_term = elements[blocks[number, ELEMENT], TAG] == TERM
        if (
            (blocks[number, HEADING] or is_term)
            and not blocks[number, TITLE]
            and words[number] <= LONGEST_HEADING
            and (is_term or scores[number] >= LIKELY_HEADING)
            and taken[number + 1]
        ):
            taken[number] = True


@njit
def _take_code(
    blocks: NDArray[np.int32],
    words: NDArray[np.float64],
    last_characters: NDArray[np.float32],
    taken: NDArray[np.bool_],
) -> None:
    count = blocks.shape[0]
    total = chosen = 0.0
    for number in range(count):
        if blocks[number, PREFORMATTED]:
            total += words[number]
            chosen += words[number] * taken[number]
    much = chosen > MUCH * total
    number = 0
    while number < count:
        begin = number
        while number < count and blocks[number, PREFORMATTED] and not blocks[number, TITLE]:
            number += 1
        follows = number > begin > 0 and taken[begin - 1]
        if follows:
            goes_on = last_characters[begin - 1] == ENDS_IN_COLON
            for behind in range(number, min(number + NEAR, count)):
                goes_on = goes_on or taken[behind]
            if goes_on:
                taken[begin:number] = True
        if much and number > begin and (follows or taken[begin:number].any()):
            taken[begin:number] = True
        number = max(number, begin + 1)


@njit
def _take_lists(
    blocks: NDArray[np.int32],
    elements: NDArray[np.int32],
    words: NDArray[np.float64],
    taken: NDArray[np.bool_],
) -> None:
    count = elements.shape[0]
    around = np.zeros(count, np.int32)  # the outermost list that an element is in
    for element in range(1, count):
        tag, above = elements[element, TAG], around[elements[element, PARENT]]
        around[element] = 0 if tag == TABLE else element if above == 0 and IS_LIST[tag] else above
    total, chosen, linked = np.zeros(count), np.zeros(count), np.zeros(count)
    for number in range(blocks.shape[0]):
        block = blocks[number]
        if block[LIST_ITEM] > 0:
            above = around[block[LIST_ITEM]]
            total[above] += words[number]
            chosen[above] += words[number] * taken[number]
            linked[above] += words[number] * block[LINK_CHARACTERS] / max(block[CHARACTERS], 1)
    for number in range(blocks.shape[0]):
        if blocks[number, LIST_ITEM] > 0:
            above = around[blocks[number, LIST_ITEM]]
            if (
                above > 0
                and chosen[above] > MUCH * total[above]
                and linked[above] < LINKED * total[above]
            ):
                taken[number] = True


@njit
def _take_tables(
    blocks: NDArray[np.int32],
    elements: NDArray[np.int32],
    words: NDArray[np.float64],
    scores: NDArray[np.float32],
    taken: NDArray[np.bool_],
) -> None:
    """Tables of data only: without headings, code, long cells and other tables inside, and with a
    second column.
    """
    count = elements.shape[0]
    is_data = np.zeros(count, np.bool_)
    above = np.zeros(count, np.int32)  # the table that an element is in
    for element in range(1, count):
        above[element] = above[elements[element, PARENT]]
        if elements[element, TAG] == TABLE:
            is_data[above[element]] = False
            is_data[element] = above[element] == 0
            above[element] = element
    total = np.zeros(count, np.float64)
    chosen = np.zeros(count, np.float64)
    expected = np.zeros(count, np.float64)
    wide = np.zeros(count, np.bool_)
    first = np.full(count, -1, np.int64)
    last = np.zeros(count, np.int64)
    in_cell = 0  # blocks of the cell so far
    for number in range(blocks.shape[0]):
        block = blocks[number]
        table = above[block[ELEMENT]]
        total[table] += words[number]
        chosen[table] += words[number] * taken[number]
        expected[table] += words[number] * scores[number]
        first[table] = number if first[table] < 0 else first[table]
        last[table] = number
        same = number > 0 and block[CELL] == blocks[number - 1, CELL]
        in_cell = 0 if block[CELL] == 0 else in_cell + 1 if same else 1
        if (
            block[HEADING]
            or block[PREFORMATTED]
            or words[number] > LONGEST_CELL
            or in_cell > MANY_BLOCKS
        ):
            is_data[table] = False
        if number > 0 and block[ROW] == blocks[number - 1, ROW]:
            wide[table] = wide[table] or block[CELL] != blocks[number - 1, CELL]
    fate = np.zeros(count, np.int8)
    for table in range(1, count):
        if is_data[table] and wide[table] and first[table] > 0:
            behind = last[table] + 1
            goes_on = chosen[table] > 0 or (behind < taken.size and taken[behind])
            in_text = taken[first[table] - 1] and goes_on
            if chosen[table] > MOST * total[table] or (
                in_text and expected[table] > LIKELY_TABLE * total[table]
            ):
                fate[table] = TAKE
            elif chosen[table] < FEW * total[table]:
                fate[table] = LEAVE
    for number in range(blocks.shape[0]):
        table = above[blocks[number, ELEMENT]]
        if fate[table] != 0:
            taken[number] = fate[table] == TAKE
