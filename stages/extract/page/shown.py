"""Which blocks a reader of the page sees.

Hidden text (`display: none`, `hidden`, `noscript`, for screen readers) is left out. But some pages
hide all that they have until a script has run. So if more text would go than stay, the outermost
hidden elements count as shown.

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
    HIDDEN,
    LINK_CHARACTERS,
    PREFORMATTED,
    TAG,
    TITLE,
)
from numpy.typing import NDArray

# Characters of hidden text that could be the text of a page. A plea to switch on scripts has fewer.
A_PAGE: Final = 600
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
    hidden = blocks[:, HIDDEN]
    if hidden.any():
        free = np.where(blocks[:, TITLE], 0, blocks[:, CHARACTERS] - blocks[:, LINK_CHARACTERS])
        level = 0
        while (out := free[hidden > level].sum()) > free[hidden <= level].sum() and out >= A_PAGE:
            level += 1
        kept = hidden <= level
    short = (blocks[:, END] - blocks[:, BEGIN] <= LONGEST_LABEL) & (blocks[:, PREFORMATTED] == 0)
    few = np.flatnonzero(short & kept)
    control = (elements[blocks[few, ELEMENT], TAG] == BUTTON) | (levels[few, CONTROLS] < NEAR)
    for number in few[control]:
        words = text[blocks[number, BEGIN] : blocks[number, END]].tobytes()
        if words.lower() in COPY_LABELS:
            kept[number] = False
    return kept
