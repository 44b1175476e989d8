"""Threads: pages whose main content is posts, as in forums, questions with answers, and comment
pages. There a post of three words is as good as a long one, but the forest judges each by its
looks.

The posts of a thread are elements that recur, so if some are main content, all are. Two kinds of
evidence say which elements hold them:

- A class that only forum software uses for the text of a post (`facts.POST`). Two such elements
  make a thread.
- Otherwise elements of one signature that are named after posts (`message`, `answer`, `comment`),
  if most of what the forest takes stands in them, in several of them, and in about half of them.
  An article with comments is no such page: most of its text stands in one element.
"""

from typing import Final

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.extract.page.names import TAG_NAMES, region, tag_number
from corpusmill.stages.extract.page.page import (
    ELEMENT,
    HEADING,
    IS_POST,
    LAST,
    LEVEL,
    PARENT,
    PREFORMATTED,
    ROLE,
    TAG,
)
from numpy.typing import NDArray

MOST: Final = 0.5  # of the taken words stand in the posts
LARGEST: Final = 0.7  # the largest share of them in one post
MANY: Final = 0.3  # share of the posts that have taken text
LINKED: Final = 0.5  # a block with a larger share in links is no text of a post
SHORT: Final = 15  # words; shorter text beside a post's is names, dates and ranks
NAMES = np.array([region(name) for name in ("message", "comment", "post", "review")])
# What stands within the element of a post, but is no text of it.
_BESIDE = "author button edit form metadata newsletter related share tags user"
BESIDE = np.array([region(name) for name in _BESIDE.split()])
IS_CONTAINER = np.zeros(len(TAG_NAMES) + 1, np.bool_)
for _tag in ("article", "blockquote", "dd", "div", "li", "section", "td"):
    IS_CONTAINER[tag_number(_tag)] = True
AUTHOR: Final = region("author")  # also of signatures
NOWHERE: Final = -1

Bools = NDArray[np.bool_]
Words = NDArray[np.float64]


@njit
def take_posts(
    blocks: NDArray[np.int32],
    levels: NDArray[np.uint8],
    elements: NDArray[np.int32],
    groups: NDArray[np.int64],
    n_groups: int,
    words: Words,
    link_density: NDArray[np.float32],
    taken: Bools,
) -> None:
    """Take all posts of a thread, and leave short text between them. If forum software names them,
    leave short text before, behind and beside them too.

    groups, n_groups: `repeated.groups_of`. words, link_density: of each block.
    """
    member = _named_by_software(elements)
    by_software = member.max() > 0
    if not by_software:
        found = _group_of_posts(blocks, levels, elements, groups, n_groups, words, taken)
        if found == NOWHERE:
            return
        member = members_of(elements, groups == found)
    begin, end = 0, blocks.shape[0]
    if not by_software:
        posts = np.flatnonzero(member[blocks[:, ELEMENT]])
        begin, end = posts[0], posts[-1] + 1
    for number in range(begin, end):
        element = blocks[number, ELEMENT]
        post = member[element]
        if post > 0:
            inside = elements[element, LEVEL] - elements[post, LEVEL]
            if _stands_beside(levels[number], inside):
                taken[number] &= not by_software or words[number] >= SHORT
            elif link_density[number] < LINKED or blocks[number, PREFORMATTED]:
                taken[number] = True
        elif words[number] < SHORT and not blocks[number, HEADING]:
            taken[number] = False


@njit
def _stands_beside(levels: NDArray[np.uint8], inside: int) -> bool:
    """Whether a region of BESIDE begins in the post, less than `inside` levels up. Software that
    names the text of posts gives signatures the same name, within an element named after them.
    """
    if levels[AUTHOR] <= inside + 1:
        return True
    for place in BESIDE:  # noqa: SIM110 (numba knows no any() over a generator)
        if levels[place] < inside:
            return True
    return False


@njit
def _named_by_software(elements: NDArray[np.int32]) -> NDArray[np.int32]:
    """By element: the post that it is in, or 0. All are 0 if there is only one."""
    member = members_of(elements, elements[:, ROLE] == IS_POST)
    some = 0
    for element in range(1, elements.shape[0]):
        some += member[element] == element
    if some < 2:
        member[:] = 0
    return member


@njit
def members_of(elements: NDArray[np.int32], chosen: Bools) -> NDArray[np.int32]:
    """By element: the outermost chosen element that it is in, or 0."""
    member = np.zeros(elements.shape[0], np.int32)
    for element in range(1, elements.shape[0]):
        above = member[elements[element, PARENT]]
        member[element] = element if above == 0 and chosen[element] else above
    return member


@njit
def _group_of_posts(
    blocks: NDArray[np.int32],
    levels: NDArray[np.uint8],
    elements: NDArray[np.int32],
    groups: NDArray[np.int64],
    n_groups: int,
    words: Words,
    taken: Bools,
) -> int:
    """The group of elements that hold the posts: of all that could, the one with the least text,
    and the innermost. NOWHERE if the page is no thread.
    """
    count = elements.shape[0]
    size, chosen, named = np.zeros(count), np.zeros(count), np.zeros(count, np.bool_)
    for number in range(blocks.shape[0]):
        element = blocks[number, ELEMENT]
        size[element] += words[number]
        chosen[element] += words[number] * taken[number]
        for place in NAMES:
            up, above = levels[number, place], element
            if up > elements[element, LEVEL]:
                continue
            for _ in range(up):
                above = elements[above, PARENT]
            named[above] = True
    for element in range(count - 1, 0, -1):
        size[elements[element, PARENT]] += size[element]
        chosen[elements[element, PARENT]] += chosen[element]
    members, with_name, with_chosen = np.zeros((3, n_groups), np.int64)
    text, of_chosen, largest = np.zeros((3, n_groups))
    ends = np.zeros(n_groups, np.int64)
    for element in range(1, count):
        group = groups[element]
        if not IS_CONTAINER[elements[element, TAG]] or size[element] == 0 or element <= ends[group]:
            continue
        ends[group] = elements[element, LAST]
        members[group] += 1
        with_name[group] += named[element]
        with_chosen[group] += chosen[element] > 0
        text[group] += size[element]
        of_chosen[group] += chosen[element]
        largest[group] = max(largest[group], chosen[element])
    best = NOWHERE
    for element in range(1, count):  # so the innermost of equals comes last
        group = groups[element]
        if (
            with_chosen[group] >= max(2, MANY * members[group])
            and with_name[group] >= members[group] / 2
            and of_chosen[group] >= MOST * chosen[0]
            and largest[group] <= LARGEST * of_chosen[group]
            and (best == NOWHERE or text[group] <= text[best])
        ):
            best = group
    return best
