"""Where each block stands: its neighbours, its distance from headings and paragraphs, the elements
around it, and the page as a whole.

jusText looks at the blocks before and after (Pomikalek 2011). Readability looks for the element
whose paragraphs weigh most. Boilerpipe looks at text density in a window (Kohlschütter, Fankhauser,
Nejdl, WSDM 2010). Here all of these are numbers, and a trained model weighs them.
"""

from typing import Final

import numpy as np
from corpusmill.stages.columns.compiled import njit, uncounted
from corpusmill.stages.extract.page.block_text import (
    FIRST_CHARACTER,
    HEADING_LEVEL,
    LAST_CHARACTER,
    LINK_DENSITY,
    PHRASE,
    STOP_DENSITY,
    WORDS,
)
from corpusmill.stages.extract.page.element_totals import (
    ANCESTORS,
    describe_ancestors,
    describe_best,
    element_totals,
)
from corpusmill.stages.extract.page.names import FAR, TAG_NAMES, region
from corpusmill.stages.extract.page.page import ELEMENT, LEVEL, ROW, TAG
from corpusmill.stages.extract.page.phrases import SORTS
from corpusmill.stages.extract.page.repeated import REPEATED, describe_repeated
from numpy.typing import NDArray

Floats = NDArray[np.float32]

REACH: Final = 3  # a block is described by so many blocks before and after it
LONG_WORDS: Final = 15  # words that make a block a long paragraph
LONG_LINKS: Final = 0.3  # and its highest link density
FAR_AWAY: Final = 50  # blocks

_NEIGHBOUR: Final = (
    "words",
    "link_density",
    "stop_density",
    "kind",
    "last_character",
    "first_character",
)
_ANCESTOR: Final = (
    "words",
    "link_density",
    "blocks",
    "paragraphs",
    "paragraph_share",
    "share",
    "siblings",
    "sibling_index",
)
_PAGE: Final = (
    "words",
    "link_density",
    "blocks",
    "paragraphs",
    "paragraph_words",
    "in_main",
    "in_article",
    "in_content",
    "in_cells",
)
PLACES: Final = (
    *(f"{name}_{offset:+}" for offset in (-3, -2, -1, 1, 2, 3) for name in _NEIGHBOUR),
    *(
        "kind",
        "level",
        "place",
        "words_before",
        "words_before_share",
        "words_after",
        "since_heading",
        "heading_level",
        "until_heading",
    ),
    *(
        "since_paragraph",
        "until_paragraph",
        "near_words",
        "wide_words",
        "near_links",
        "wide_links",
        "same_element_before",
    ),
    *(f"{name}_of_{ancestor}" for ancestor in range(ANCESTORS) for name in _ANCESTOR),
    *("below_best", "above_best", "after_best", "best_share"),
    *(f"page_{name}" for name in _PAGE),
    *REPEATED,
    *(f"since_{sort}" for sort in SORTS),
    *(f"until_{sort}" for sort in SORTS),
)
MAIN, ARTICLE, CONTENT, BODY, POST = (
    region(name) for name in ("main", "article", "content", "body", "post")
)
N_TAGS = len(TAG_NAMES) + 1
N_SORTS: Final = len(SORTS)


def _tag_kinds() -> NDArray[np.int32]:
    """The sort of block that each tag makes: 1 paragraph, 2 heading, 3 list item, 4 cell, 5
    definition, 6 control, 7 caption, 8 code, 0 any other.
    """
    groups = (
        "p",
        "h1 h2 h3 h4 h5 h6",
        "li",
        "td th",
        "dt dd",
        "button label legend option",
        "figcaption caption",
        "pre",
    )
    kinds = np.zeros(N_TAGS, np.int32)
    for kind, names in enumerate(groups, 1):
        for name in names.split():
            kinds[TAG_NAMES.index(name)] = kind
    return kinds


TAG_KINDS: Final = _tag_kinds()


@njit
def describe_places(
    blocks: NDArray[np.int32],
    levels: NDArray[np.uint8],
    elements: NDArray[np.int32],
    groups: NDArray[np.int64],
    n_groups: int,
    measures: Floats,
    places: Floats,
) -> None:
    """Fill a row of `places` for each block. groups, n_groups:
    `repeated.groups_of`.
    """
    count = blocks.shape[0]
    kind = np.empty(count, np.float32)
    links = np.empty(count, np.float32)  # words in links
    is_paragraph = np.zeros(count, np.float32)
    for number in range(count):
        kind[number] = TAG_KINDS[elements[blocks[number, ELEMENT], TAG]]
        links[number] = measures[number, WORDS] * measures[number, LINK_DENSITY]
        is_paragraph[number] = (
            measures[number, WORDS] >= LONG_WORDS and measures[number, LINK_DENSITY] < LONG_LINKS
        )
    column = _neighbours(measures, kind, places)
    column = _positions(blocks, elements, measures, kind, links, is_paragraph, places, column)
    totals = element_totals(blocks, elements, measures, links, is_paragraph)
    column = describe_ancestors(blocks, elements, totals, places, column)
    column = describe_best(blocks, elements, totals, places, column)
    column = _page(blocks, levels, measures, links, is_paragraph, places, column)
    column = describe_repeated(blocks, elements, totals, groups, n_groups, places, column)
    _phrases(measures, places, column)


@uncounted
def _neighbours(measures: Floats, kind: Floats, places: Floats) -> int:
    count = measures.shape[0]
    for number in range(count):
        column = 0
        for offset in range(-REACH, REACH + 1):
            other = number + offset
            if offset == 0:
                continue
            if 0 <= other < count:
                row = measures[other]
                places[number, column], places[number, column + 1] = row[WORDS], row[LINK_DENSITY]
                places[number, column + 2], places[number, column + 3] = (
                    row[STOP_DENSITY],
                    kind[other],
                )
                places[number, column + 4], places[number, column + 5] = (
                    row[LAST_CHARACTER],
                    row[FIRST_CHARACTER],
                )
            else:
                for step in range(6):
                    places[number, column + step] = -1
            column += 6
    return 36


@njit
def _positions(
    blocks: NDArray[np.int32],
    elements: NDArray[np.int32],
    measures: Floats,
    kind: Floats,
    links: Floats,
    is_paragraph: Floats,
    places: Floats,
    column: int,
) -> int:
    count = blocks.shape[0]
    words = np.zeros(count + 1, np.float64)
    linked = np.zeros(count + 1, np.float64)
    for number in range(count):
        words[number + 1] = words[number] + measures[number, WORDS]
        linked[number + 1] = linked[number] + links[number]
    since_heading = since_paragraph = FAR_AWAY
    heading_level = 0
    for number in range(count):
        row = places[number, column:]
        row[0], row[1], row[2] = (
            kind[number],
            elements[blocks[number, ELEMENT], LEVEL],
            number / count,
        )
        row[3], row[4], row[5] = (
            words[number],
            words[number] / max(words[count], 1),
            words[count] - words[number + 1],
        )
        row[6], row[7], row[9] = since_heading, heading_level, since_paragraph
        near, far = max(number - 4, 0), min(number + 5, count)
        row[11], row[13] = (
            words[far] - words[near],
            (linked[far] - linked[near]) / max(words[far] - words[near], 1),
        )
        near, far = max(number - 15, 0), min(number + 16, count)
        row[12], row[14] = (
            words[far] - words[near],
            (linked[far] - linked[near]) / max(words[far] - words[near], 1),
        )
        row[15] = number > 0 and blocks[number, ELEMENT] == blocks[number - 1, ELEMENT]
        since_heading, since_paragraph = (
            min(since_heading + 1, FAR_AWAY),
            min(since_paragraph + 1, FAR_AWAY),
        )
        if measures[number, HEADING_LEVEL] > 0:
            since_heading, heading_level = 0, measures[number, HEADING_LEVEL]
        if is_paragraph[number]:
            since_paragraph = 0
    until_heading = until_paragraph = FAR_AWAY
    for number in range(count - 1, -1, -1):
        places[number, column + 8], places[number, column + 10] = until_heading, until_paragraph
        until_heading, until_paragraph = (
            min(until_heading + 1, FAR_AWAY),
            min(until_paragraph + 1, FAR_AWAY),
        )
        if measures[number, HEADING_LEVEL] > 0:
            until_heading = 0
        if is_paragraph[number]:
            until_paragraph = 0
    return column + 16


@uncounted
def _page(
    blocks: NDArray[np.int32],
    levels: NDArray[np.uint8],
    measures: Floats,
    links: Floats,
    is_paragraph: Floats,
    places: Floats,
    column: int,
) -> int:
    words = linked = paragraphs = paragraph_words = in_main = in_article = in_content = in_cells = (
        0.0
    )
    for number in range(blocks.shape[0]):
        size = measures[number, WORDS]
        words += size
        linked += links[number]
        paragraphs += is_paragraph[number]
        paragraph_words += is_paragraph[number] * size
        in_main += size * (levels[number, MAIN] < FAR)
        in_article += size * (levels[number, ARTICLE] < FAR)
        in_content += size * (
            min(levels[number, CONTENT], levels[number, BODY], levels[number, POST]) < FAR
        )
        in_cells += size * (blocks[number, ROW] > 0)
    some = max(words, 1)
    for number in range(blocks.shape[0]):
        row = places[number, column:]
        row[0], row[1], row[2], row[3], row[4] = (
            words,
            linked / some,
            blocks.shape[0],
            paragraphs,
            paragraph_words / some,
        )
        row[5], row[6], row[7], row[8] = (
            in_main / some,
            in_article / some,
            in_content / some,
            in_cells / some,
        )
    return column + 9


@njit
def _phrases(measures: Floats, places: Floats, column: int) -> None:
    """How many blocks ago, and in how many blocks, a phrase of each sort stands."""
    count = measures.shape[0]
    distance = np.full(N_SORTS, FAR_AWAY, np.float32)
    for number in range(count):
        for sort in range(N_SORTS):
            distance[sort] = min(distance[sort] + 1, FAR_AWAY)
        if measures[number, PHRASE] > 0:
            distance[int(measures[number, PHRASE]) - 1] = 0
        places[number, column : column + N_SORTS] = distance
    distance[:] = FAR_AWAY
    for number in range(count - 1, -1, -1):
        for sort in range(N_SORTS):
            distance[sort] = min(distance[sort] + 1, FAR_AWAY)
        if measures[number, PHRASE] > 0:
            distance[int(measures[number, PHRASE]) - 1] = 0
        places[number, column + N_SORTS : column + 2 * N_SORTS] = distance
