"""The order of a blend: every prefix has its shares, to within one document of each source.

A source's deficit is its share of all tokens so far, less its own tokens so far. Of the sources
with a deficit, the next document comes from the one that would first be a whole document behind.
To take the largest deficit each time is simpler, but lets a source fall 1.7 documents behind.
The rule is Tijdeman's for the chairman assignment problem (Discrete Mathematics 32, 1980), with
documents of different sizes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_ROUNDING = 1e-6  # tokens


def by_deficit(
    sources: NDArray[np.int64],
    sizes: NDArray[np.int64],
    shares: Sequence[float],
    taken: Sequence[int],
) -> NDArray[np.int64]:
    """The order in which documents are taken, as their numbers.

    sources: of each document, as a number. sizes: in tokens. shares: of each source, 1 together.
    taken: tokens that each source gave before. Documents of one source keep their order.
    """
    queues = [np.flatnonzero(sources == source).tolist() for source in range(len(shares))]
    weights, largest = sizes.tolist(), int(sizes.max(initial=1))
    given, total = list(taken), sum(taken)
    heads = [0] * len(queues)
    waiting = [source for source, queue in enumerate(queues) if queue]

    def deadline(source: int) -> float:
        """How many tokens there are when the source is a whole document behind."""
        share = shares[source]
        return (given[source] + largest) / share if share else float("inf")

    order = np.empty(len(weights), np.int64)
    for place in range(len(weights)):
        behind = [
            source for source in waiting if shares[source] * total - given[source] >= -_ROUNDING
        ]
        source = min(behind or waiting, key=deadline)
        document = queues[source][heads[source]]
        order[place] = document
        given[source] += weights[document]
        total += weights[document]
        heads[source] += 1
        if heads[source] == len(queues[source]):
            waiting.remove(source)
    return order
