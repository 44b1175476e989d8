"""Elements that recur on a page: the comments of a thread, the teasers of a list, the posts of a
blog's front page. An article's own text stands in a container that occurs once.

Elements of one signature (`tags.signature`) that hold at least two blocks each are a **group**. A
block is described by two of the groups that it lies in: the innermost, and the outermost.

The idea is that of record extraction: repeated subtrees are the records of a page (Liu, Grossman,
Zhai, Mining Data Records in Web Pages, KDD 2003).
"""

from typing import Final

import numpy as np
from corpusmill.stages.columns.compiled import njit, uncounted
from corpusmill.stages.extract.page.element_totals import (
    T_BLOCKS,
    T_LINKS,
    T_PARAGRAPHS,
    T_WORDS,
)
from corpusmill.stages.extract.page.page import ELEMENT, PARENT, SIGNATURE
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_GROUP: Final = (
    "levels_up",
    "members",
    "index",
    "member_words",
    "mean_words",
    "group_share",
    "link_density",
    "paragraphs",
    "first_share",
)
REPEATED: Final = tuple(f"{name}_of_{which}" for which in ("inner", "outer") for name in _GROUP)
SIZE: Final = len(_GROUP)
FEWEST: Final = 2  # members of the innermost group
FEWEST_OUTER: Final = 3
NOWHERE: Final = -1

# Columns of the groups' totals.
G_MEMBERS, G_WORDS, G_LINKS, G_PARAGRAPHS, G_FIRST = range(5)


@njit
def groups_of(elements: NDArray[np.int32]) -> tuple[NDArray[np.int64], int]:
    """The number of each element's signature, and how many there are."""
    count = elements.shape[0]
    size = 8
    while size < 2 * count:
        size *= 2
    slots = np.full(size, -1, np.int64)  # the first element of a signature
    numbers = np.empty(count, np.int64)
    kinds = 0
    for element in range(count):
        kind = elements[element, SIGNATURE]
        slot = kind & (size - 1)
        while slots[slot] >= 0 and elements[slots[slot], SIGNATURE] != kind:
            slot = (slot + 1) & (size - 1)
        if slots[slot] < 0:
            slots[slot], numbers[element] = element, kinds
            kinds += 1
        numbers[element] = numbers[slots[slot]]
    return numbers, kinds


@njit
def describe_repeated(
    blocks: NDArray[np.int32],
    elements: NDArray[np.int32],
    totals: Floats,
    numbers: NDArray[np.int64],
    kinds: int,
    places: Floats,
    column: int,
) -> int:
    """Fill the columns REPEATED of `places`, from `column` on. numbers, kinds: `groups_of`."""
    count = elements.shape[0]
    groups = np.zeros((kinds, 5), np.float32)
    index = np.zeros(count, np.float32)
    for element in range(1, count):
        total = totals[element]
        if total[T_BLOCKS] < 2:
            continue
        group = groups[numbers[element]]
        index[element] = group[G_MEMBERS]
        if group[G_MEMBERS] == 0:
            group[G_FIRST] = total[T_WORDS]
        group[G_MEMBERS] += 1
        group[G_WORDS] += total[T_WORDS]
        group[G_LINKS] += total[T_LINKS]
        group[G_PARAGRAPHS] += total[T_PARAGRAPHS]
    # The innermost and outermost element with a group, and how far up they are, for each element.
    inner = np.zeros(count, np.int32)
    outer = np.zeros(count, np.int32)
    up = np.zeros((count, 2), np.float32)
    for element in range(1, count):
        parent = elements[element, PARENT]
        members = groups[numbers[element], G_MEMBERS] if totals[element, T_BLOCKS] >= 2 else 0
        inner[element], up[element, 0] = inner[parent], up[parent, 0] + 1
        outer[element], up[element, 1] = outer[parent], up[parent, 1] + 1
        if members >= FEWEST:
            inner[element], up[element, 0] = element, 0
        if members >= FEWEST_OUTER and outer[parent] == 0:
            outer[element], up[element, 1] = element, 0
    page_words = max(totals[0, T_WORDS], 1)
    for number in range(blocks.shape[0]):
        element = blocks[number, ELEMENT]
        _describe(
            inner[element], up[element, 0], totals, numbers, groups, index, page_words,
            places[number, column : column + SIZE],
        )  # fmt: skip
        _describe(
            outer[element], up[element, 1], totals, numbers, groups, index, page_words,
            places[number, column + SIZE : column + 2 * SIZE],
        )  # fmt: skip
    return column + 2 * SIZE


@uncounted
def _describe(
    member: int,
    levels_up: float,
    totals: Floats,
    numbers: NDArray[np.int64],
    groups: Floats,
    index: Floats,
    page_words: float,
    row: Floats,
) -> None:
    if member == 0:
        for place in range(SIZE):
            row[place] = NOWHERE
        return
    group = groups[numbers[member]]
    some = max(group[G_WORDS], 1)
    row[0], row[1], row[2] = levels_up, group[G_MEMBERS], index[member]
    row[3], row[4] = totals[member, T_WORDS], group[G_WORDS] / group[G_MEMBERS]
    row[5], row[6] = group[G_WORDS] / page_words, group[G_LINKS] / some
    row[7], row[8] = group[G_PARAGRAPHS] / group[G_MEMBERS], group[G_FIRST] / some
