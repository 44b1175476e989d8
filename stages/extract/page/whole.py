"""Code and tables come out whole, or not at all.

The forest judges blocks by their looks. A short listing looks like furniture, and so does a row of
numbers. But a listing between two paragraphs of the text belongs to it, and half a table is worth
less than none.
"""

from typing import Final

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.extract.page.names import tag_number
from corpusmill.stages.extract.page.page import HEADING, PARENT, PREFORMATTED, ROW, TAG
from numpy.typing import NDArray

TABLE: Final = tag_number("table")
LONGEST_CELL: Final = 60  # words; a longer block is a paragraph of a layout table


@njit
def make_whole(
    blocks: NDArray[np.int32],
    elements: NDArray[np.int32],
    words: NDArray[np.float64],
    taken: NDArray[np.bool_],
) -> None:
    """Take code that stands between taken blocks. Take all of a table, or none of it, by which has
    more words. Layout tables have blocks that are no rows, and are left alone.
    """
    _take_code(blocks, taken)
    _take_tables(blocks, elements, words, taken)


@njit
def _take_code(blocks: NDArray[np.int32], taken: NDArray[np.bool_]) -> None:
    count = blocks.shape[0]
    number = 0
    while number < count:
        if not blocks[number, PREFORMATTED]:
            number += 1
            continue
        end = number
        while end < count and blocks[end, PREFORMATTED]:
            end += 1
        before = number > 0 and taken[number - 1]
        if before and end < count and taken[end]:
            taken[number:end] = True
        number = end


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
        if not blocks[number, ROW] or blocks[number, HEADING] or blocks[number, PREFORMATTED]:
            continue
        element = blocks[number, ROW]
        while element > 0 and elements[element, TAG] != TABLE:
            element = elements[element, PARENT]
        table[number] = element
        total[element] += words[number]
        chosen[element] += words[number] * taken[number]
    for number in range(blocks.shape[0]):
        if table[number] > 0 and words[number] <= LONGEST_CELL:
            taken[number] = 2 * chosen[table[number]] > total[table[number]]
