"""Totals of each element of a page, and how a block stands to the elements around it: Readability's
view of a page.

Totals are the words, words in links, blocks and paragraphs of an element and all within it. The
best element is the one whose paragraphs weigh most (Readability's score).
"""

from typing import Final

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.extract.page.block_text import WORDS
from corpusmill.stages.extract.page.page import ELEMENT, LAST, LEVEL, PARENT, TAG, TITLE
from numpy.typing import NDArray

Floats = NDArray[np.float32]

ANCESTORS: Final = 5  # elements above a block that are described, the innermost first

# Columns of the totals by element.
T_WORDS, T_LINKS, T_BLOCKS, T_PARAGRAPHS, T_PARAGRAPH_WORDS, T_SCORE, T_SIBLINGS, T_INDEX = range(8)


@njit
def element_totals(
    blocks: NDArray[np.int32],
    elements: NDArray[np.int32],
    measures: Floats,
    links: Floats,
    is_paragraph: Floats,
) -> Floats:
    """The totals of every element, itself and all within it. T_SCORE is Readability's score: a
    paragraph's words count for its element's parent, and half for its grandparent.
    """
    totals = np.zeros((elements.shape[0], 8), np.float32)
    for number in range(blocks.shape[0]):
        if blocks[number, TITLE]:
            continue
        element = blocks[number, ELEMENT]
        row = totals[element]
        row[T_WORDS] += measures[number, WORDS]
        row[T_LINKS] += links[number]
        row[T_BLOCKS] += 1
        if is_paragraph[number]:
            row[T_PARAGRAPHS] += 1
            row[T_PARAGRAPH_WORDS] += measures[number, WORDS] - links[number]
            score = measures[number, WORDS] - links[number]
            parent = elements[element, PARENT]
            totals[parent, T_SCORE] += score
            totals[elements[parent, PARENT], T_SCORE] += score / 2
    # Siblings: children of one parent with the tag of the element before, counted in a run.
    last_child = np.zeros(elements.shape[0], np.int32)
    for element in range(1, elements.shape[0]):
        parent = elements[element, PARENT]
        before = last_child[parent]
        if before and elements[before, TAG] == elements[element, TAG]:
            totals[element, T_INDEX] = totals[before, T_INDEX] + 1
        last_child[parent] = element
    for element in range(elements.shape[0]):
        last_child[element] = 0
    for element in range(elements.shape[0] - 1, 0, -1):
        parent = elements[element, PARENT]
        for column in range(5):
            totals[parent, column] += totals[element, column]
        after = last_child[parent]
        same = (
            after and elements[after, TAG] == elements[element, TAG] and totals[after, T_INDEX] > 0
        )
        totals[element, T_SIBLINGS] = (
            totals[after, T_SIBLINGS] if same else totals[element, T_INDEX] + 1
        )
        last_child[parent] = element
    return totals


@njit
def describe_ancestors(
    blocks: NDArray[np.int32],
    elements: NDArray[np.int32],
    totals: Floats,
    places: Floats,
    column: int,
) -> int:
    page_words = max(totals[0, T_WORDS], 1)
    for number in range(blocks.shape[0]):
        element = blocks[number, ELEMENT]
        place = column
        for _ in range(ANCESTORS):
            total, row = totals[element], places[number, place : place + 8]
            some = max(total[T_WORDS], 1)
            row[0], row[1], row[2] = total[T_WORDS], total[T_LINKS] / some, total[T_BLOCKS]
            row[3], row[4] = total[T_PARAGRAPHS], total[T_PARAGRAPH_WORDS] / some
            row[5], row[6], row[7] = total[T_WORDS] / page_words, total[T_SIBLINGS], total[T_INDEX]
            element = elements[element, PARENT]
            place += 8
    return column + 8 * ANCESTORS


@njit
def describe_best(
    blocks: NDArray[np.int32],
    elements: NDArray[np.int32],
    totals: Floats,
    places: Floats,
    column: int,
) -> int:
    """How far each block is from the best element. Two distances are counted, both from the
    innermost element that holds both: levels down to the block, and levels down to the best
    element.
    """
    count = elements.shape[0]
    best, best_score = 0, np.float32(0)
    for element in range(count):
        score = totals[element, T_SCORE] * (
            1 - totals[element, T_LINKS] / max(totals[element, T_WORDS], 1)
        )
        if score > best_score:
            best, best_score = element, score
    on_path = np.zeros(count, np.bool_)
    element = best
    on_path[0] = True
    while element > 0:
        on_path[element] = True
        element = elements[element, PARENT]
    # The level where the path to the element leaves the path to the best element.
    meeting = np.zeros(count, np.int32)
    for element in range(1, count):
        meeting[element] = (
            elements[element, LEVEL] if on_path[element] else meeting[elements[element, PARENT]]
        )
    share = totals[best, T_WORDS] / max(totals[0, T_WORDS], 1)
    for number in range(blocks.shape[0]):
        element = blocks[number, ELEMENT]
        row = places[number, column : column + 4]
        row[0] = elements[element, LEVEL] - meeting[element]
        row[1] = elements[best, LEVEL] - meeting[element]
        row[2] = 0 if element < best else 2 if element > elements[best, LAST] else 1
        row[3] = share
    return column + 4
