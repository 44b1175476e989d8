"""A block of texts, and the arrays in which the kernels work on it."""

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from corpusmill.stages.filter.measure.view import Structure
else:
    Structure = Any

# Bytes of text at a time, so that the kernels' arrays stay in the caches.
BLOCK_BYTES: Final = 512 << 10

# Arrays that kernels write to, kept from call to call. Fresh pages from the system would take a
# tenth of the time.
_kept = threading.local()


class Block(NamedTuple):
    """Some texts, and what the kernels find in them. The kernel that fills an array stands in
    brackets.

    texts: how many. begins: where each begins in `data`, and where the last one's room ends. data:
    the bytes of their views (lay_out, find_structure). source: the lines as they came, and the
    sizes of the views (find_structure). apart: counts of what is set apart (find_structure). bits,
    edges, lines, text_lines (mark_bytes).
    hashes, sums, hard (hash_parts). line_hashes (hash_lines). cuts, kinds (cut_parts). tokens,
    reach, text_tokens, line_counts (measure_tokens).
    """

    texts: int
    begins: NDArray[np.int64]
    data: NDArray[np.uint8]
    source: Structure
    apart: NDArray[np.int64]
    bits: NDArray[np.uint64]
    edges: NDArray[np.int32]
    lines: NDArray[np.int32]
    text_lines: NDArray[np.int32]
    hashes: NDArray[np.uint64]
    sums: NDArray[np.uint64]
    hard: NDArray[np.int32]
    line_hashes: NDArray[np.uint64]
    cuts: NDArray[np.int32]
    kinds: NDArray[np.int32]
    tokens: NDArray[np.uint64]
    reach: NDArray[np.int32]
    text_tokens: NDArray[np.int32]
    line_counts: NDArray[np.int32]


class Written(NamedTuple):
    """The edited texts: their bytes, and where each begins, and the last one ends. cuts: for each
    piece that was cut, the number of its text, its first byte and the byte behind it (3 x cuts).
    """

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    cuts: NDArray[np.int64]


def blocks(offsets: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Runs of texts of about BLOCK_BYTES, with the space that `lay_out` puts between them. A longer
    text is a run of its own.
    """
    first, texts = 0, offsets.size - 1
    places = offsets + 64 * np.arange(offsets.size)
    while first < texts:
        last = int(np.searchsorted(places, places[first] + BLOCK_BYTES, side="right")) - 1
        last = min(max(last, first + 1), texts)
        yield first, last
        first = last


def kept_array(name: str, dtype: Any, *shape: int) -> NDArray[Any]:
    """An array of this shape and some more, since kernels load several bytes at a time.

    It holds values left from before. An array that is larger than a block needs is not kept.
    """
    *rows, length = shape
    if length > 8 * BLOCK_BYTES:
        return np.empty((*rows, length + 128), dtype)
    room = _kept.__dict__.setdefault("room", {})
    if name not in room or room[name].shape[-1] < length + 128:
        room[name] = np.empty((*rows, max(length + 128, 2 * BLOCK_BYTES + 192)), dtype)
    return room[name]


def known_parts() -> NDArray[np.uint64]:
    from corpusmill.stages.filter.measure.known_parts import nothing_known

    if not hasattr(_kept, "known"):
        _kept.known = nothing_known()
    return _kept.known
