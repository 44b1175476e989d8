"""How documents fill training sequences: which piece of which document stands in which row.

A row has room for T + 1 tokens: T inputs, and T targets. `pad` starts every document on a row of
its own. `best_fit` lets documents share rows, and cuts none that fits into one: best-fit packing
(Ding et al. 2024, arXiv 2404.10830). In both, a document that is longer than a row is cut into full
rows and a rest. Two pieces overlap by one token: the last target of one is the first input of the
next. So every token but a document's first is a target once.

How many rows documents fill follows from their lengths alone, whatever their order. So the
catalogue counts the rows of each row group, and finds any row without packing those before it.
`concat` needs no plan: it cuts the stream of all tokens by arithmetic.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Pieces:
    """Pieces of documents, row by row."""

    documents: "NDArray[np.int64]"  # index of the document that each piece is of
    firsts: "NDArray[np.int64]"  # its first token, counted from the start of the document
    lengths: "NDArray[np.int64]"
    row_starts: "NDArray[np.int64]"  # where the pieces of each row begin, and the end

    def documents_before(self, row: int) -> int:
        """How many different documents have a piece in the rows before `row`."""
        return len(np.unique(self.documents[: self.row_starts[row]]))


def cut_chance(lengths: "NDArray[np.int64]", sequence_length: int) -> "NDArray[np.float64]":
    """How likely packing `concat` cuts a document of each length.

    It starts at any of T places in a row alike, and lies whole in T + 2 - length of them.
    """
    return np.clip((lengths - 2) / sequence_length, 0, 1)


def padded_rows(lengths: "NDArray[np.int64]", sequence_length: int) -> "NDArray[np.int64]":
    """Rows that each document needs if it starts on its own row. At least one.

    A document's targets are its tokens but the first.
    """
    return np.maximum(1, -(-(lengths - 1) // sequence_length))


def padded(lengths: "NDArray[np.int64]", sequence_length: int) -> Pieces:
    """Packing `pad`: a piece a row, in the order of the documents."""
    rows = padded_rows(lengths, sequence_length)
    starts = np.concatenate([[0], np.cumsum(rows)])
    documents = np.repeat(np.arange(len(lengths)), rows)
    firsts = (np.arange(len(documents)) - starts[documents]) * sequence_length
    taken = np.minimum(lengths[documents] - firsts, sequence_length + 1)
    return Pieces(documents, firsts, taken, np.arange(len(documents) + 1))


def fitted_rows(lengths: "NDArray[np.int64]", sequence_length: int) -> int:
    """Rows that packing `best_fit` makes of documents of these lengths."""
    full, rest = _cut(lengths, sequence_length)
    return int(full.sum()) + best_fit(rest[rest > 0], sequence_length + 1)[1]


def fitted(
    lengths: "NDArray[np.int64]", groups: "NDArray[np.int64]", sequence_length: int
) -> Pieces:
    """Packing `best_fit`: full rows of long documents first, then the rows that documents share.

    groups: the row group of each document. Documents of two row groups share no row. In a row,
    pieces stand in the order of the documents. Empty documents have no piece.
    """
    full, rest = _cut(lengths, sequence_length)
    long = np.repeat(np.arange(len(lengths)), full)
    number = np.arange(len(long)) - np.repeat(np.cumsum(full) - full, full)
    rows = len(long)
    row_of_rest = np.zeros(len(lengths), dtype=np.int64)
    for group in np.unique(groups):
        here = np.flatnonzero((groups == group) & (rest > 0))
        row_of_rest[here], count = best_fit(rest[here], sequence_length + 1)
        row_of_rest[here] += rows
        rows += count
    short = np.flatnonzero(rest > 0)
    row_of = np.concatenate([np.arange(len(long)), row_of_rest[short]])
    order = np.argsort(row_of, kind="stable")
    return Pieces(
        np.concatenate([long, short])[order],
        np.concatenate([number, full[short]])[order] * sequence_length,
        np.concatenate([np.full(len(long), sequence_length + 1), rest[short]])[order],
        np.concatenate([[0], np.cumsum(np.bincount(row_of, minlength=rows))]),
    )


def in_order(pieces: Pieces, rows: "NDArray[np.int64]") -> Pieces:
    """The same rows in another order. rows: which row comes first, second, third..."""
    counts = np.diff(pieces.row_starts)[rows]
    starts = np.concatenate([[0], np.cumsum(counts)])
    chosen = np.arange(starts[-1]) + np.repeat(pieces.row_starts[rows] - starts[:-1], counts)
    return Pieces(pieces.documents[chosen], pieces.firsts[chosen], pieces.lengths[chosen], starts)


def best_fit(sizes: "NDArray[np.int64]", room: int) -> "tuple[NDArray[np.int64], int]":
    """The bin of each size, and how many bins there are. No size is larger than `room`.

    Best fit, decreasing: from the largest size to the smallest, each goes into the bin where it
    leaves the least room, and into a new one if it fits into none.
    """
    bins = np.empty(len(sizes), dtype=np.int64)
    order = np.argsort(-sizes, kind="stable")
    open_bins: list[tuple[int, int]] = []  # (room left, bin), the fullest first
    count = 0
    for place, size in zip(order.tolist(), sizes[order].tolist(), strict=True):
        tightest = bisect_left(open_bins, (size, 0))
        if tightest < len(open_bins):
            left, number = open_bins.pop(tightest)
        else:
            left, number = room, count
            count += 1
        bins[place] = number
        if left > size:
            insort(open_bins, (left - size, number))
    return bins, count


def _cut(
    lengths: "NDArray[np.int64]", sequence_length: int
) -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
    """How many full rows each document fills alone, and how many tokens its last piece has."""
    full = padded_rows(lengths, sequence_length) - 1
    return full, lengths - full * sequence_length
