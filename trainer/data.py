"""From token shards to training batches: one global stream of rows of fixed length.

The stream is a pure function of its inputs. Only the seed and the list of shards set the order.
Every epoch permutes all row groups, and then the documents inside each window of a few row groups.
If the blend has phases, row groups of a phase stay together, and phases come in their order.
Row k of the stream can be computed on its own. So the whole state of a loader is one integer, and a
run can be resumed exactly at every step. Rank r of W takes the rows r mod W, whatever W was before.

Packing `concat` lays all documents end to end, epochs too, and cuts a row every `sequence_length`
tokens. Rows overlap by one token: the last target of one is the first input of the next. So no
token is lost and none is learnt twice. Packing `pad` starts every document on a row of its own, for
instruction pairs. Long documents are cut into several rows, short ones are padded.

A target counts in the loss unless it is padding, the first token of a document, or among its
`n_prompt` first tokens.

The idea is from Megatron-LM's sample index: a batch is a function of the samples consumed so far.
Permutations here are hashes, so no index is stored. Letters in tensor names: B rows, T time.
"""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.trainer.config import Packing
from corpusmill.trainer.token_shards import (
    IMAGE,
    LETTERS,
    Catalogue,
    RowGroup,
    held_out_mask,
    open_shard,
    padded_rows,
    read_group,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOWS_KEPT = 2  # decoded windows in memory: the current one, and the next that a row may reach


class DocumentSpan(NamedTuple):
    """A piece of a document inside a row: its tokens span[0] up to, but not including, span[1]."""

    id: str
    span: tuple[int, int]


@dataclass(frozen=True)
class PageImage:
    """The image of a row: a file, and where the letters stand in it, if that was asked for."""

    content: bytes
    letters: str = ""
    x: tuple[int, ...] = ()
    y: tuple[int, ...] = ()


@dataclass(frozen=True)
class Row:
    """One training sequence: T + 1 tokens, so T inputs and T targets."""

    tokens: "NDArray[np.int32]"  # (T + 1,)
    loss_mask: "NDArray[np.bool_]"  # (T,): whether each target tokens[1:] counts
    document_ids: "NDArray[np.int32]"  # (T,): document of each input tokens[:-1], 0, 1, 2...
    documents: tuple[DocumentSpan, ...]
    image: PageImage | None = None


@dataclass(frozen=True)
class _Window:
    """The documents of one window in their shuffled order, with tokens end to end."""

    ids: pa.Array
    tokens: "NDArray[np.int32]"
    starts: "NDArray[np.int64]"  # where each document starts in `tokens`, and the end
    prompts: "NDArray[np.int64]"
    row_starts: "NDArray[np.int64]"  # with packing pad: each document's first row, and the end
    images: pa.Table  # the documents' columns of images, as far as they are read

    def image(self, document: int) -> PageImage | None:
        """The image of a document, if it has one and it is read."""
        if not self.images.num_columns:
            return None
        row = self.images.slice(document, 1).to_pylist()[0]
        if row[IMAGE] is None:
            return None
        letters, x, y = (row.get(name) or () for name in LETTERS)
        return PageImage(row[IMAGE], letters or "", tuple(x), tuple(y))


class PackedStream:
    """The endless stream of rows over one side of a catalogue.

    Rows can be read in any order. One thread at a time may use it. shuffle_window: row groups whose
    documents are mixed with one another. They are in memory at a time. images: columns of images to
    read (`IMAGE`, `LETTERS`); with them, every document needs a row of its own.

    Raises CorpusmillError if images are read and documents share or fill several rows.
    """

    def __init__(
        self,
        corpus: Catalogue,
        seed: int,
        pack: Packing = "concat",
        shuffle_window: int = 8,
        held_out: bool = False,
        images: Sequence[str] = (),
    ) -> None:
        if images:
            _refuse_cut_images(corpus, pack)
        self.corpus = corpus
        self.images = tuple(images)
        self.seed = seed
        self.pack = pack
        self.held_out = held_out
        self.groups = corpus.held_out if held_out else corpus.training
        self.shuffle_window = shuffle_window
        self.epoch_tokens = sum(group.tokens for group in self.groups)
        self._sizes = np.array(
            [g.tokens if pack == "concat" else g.padded_rows for g in self.groups], dtype=np.int64
        )
        self._phases = np.array([group.phase for group in self.groups])
        # Where each window begins in the order of row groups, and the end. None has two phases.
        ends = np.cumsum(np.unique(self._phases, return_counts=True)[1]).tolist()
        self._bounds = [
            place
            for start, end in itertools.pairwise([0, *ends])
            for place in range(start, end, shuffle_window)
        ] + ends[-1:]
        self._plans: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        self._windows: dict[tuple[int, int], _Window] = {}

    @property
    def epoch_rows(self) -> int:
        """Rows that one epoch fills, rounded up."""
        size = int(self._sizes.sum())
        return size if self.pack == "pad" else -(-size // self.corpus.sequence_length)

    def row(self, index: int) -> Row:
        """Row `index` of the stream: 0, 1, 2... through all epochs."""
        return self._concatenated_row(index) if self.pack == "concat" else self._padded_row(index)

    def documents_of(self, sequence_index: int) -> list[DocumentSpan]:
        """The pieces of documents in row `sequence_index`, in order."""
        return list(self.row(sequence_index).documents)

    def documents_before(self, row: int) -> int:
        """How many different documents have tokens in the rows before `row`."""
        if row <= 0:
            return 0
        if self._position(row)[0]:
            return sum(group.documents for group in self.groups)
        number, begun, _ = self._reached(row)
        order, _ = self._plan(0)
        return begun + self._documents_in(order[: self._bounds[number]])

    def documents_from(self, row: int) -> int:
        """How many documents have no token in the rows before `row`."""
        if row <= 0:
            return sum(group.documents for group in self.groups)
        if self._position(row)[0]:
            return 0
        number, _, left = self._reached(row)
        order, _ = self._plan(0)
        return left + self._documents_in(order[self._bounds[number + 1] :])

    def _position(self, row: int) -> tuple[int, int]:
        """The epoch in which `row` begins, and its position there: in tokens, or rows with pad."""
        begins = row if self.pack == "pad" else row * self.corpus.sequence_length
        return divmod(begins, int(self._sizes.sum()))

    def _reached(self, row: int) -> tuple[int, int, int]:
        """(window in which `row` begins, its documents that began before the row, the others)."""
        number, window, inside = self._locate(*self._position(row))
        starts = window.row_starts if self.pack == "pad" else window.starts
        # A row's last target is the first token of the next row.
        last_target = 0 if self.pack == "pad" else 1
        begun = int(np.searchsorted(starts[:-1], inside + last_target, side="left"))
        return number, begun, len(window.ids) - begun

    def _documents_in(self, groups: "NDArray[np.int64]") -> int:
        return sum(self.groups[group].documents for group in groups)

    def _concatenated_row(self, index: int) -> Row:
        length = self.corpus.sequence_length
        epoch, offset = divmod(index * length, int(self._sizes.sum()))
        tokens = np.empty(length + 1, dtype=np.int32)
        counted = np.empty(length + 1, dtype=np.bool_)
        owners = np.empty(length + 1, dtype=np.int32)
        spans: list[DocumentSpan] = []
        filled = 0
        while filled <= length:
            number, window, offset = self._locate(epoch, offset)
            document = int(np.searchsorted(window.starts, offset, side="right")) - 1
            while filled <= length and offset < window.starts[-1]:
                start, stop = int(window.starts[document]), int(window.starts[document + 1])
                taken = min(stop - offset, length + 1 - filled)
                if taken:
                    first = offset - start
                    here = slice(filled, filled + taken)
                    tokens[here] = window.tokens[offset : offset + taken]
                    counted[here] = np.arange(first, first + taken) >= max(
                        1, window.prompts[document]
                    )
                    owners[here] = len(spans)
                    spans.append(DocumentSpan(window.ids[document].as_py(), (first, first + taken)))
                filled, offset, document = filled + taken, offset + taken, document + 1
            epoch, offset = self._next_window(epoch, number)
        return Row(tokens, counted[1:], owners[:-1], tuple(spans))

    def _padded_row(self, index: int) -> Row:
        length = self.corpus.sequence_length
        epoch, offset = divmod(index, int(self._sizes.sum()))
        _, window, offset = self._locate(epoch, offset)
        document = int(np.searchsorted(window.row_starts, offset, side="right")) - 1
        start, stop = int(window.starts[document]), int(window.starts[document + 1])
        first = (offset - int(window.row_starts[document])) * length
        taken = min(stop - start - first, length + 1)
        tokens = np.zeros(length + 1, dtype=np.int32)
        tokens[:taken] = window.tokens[start + first : start + first + taken]
        position = np.arange(first, first + length + 1)
        counted = (position >= max(1, window.prompts[document])) & (position < first + taken)
        # Padding counts as a document of its own.
        owners = (position >= first + taken).astype(np.int32)
        return Row(
            tokens,
            counted[1:],
            owners[:-1],
            (DocumentSpan(window.ids[document].as_py(), (first, first + taken)),),
            window.image(document),
        )

    def _plan(self, epoch: int) -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
        """The order of row groups in an epoch, and where each window begins.

        Positions are in tokens, or in rows with packing pad.
        """
        if epoch not in self._plans:
            order = _permutation(len(self.groups), self.seed, epoch, 0)
            order = order[np.argsort(self._phases[order], kind="stable")]
            sums = np.add.reduceat(self._sizes[order], self._bounds[:-1])
            self._plans = {key: plan for key, plan in self._plans.items() if key == epoch - 1}
            self._plans[epoch] = order, np.concatenate([[0], np.cumsum(sums)])
        return self._plans[epoch]

    def _locate(self, epoch: int, offset: int) -> tuple[int, _Window, int]:
        """Position `offset` of an epoch as (number of its window, the window, position in it)."""
        _, begins = self._plan(epoch)
        number = int(np.searchsorted(begins, offset, side="right")) - 1
        return number, self._window(epoch, number), offset - int(begins[number])

    def _next_window(self, epoch: int, number: int) -> tuple[int, int]:
        _, begins = self._plan(epoch)
        return (epoch + 1, 0) if number + 2 == len(begins) else (epoch, int(begins[number + 1]))

    def _window(self, epoch: int, number: int) -> _Window:
        key = (epoch, number)
        if key not in self._windows:
            order, _ = self._plan(epoch)
            chosen = order[self._bounds[number] : self._bounds[number + 1]]
            window = self._read_window([self.groups[group] for group in chosen], epoch, number)
            while len(self._windows) >= WINDOWS_KEPT:
                self._windows.pop(next(iter(self._windows)))
            self._windows[key] = window
        return self._windows[key]

    def _read_window(self, groups: list[RowGroup], epoch: int, number: int) -> _Window:
        tables = []
        for group in groups:
            path = self.corpus.shards[group.shard]
            with open_shard(path) as file:
                table = read_group(file, path, group.ordinal, self.images)
            held = held_out_mask(table, self.corpus.eval_fraction)
            tables.append(table.filter(pa.array(held if self.held_out else ~held)))
        table = pa.concat_tables(tables)
        table = table.take(pa.array(_permutation(table.num_rows, self.seed, epoch, number + 1)))
        lists = table["tokens"].combine_chunks()
        lengths = pc.list_value_length(lists).to_numpy().astype(np.int64)
        rows = padded_rows(lengths, self.corpus.sequence_length)
        return _Window(
            ids=table["id"].combine_chunks(),
            tokens=lists.flatten().to_numpy(),
            starts=np.concatenate([[0], np.cumsum(lengths)]),
            prompts=table["n_prompt"].to_numpy().astype(np.int64),
            row_starts=np.concatenate([[0], np.cumsum(rows)]),
            images=table.select(self.images),
        )


def _refuse_cut_images(corpus: Catalogue, pack: Packing) -> None:
    """Raises CorpusmillError if a row could hold a part of an image's tokens."""
    if pack != "pad":
        raise CorpusmillError(
            "documents with images cannot share a training sequence", "set train.pack to pad"
        )
    longest = max(group.longest for group in (*corpus.training, *corpus.held_out))
    if longest > corpus.sequence_length + 1:
        raise CorpusmillError(
            f"a document has {longest} tokens, and where images are read each must fit into a "
            f"training sequence (train.sequence_length {corpus.sequence_length})",
            f"set train.sequence_length to {longest - 1}, draw smaller pages, or pack no longer "
            "texts",
        )


def rows_of_step(
    stream: PackedStream, step: int, batch_size: int, rank: int = 0, world_size: int = 1
) -> Iterator[Row]:
    """The rows that rank `rank` of `world_size` trains on in step `step`.

    They are the rows of the global batch whose index is `rank` mod `world_size`. Raises
    CorpusmillError if the global batch cannot be shared evenly.
    """
    if batch_size % world_size:
        raise CorpusmillError(
            f"a batch of {batch_size} sequences cannot be shared by {world_size} ranks",
            "make batch_size a multiple of the number of ranks",
        )
    for index in range(step * batch_size + rank, (step + 1) * batch_size, world_size):
        yield stream.row(index)


def _permutation(size: int, seed: int, epoch: int, stream: int) -> "NDArray[np.int64]":
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
