"""How tags nest, as two tables: which open tags a start tag closes, and how far an end tag reaches.

Both are searched from the innermost open tag outwards. For each open tag, the row of the new tag
says: go on, close up to here, or stop. They are reduced from the HTML standard's tree construction
(13.2.6.4.7 and the insertion modes of tables).
"""

from typing import Final

import numpy as np
from corpusmill.stages.extract.page.names import BLOCK, SCOPE, TAG_FLAGS, TAG_NAMES, tag_number
from numpy.typing import NDArray

GO_ON: Final = 0
CLOSE: Final = 1
STOP: Final = 2

_HEADINGS: Final = "h1 h2 h3 h4 h5 h6"
_APART: Final = "noscript template object"  # what is inside does not close what is outside
# Start tags -> the tags that they close, and the tags at which the search stops, besides _APART.
_IMPLIED_ENDS: Final = {
    "p": ("p", "button td th caption table"),
    "li": ("li", "ul ol menu dir table td"),
    "dd dt": ("dd dt", "dl table td"),
    "option optgroup": ("option", "select table"),
    "tr": ("tr", "table"),
    "td th": ("td th", "tr table"),
    "tbody thead tfoot": ("tbody thead tfoot", "table"),
    "a": ("a", "td th caption table"),
    "rt rp rb": ("rt rp rb", "ruby p td th caption table"),
}
# End tags -> the tags at which the search stops. Other block tags stop at SCOPE, inline tags at any
# block tag.
_REACH: Final = {
    "table tr tbody thead tfoot": "table",
    "td th": "table tr",
    "li": "ul ol menu dir table td th caption",
    "noscript template object": "table td th caption",
}

Table = NDArray[np.uint8]


def _implied_ends() -> Table:
    rows = np.full((len(TAG_NAMES) + 1, len(TAG_NAMES) + 1), STOP, np.uint8)
    for names, (closed, barriers) in _IMPLIED_ENDS.items():
        for name in names.split():
            rows[tag_number(name)] = GO_ON
            rows[tag_number(name), _numbers(f"{barriers} {_APART}")] = STOP
            rows[tag_number(name), _numbers(closed)] = CLOSE
    for heading in _numbers(_HEADINGS):
        rows[heading, _numbers(_HEADINGS)] = CLOSE
    return rows


def _reach() -> Table:
    flags = TAG_FLAGS
    rows = np.full((len(TAG_NAMES) + 1, len(TAG_NAMES) + 1), GO_ON, np.uint8)
    for number in range(len(TAG_NAMES) + 1):
        rows[number, (flags & (SCOPE if flags[number] & BLOCK else BLOCK)) != 0] = STOP
    for names, barriers in _REACH.items():
        for name in names.split():
            rows[tag_number(name)] = GO_ON
            rows[tag_number(name), _numbers(barriers)] = STOP
    for heading in _numbers(_HEADINGS):
        rows[heading, _numbers(_HEADINGS)] = CLOSE
    np.fill_diagonal(rows, CLOSE)
    return rows


def _numbers(names: str) -> list[int]:
    return [tag_number(name) for name in names.split()]


# By start tag and open tag. Every tag that closes an open paragraph has the row of `p`.
IMPLIED_ENDS: Final = _implied_ends()
REACH: Final = _reach()  # by end tag and open tag
