"""Digits and separators in other forms of the same signs: full-width at signs and digits, digits
of other scripts, hyphens that do not break, dashes and blanks between the groups of a number.

The other kernels and the patterns know ASCII. So a column that has other forms is searched in a
copy in which they stand as ASCII (`stages.redact.forms`).
"""

from typing import NamedTuple

import numpy as np
from corpusmill.stages.columns.strings import Strings
from numpy.typing import NDArray


class Folded(NamedTuple):
    """A string column in ASCII forms.

    ends: for each sign that was changed, the place behind it. removed: by how many bytes the column
    is shorter up to there. first: where the bytes of the column as it came begin.
    """

    strings: Strings
    ends: NDArray[np.int64]
    removed: NDArray[np.int64]
    first: int = 0

    def place(self, at: int) -> int:
        """Where a byte of this column stands in the column as it came."""
        changed = int(np.searchsorted(self.ends, at, side="right"))
        return self.first + at + (int(self.removed[changed - 1]) if changed else 0)


def folded(strings: Strings) -> Folded:
    """The column with these forms as ASCII; the column itself if it has none."""
    from corpusmill.stages.redact.forms import find_forms

    data, offsets = strings
    first, last = int(offsets[0]), int(offsets[-1])
    leads = np.flatnonzero(data[first:last] >= 0xC2)  # of characters beyond ASCII
    begins, signs = np.empty(leads.size, np.int64), np.empty(leads.size, np.int64)
    count = find_forms(data, first, last, leads, begins, signs)
    begins, signs = begins[:count], signs[:count]
    if not count:
        return Folded(strings, begins, signs)
    behind = begins + np.where(data[begins] < 0xE0, 2, 3)
    bytes_of = data.data
    pieces: list[bytes | memoryview] = []
    at = first
    for begin, end, sign in zip(begins.tolist(), behind.tolist(), signs.tolist(), strict=True):
        pieces += [bytes_of[at:begin], bytes([sign]) if sign else b""]
        at = end
    copy = np.frombuffer(b"".join([*pieces, bytes_of[at:last]]), np.uint8)
    removed = np.cumsum(behind - begins - (signs > 0))
    # A sign lies in one text. So what is gone before a text is gone with the signs that end before.
    before = np.searchsorted(behind, offsets, side="right")
    shorter = np.concatenate(([0], removed))[before]
    return Folded(
        Strings(copy, offsets - first - shorter), behind - first - removed, removed, first
    )
