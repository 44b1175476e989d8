"""Which documents a quota takes: a seeded key for each id, and the key at which the quota ends.

A document's key is a hash of its id and the seed. So nothing else decides whether it is drawn,
and a larger quota draws the same documents and more. Two readings of a narrow table find the
end to within one document, without sorting the corpus. The first sums weights (tokens or bytes)
into 65,536 ranges of keys, and finds the range in which the quota ends. The second gathers that
range only, and finds the key. Memory does not grow with the corpus.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from corpusmill.manifests.schema import seed_for
from numpy.typing import NDArray

KEY_BITS = 63
KEY_END = 1 << KEY_BITS  # every key is smaller
_RANGE_BITS = 16
_SHIFT = KEY_BITS - _RANGE_BITS

WEIGHED = pa.schema(
    [
        ("row", pa.int64()),  # ordinal of the document within what the shard reads
        ("group", pa.int16()),  # which quota claims it (a document has one row for each); -1: none
        ("key", pa.int64()),
        ("weight", pa.int64()),
        ("n_tokens", pa.int32()),
        ("text_bytes", pa.int64()),
        ("reason", pa.string()),  # why none claims it
        ("detail", pa.string()),
    ]
)

Weights = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]  # group, key, weight


@dataclass(frozen=True)
class Draw:
    """The documents with a key below `threshold`.

    weight: the sum of their weights, at most the quota. documents: how many they are.
    """

    threshold: int
    weight: int
    documents: int


def keys_of(ids: Iterable[str], seed: int, purpose: str = "draw") -> NDArray[np.int64]:
    """A key in [0, 2**63) for each id."""
    return np.fromiter((seed_for(purpose, seed, identity) for identity in ids), dtype=np.int64)


def draw(read: Callable[[], Iterator[Weights]], quotas: Mapping[int, int]) -> dict[int, Draw]:
    """The draw of each group: documents in the order of their keys, until the quota is full.

    read: gives all weights in pieces. It is called twice. Documents with the same key (copies of
    one id) are all taken, or none of them.
    """
    ranges = {group: np.zeros((2, 1 << _RANGE_BITS), dtype=np.int64) for group in quotas}
    for groups, keys, weights in read():
        for group, sums in ranges.items():
            mine = groups == group
            np.add.at(sums[0], keys[mine] >> _SHIFT, weights[mine])
            np.add.at(sums[1], keys[mine] >> _SHIFT, 1)
    before: dict[int, Draw] = {}
    waiting: dict[int, list[NDArray[np.int64]]] = {}
    for group, sums in ranges.items():
        total = np.cumsum(sums[0])
        # The first range that does not fit whole.
        last = int(np.searchsorted(total, quotas[group], side="right"))
        if last == len(total):
            before[group] = Draw(KEY_END, int(total[-1]), int(sums[1].sum()))
            continue
        before[group] = Draw(
            last << _SHIFT, int(total[last - 1]) if last else 0, int(sums[1][:last].sum())
        )
        waiting[group] = []
    if waiting:
        for groups, keys, weights in read():
            for group, parts in waiting.items():
                mine = (groups == group) & (keys >> _SHIFT == before[group].threshold >> _SHIFT)
                parts.append(np.stack([keys[mine], weights[mine]]))
    return {
        **before,
        **{group: _within(before[group], parts, quotas[group]) for group, parts in waiting.items()},
    }


def _within(start: Draw, parts: list[NDArray[np.int64]], quota: int) -> Draw:
    """Extend the draw into the range in which the quota ends."""
    keys, weights = np.concatenate(parts, axis=1)
    distinct, place = np.unique(keys, return_inverse=True)
    weight = np.zeros(len(distinct), dtype=np.int64)
    np.add.at(weight, place, weights)
    fits = int(np.searchsorted(start.weight + np.cumsum(weight), quota, side="right"))
    assert fits < len(distinct), "the range does not fit whole"
    taken = place < fits
    return Draw(
        int(distinct[fits]),
        start.weight + int(weights[taken].sum()),
        start.documents + int(taken.sum()),
    )
