"""Windows: the documents of a few row groups, decoded, shuffled, and packed into rows.

A window is all that the stream has in memory. Permutations are hashes, so none is stored.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.trainer.config import Packing
from corpusmill.trainer.packing import Pieces, fitted, in_order, padded
from corpusmill.trainer.rows import PageImage, Piece
from corpusmill.trainer.token_shards import (
    IMAGE,
    LETTERS,
    Catalogue,
    RowGroup,
    held_out_mask,
    open_shard,
    read_group,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Window:
    """The documents of one window in their shuffled order, with tokens end to end."""

    ids: pa.Array
    tokens: "NDArray[np.int32]"
    starts: "NDArray[np.int64]"  # where each document starts in `tokens`, and the end
    prompts: "NDArray[np.int64]"
    images: pa.Table  # the documents' columns of images, as far as they are read
    rows: Pieces | None  # what each row holds; None with packing concat

    def piece(self, document: int, first: int, length: int) -> Piece:
        """`length` tokens of a document, from its token `first` on."""
        begin = int(self.starts[document]) + first
        return Piece(
            self.ids[document].as_py(),
            first,
            int(self.prompts[document]),
            self.tokens[begin : begin + length],
            self._image(document),
        )

    def _image(self, document: int) -> PageImage | None:
        """The image of a document, if it has one and it is read."""
        if not self.images.num_columns:
            return None
        row = self.images.slice(document, 1).to_pylist()[0]
        if row[IMAGE] is None:
            return None
        letters, x, y = (row.get(name) or () for name in LETTERS)
        return PageImage(row[IMAGE], letters or "", tuple(x), tuple(y))


def read_window(
    corpus: Catalogue,
    groups: Sequence[RowGroup],
    held_out: bool,
    pack: Packing,
    images: Sequence[str],
    shuffle: tuple[int, int, int],
) -> Window:
    """Decode the row groups' documents of one side of the held-out split, and shuffle them.

    images: columns of images to read. shuffle: seed, epoch and number of the window.
    """
    seed, epoch, number = shuffle
    tables = []
    for group in groups:
        path = corpus.shards[group.shard]
        with open_shard(path) as file:
            table = read_group(file, path, group.ordinal, images)
        held = held_out_mask(table, corpus.eval_fraction)
        tables.append(table.filter(pa.array(held if held_out else ~held)))
    group_of = np.repeat(np.arange(len(tables)), [table.num_rows for table in tables])
    order = permutation(len(group_of), seed, epoch, number + 1)
    table = pa.concat_tables(tables).take(pa.array(order))
    lists = table["tokens"].combine_chunks()
    lengths = pc.list_value_length(lists).to_numpy().astype(np.int64)
    rows = None
    if pack == "pad":
        rows = padded(lengths, corpus.sequence_length)
    elif pack == "best_fit":
        rows = fitted(lengths, group_of[order], corpus.sequence_length)
        count = len(rows.row_starts) - 1
        rows = in_order(rows, permutation(count, seed, epoch, -(number + 1)))
    return Window(
        ids=table["id"].combine_chunks(),
        tokens=lists.flatten().to_numpy(),
        starts=np.concatenate([[0], np.cumsum(lengths)]),
        prompts=table["n_prompt"].to_numpy().astype(np.int64),
        images=table.select(images),
        rows=rows,
    )


def permutation(size: int, seed: int, epoch: int, stream: int) -> "NDArray[np.int64]":
    """A permutation of 0..size-1, from a hash of (seed, epoch, stream, element).

    It is the same on every machine.
    """
    start = hashlib.blake2b(f"{seed}/{epoch}/{stream}".encode(), digest_size=8).digest()
    keys = _mix(np.arange(size, dtype=np.uint64) + np.uint64(int.from_bytes(start, "big") >> 1))
    return np.argsort(keys, kind="stable")


def _mix(values: "NDArray[np.uint64]") -> "NDArray[np.uint64]":
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014): a bijection of 64-bit integers.

    Its results look random.
    """
    values = values * np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
