"""Which windows of a text occur more than once, from its suffix array: the main kernel of
`stages.substring`.

A **window** is `length` bytes within one document. In the suffix array, equal windows stand side by
side. So a window also stands elsewhere if its suffix and the one before it in the array share their
first `length` bytes.

The phi algorithm counts how many bytes these two share: Kärkkäinen, Manzini, Puglisi 2009,
"Permuted longest-common-prefix array". In the order of the text, each suffix shares at most one
byte less with its neighbour than the suffix before it did. So the whole takes linear time, whatever
the text repeats. Places are linked to their neighbours, and a chain of links is a class. Only two
arrays of 32-bit numbers are held: nine bytes for each byte of text, itself included.
"""

from typing import Any, TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Positions: TypeAlias = NDArray[np.int32]
Offsets: TypeAlias = NDArray[np.int64]

LONGEST_TEXT = 2**31 - 1  # positions are 32-bit
UNIQUE = -1


def suffix_array(text: Bytes) -> Positions:
    """The beginnings of all suffixes of `text` (writable, at most LONGEST_TEXT bytes), in the order
    of their bytes.
    """
    from pydivsufsort import divsufsort

    assert len(text) <= LONGEST_TEXT
    return divsufsort(text) if len(text) else np.zeros(0, np.int32)


def window_classes(
    text: Bytes, offsets: Offsets, suffixes: Positions, length: int
) -> tuple[Positions, Positions]:
    """The class of the window at each place: int32[bytes].

    Places where the same window begins have the same number, below the number of bytes. UNIQUE
    stands where a window occurs once, and where the document has no `length` bytes left. Documents
    lie at `offsets`, one after the other.

    The classes reuse the memory of `suffixes`. The second array returned has no meaning: it is
    memory of the same size for the next step.
    """
    neighbours = np.empty_like(suffixes)
    if len(text):
        _neighbours(suffixes, neighbours)
        _link(text, neighbours, length, suffixes)
        neighbours.fill(0)
        _classify(offsets, length, suffixes, neighbours)
    return suffixes, neighbours


@njit(nogil=True)
def _neighbours(suffixes: Any, neighbours: Any) -> None:
    """For each suffix, in the order of the text: the suffix before it in the array."""
    neighbours[suffixes[0]] = -1
    for rank in range(1, len(suffixes)):
        neighbours[suffixes[rank]] = suffixes[rank - 1]


@njit(nogil=True)
def _link(text: Any, neighbours: Any, length: int, links: Any) -> None:
    """Link each place to its neighbour if their windows are the same, else to itself."""
    size = len(text)
    shared = 0
    for place in range(size):
        neighbour = neighbours[place]
        links[place] = place
        if neighbour < 0:
            shared = 0
            continue
        most = size - max(place, neighbour)
        while shared < most and text[place + shared] == text[neighbour + shared]:
            shared += 1
        if shared >= length:
            links[place] = neighbour
        shared = max(shared - 1, 0)


@njit(nogil=True)
def _classify(offsets: Any, length: int, links: Any, members: Any) -> None:
    """Replace each place's link by the end of its chain of links. members: zeros."""
    for document in range(len(offsets) - 1):
        for place in range(offsets[document], offsets[document + 1]):
            root = place
            while links[root] != root:
                links[root] = links[links[root]]  # halves the chain for later walks
                root = links[root]
            links[place] = root
            members[root] += place + length <= offsets[document + 1]
    for document in range(len(offsets) - 1):
        for place in range(offsets[document], offsets[document + 1]):
            if place + length > offsets[document + 1] or members[links[place]] < 2:
                links[place] = UNIQUE
