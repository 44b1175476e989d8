"""Which blocks a reader of the page sees.

Hidden text (`display: none`, `hidden`, `noscript`, for screen readers) is left out. But some pages
hide all that they have until a script has run. So if more text would go than stay, the outermost
hidden elements count as shown. Elements without opacity are mostly such that a script makes appear.
So they count as hidden only if they hold little of the page's text.

Labels of buttons that copy code are left out too.
"""

from typing import Final

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.extract.page.hashing import FNV_OFFSET, hash_table, look_up, mix
from corpusmill.stages.extract.page.names import region, tag_number
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
_LABELS: Final = ("copy", "copied", "copied!", "copy code", "copy to clipboard", "copy snippet")
COPY_LABELS: Final = hash_table(dict.fromkeys(_LABELS, 1))
LONGEST_LABEL: Final = max(map(len, _LABELS))
NEAR: Final = 3  # levels up to an element of controls
BUTTON, CONTROLS = tag_number("button"), region("button")


def shown(
    text: NDArray[np.uint8],
    blocks: NDArray[np.int32],
    levels: NDArray[np.uint8],
    elements: NDArray[np.int32],
) -> NDArray[np.bool_]:
    """Which blocks to keep."""
    if not blocks[:, HIDDEN].any():
        kept = np.ones(len(blocks), np.bool_)
    else:
        hidden, faint = blocks[:, HIDDEN] % FAINT, blocks[:, HIDDEN] >= FAINT
        free = np.where(blocks[:, TITLE], 0, blocks[:, CHARACTERS] - blocks[:, LINK_CHARACTERS])
        level = 0
        while (out := free[hidden > level].sum()) > free[hidden <= level].sum() and out >= A_PAGE:
            level += 1
        kept = hidden <= level
        if free[kept & faint].sum() <= LITTLE * free[kept].sum():
            kept &= ~faint
    _leave_labels(text, blocks, levels, elements, kept)
    return kept


@njit
def _leave_labels(
    text: NDArray[np.uint8],
    blocks: NDArray[np.int32],
    levels: NDArray[np.uint8],
    elements: NDArray[np.int32],
    kept: NDArray[np.bool_],
) -> None:
    """Leave out the labels of buttons that copy code."""
    for number in range(blocks.shape[0]):
        block = blocks[number]
        if (
            block[END] - block[BEGIN] <= LONGEST_LABEL
            and not block[PREFORMATTED]
            and (elements[block[ELEMENT], TAG] == BUTTON or levels[number, CONTROLS] < NEAR)
        ):
            code = FNV_OFFSET
            for place in range(block[BEGIN], block[END]):
                byte = text[place]
                code = mix(code, byte | 32 if 65 <= byte <= 90 else byte)
            if look_up(COPY_LABELS, code) >= 0:
                kept[number] = False
