"""Which blocks a reader of the page sees.

Hidden text (`display: none`, `hidden`, `noscript`, for screen readers) is left out. But some pages
hide all that they have until a script has run. So if more text would go than stay, the outermost
hidden elements count as shown. Elements without opacity are mostly such that a script makes appear.
So they count as hidden only if they hold little of the page's text.

Labels of buttons that copy code are left out too.
"""

from typing import Final

import numpy as np
from corpusmill.stages.extract.page.names import TAG_NAMES, region, tag_number
from corpusmill.stages.extract.page.page import (
    BEGIN,
    CHARACTERS,
    ELEMENT,
    END,
    FAINT,
    HIDDEN,
    LINK_CHARACTERS,
    PREFORMATTED,
    TAG,
    TITLE,
)
from numpy.typing import NDArray

# Characters of hidden text that could be the text of a page. A plea to switch on scripts has fewer.
A_PAGE: Final = 600
LITTLE: Final = 0.03  # share of the characters
COPY_LABELS: Final = frozenset(
    (b"copy", b"copied", b"copied!", b"copy code", b"copy to clipboard", b"copy snippet")
)
LONGEST_LABEL: Final = max(map(len, COPY_LABELS))
NEAR: Final = 3  # levels up to an element of controls
BUTTON, CONTROLS = tag_number("button"), region("button")
assert TAG_NAMES[BUTTON] == "button"


def shown(
    text: NDArray[np.uint8],
    blocks: NDArray[np.int32],
    levels: NDArray[np.uint8],
    elements: NDArray[np.int32],
) -> NDArray[np.bool_]:
    """Which blocks to keep."""
    kept = np.ones(len(blocks), np.bool_)
    if blocks[:, HIDDEN].any():
        hidden, faint = blocks[:, HIDDEN] % FAINT, blocks[:, HIDDEN] >= FAINT
        free = np.where(blocks[:, TITLE], 0, blocks[:, CHARACTERS] - blocks[:, LINK_CHARACTERS])
        level = 0
        while (out := free[hidden > level].sum()) > free[hidden <= level].sum() and out >= A_PAGE:
            level += 1
        kept = hidden <= level
        if free[kept & faint].sum() <= LITTLE * free[kept].sum():
            kept &= ~faint
    short = (blocks[:, END] - blocks[:, BEGIN] <= LONGEST_LABEL) & (blocks[:, PREFORMATTED] == 0)
    few = np.flatnonzero(short & kept)
    control = (elements[blocks[few, ELEMENT], TAG] == BUTTON) | (levels[few, CONTROLS] < NEAR)
    for number in few[control]:
        words = text[blocks[number, BEGIN] : blocks[number, END]].tobytes()
        if words.lower() in COPY_LABELS:
            kept[number] = False
    return kept
