"""What belongs together comes out together: code, tables, and the headings of kept sections.

The forest judges each block by its looks. A short listing looks like furniture, and so do a row of
numbers and a heading of two words. But a listing between two paragraphs of the text belongs to it,
half a table is worth less than none, and a section keeps its heading.
"""

from typing import Final

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.extract.page.block_text import ENDS_IN_COLON
from corpusmill.stages.extract.page.names import tag_number
from corpusmill.stages.extract.page.page import HEADING, PARENT, PREFORMATTED, ROW, TAG, TITLE
from numpy.typing import NDArray

TABLE: Final = tag_number("table")
LONGEST_CELL: Final = 60  # words; a longer block is a paragraph of a layout table
NEAR: Final = 3  # blocks behind code in which the text must go on
LONGEST_HEADING: Final = 15  # words


@njit
def make_whole(
    blocks: NDArray[np.int32],
    elements: NDArray[np.int32],
    words: NDArray[np.float64],
    last_characters: NDArray[np.float32],
    taken: NDArray[np.bool_],
) -> None:
    """Add to the taken blocks what belongs to them. last_characters: `block_text.LAST_CHARACTER`.

    Code is taken between taken blocks, and behind one that ends in a colon. A table is taken whole
    or not at all, by which has more words. A heading is taken with the block below it.
    """
    _take_code(blocks, last_characters, taken)
    _take_tables(blocks, elements, words, taken)
    for number in range(blocks.shape[0] - 2, -1, -1):
        if (
            blocks[number, HEADING]
            and not blocks[number, TITLE]
            and words[number] <= LONGEST_HEADING
            and taken[number + 1]
        ):
            taken[number] = True


@njit
def _take_code(
    blocks: NDArray[np.int32], last_characters: NDArray[np.float32], taken: NDArray[np.bool_]
) -> None:
    count = blocks.shape[0]
    number = 0
    while number < count:
        begin = number
        while number < count and blocks[number, PREFORMATTED] and not blocks[number, TITLE]:
            number += 1
        if number > begin > 0 and taken[begin - 1]:
            goes_on = last_characters[begin - 1] == ENDS_IN_COLON
            for behind in range(number, min(number + NEAR, count)):
                goes_on = goes_on or taken[behind]
            if goes_on:
                taken[begin:number] = True
        number = max(number, begin + 1)


@njit
def _take_tables(
    blocks: NDArray[np.int32],
    elements: NDArray[np.int32],
    words: NDArray[np.float64],
    taken: NDArray[np.bool_],
) -> None:
    total = np.zeros(elements.shape[0], np.float64)
    chosen = np.zeros(elements.shape[0], np.float64)
    table = np.zeros(blocks.shape[0], np.int32)
    for number in range(blocks.shape[0]):
        element = np.int64(blocks[number, ROW])
        if element == 0 or words[number] > LONGEST_CELL:
            continue
        while element > 0 and elements[element, TAG] != TABLE:
            element = np.int64(elements[element, PARENT])
        table[number] = element
        total[element] += words[number]
        chosen[element] += words[number] * taken[number]
    for number in range(blocks.shape[0]):
        if table[number] > 0:
            taken[number] = 2 * chosen[table[number]] > total[table[number]]
