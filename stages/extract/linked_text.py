"""The links of a page's main content.

A link counts if its text is main content. A link without text, such as a picture's, has no place
there.
"""

import numpy as np
from corpusmill.stages.extract.links import LONGEST
from corpusmill.stages.extract.page.page import (
    ADDRESS_BEGIN,
    ADDRESS_END,
    BEGIN,
    END,
    LINK_PLACE,
)
from numpy.typing import NDArray

MOST = 10_000  # links of a page that are looked at


def written(
    data: bytes,
    links: NDArray[np.int32],
    blocks: NDArray[np.int32],
    chosen: NDArray[np.bool_],
) -> list[str]:
    """The addresses of the links whose text stands in a chosen block. data: the page."""
    if not len(links):
        return []
    places = links[:, LINK_PLACE]
    block = blocks[:, BEGIN].searchsorted(places, "right") - 1
    inside = chosen[block] & (block >= 0) & (places < blocks[:, END][block])
    spans = links[inside][:MOST, ADDRESS_BEGIN : ADDRESS_END + 1].tolist()
    return [
        address.decode("utf-8", "replace")
        for address in dict.fromkeys(
            data[begin:end] for begin, end in spans if end - begin <= LONGEST
        )
    ]
