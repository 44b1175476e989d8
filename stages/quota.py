"""Which documents a quota takes: a seeded key for each id, and the key at which the quota ends.

A document's key is a hash of its id and the seed. So nothing else decides whether it is drawn,
and a larger quota draws the same documents and more. Two readings of a narrow table find the
end to within one document, without sorting the corpus. The first sums weights (tokens or bytes)
into 65,536 ranges of keys, and finds the range in which the quota ends. The second gathers that
range only, and finds the key. Memory does not grow with the corpus.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.schema import seed_for
from corpusmill.manifests.storage import Artifact
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


def read_weights(artifacts: Iterable[Artifact]) -> Iterator[Weights]:
    """The weights in files of `WEIGHED`."""
    for artifact in artifacts:
        for table in read_parquet(artifact, ["group", "key", "weight"]):
            yield table["group"].to_numpy(), table["key"].to_numpy(), table["weight"].to_numpy()


def draw(read: Callable[[], Iterator[Weights]], quotas: Mapping[int, int]) -> dict[int, Draw]:
    """The draw of each group: documents in the order of their keys, until the quota is full.

    read: gives all weights in pieces. It is called twice. Documents with the same key (copies of
    one id) are all taken, or none of them.
    """
    drawn = draw_each(read, {group: [quota] for group, quota in quotas.items()})
    return {group: found for group, (found,) in drawn.items()}


def draw_each(
    read: Callable[[], Iterator[Weights]], quotas: Mapping[int, Sequence[int]]
) -> dict[int, list[Draw]]:
    """As `draw`, with several quotas of each group."""
    ranges = {group: np.zeros((2, 1 << _RANGE_BITS), dtype=np.int64) for group in quotas}
    for groups, keys, weights in read():
        for group, sums in ranges.items():
            mine = groups == group
            np.add.at(sums[0], keys[mine] >> _SHIFT, weights[mine])
            np.add.at(sums[1], keys[mine] >> _SHIFT, 1)
    drawn: dict[int, list[Draw]] = {}
    # Group -> range in which a quota ends -> the keys and weights there.
    waiting: dict[int, dict[int, list[NDArray[np.int64]]]] = {group: {} for group in quotas}
    for group, sums in ranges.items():
        total, documents = np.cumsum(sums[0]), np.cumsum(sums[1])
        drawn[group] = []
        # The first range that does not fit whole.
        for last in np.searchsorted(total, quotas[group], side="right").tolist():
            if last == len(total):
                drawn[group].append(Draw(KEY_END, int(total[-1]), int(documents[-1])))
                continue
            before = (int(total[last - 1]), int(documents[last - 1])) if last else (0, 0)
            drawn[group].append(Draw(last << _SHIFT, *before))
            waiting[group][last] = []
    if any(waiting.values()):
        for groups, keys, weights in read():
            for group, parts in waiting.items():
                wanted = np.array(sorted(parts), dtype=np.int64)
                mine = (groups == group) & np.isin(keys >> _SHIFT, wanted)
                found = np.stack([keys[mine], weights[mine]])
                for last in np.unique(found[0] >> _SHIFT).tolist():
                    parts[last].append(found[:, found[0] >> _SHIFT == last])
    return {
        group: [
            start
            if start.threshold == KEY_END
            else _within(start, waiting[group][start.threshold >> _SHIFT], quota)
            for start, quota in zip(starts, quotas[group], strict=True)
        ]
        for group, starts in drawn.items()
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
