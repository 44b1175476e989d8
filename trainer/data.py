"""From token shards to training batches: one global stream of rows of fixed length.

The stream is a pure function of its inputs. Only the seed and the list of shards set the order.
Every epoch permutes all row groups, and then the documents inside each window of a few row groups.
If the blend has phases, row groups of a phase stay together, and phases come in their order.
Row k of the stream can be computed on its own. So the whole state of a loader is one integer, and a
run can be resumed exactly at every step. Rank r of W takes the rows r mod W, whatever W was before.

Packing `concat` lays all documents end to end, epochs too, and cuts a row every `sequence_length`
tokens. Rows overlap by one token: the last target of one is the first input of the next. So no
token is lost and none is learnt twice. With `pad` and `best_fit` (`trainer.packing`) a row group
fills whole rows. With `best_fit`, the rows of a window are shuffled too.

The idea is from Megatron-LM's sample index: a batch is a function of the samples consumed so far.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.trainer.config import Packing
from corpusmill.trainer.rows import DocumentSpan, Row, join
from corpusmill.trainer.token_shards import Catalogue
from corpusmill.trainer.windows import Window, permutation, read_window

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOWS_KEPT = 2  # decoded windows in memory: the current one, and the next that a row may reach


class PackedStream:
    """The endless stream of rows over one side of a catalogue.

    Rows can be read in any order. One thread at a time may use it. shuffle_window: row groups whose
    documents are mixed with one another. They are in memory at a time. images: columns of images to
    read (`IMAGE`, `LETTERS`). With them, a row holds whole documents, so `pack` is not concat.

    Raises CorpusmillError if images are read and a document is longer than a row.
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
            assert pack != "concat", "settings refuse it: it cuts anywhere"
            _refuse_cut_images(corpus)
        self.corpus = corpus
        self.images = tuple(images)
        self.seed = seed
        self.pack = pack
        self.held_out = held_out
        self.groups = corpus.held_out if held_out else corpus.training
        self.shuffle_window = shuffle_window
        self.epoch_tokens = sum(group.tokens for group in self.groups)
        self._sizes = np.array([group.size(pack) for group in self.groups], dtype=np.int64)
        self._phases = np.array([group.phase for group in self.groups])
        # Where each window begins in the order of row groups, and the end. None has two phases.
        ends = np.cumsum(np.unique(self._phases, return_counts=True)[1]).tolist()
        self._bounds = [
            place
            for start, end in itertools.pairwise([0, *ends])
            for place in range(start, end, shuffle_window)
        ] + ends[-1:]
        self._plans: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        self._windows: dict[tuple[int, int], Window] = {}

    @property
    def epoch_rows(self) -> int:
        """Rows that one epoch fills, rounded up."""
        size = int(self._sizes.sum())
        return -(-size // self.corpus.sequence_length) if self.pack == "concat" else size

    def row(self, index: int) -> Row:
        """Row `index` of the stream: 0, 1, 2... through all epochs."""
        return self._concatenated_row(index) if self.pack == "concat" else self._planned_row(index)

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
        """The epoch in which `row` begins, and its position there: in tokens with concat, else in
        rows.
        """
        begins = row * self.corpus.sequence_length if self.pack == "concat" else row
        return divmod(begins, int(self._sizes.sum()))

    def _reached(self, row: int) -> tuple[int, int, int]:
        """(window in which `row` begins, its documents in rows before, the others)."""
        number, window, inside = self._locate(*self._position(row))
        if window.rows is not None:
            begun = window.rows.documents_before(inside)
        else:  # A row's last target is the first token of the next row.
            begun = int(np.searchsorted(window.starts[:-1], inside + 1, side="left"))
        return number, begun, len(window.ids) - begun

    def _documents_in(self, groups: "NDArray[np.int64]") -> int:
        return sum(self.groups[group].documents for group in groups)

    def _concatenated_row(self, index: int) -> Row:
        length = self.corpus.sequence_length
        epoch, offset = self._position(index)
        pieces = []
        missing = length + 1
        while missing:
            number, window, offset = self._locate(epoch, offset)
            document = int(np.searchsorted(window.starts, offset, side="right")) - 1
            while missing and offset < window.starts[-1]:
                start, stop = int(window.starts[document]), int(window.starts[document + 1])
                taken = min(stop - offset, missing)
                if taken:
                    pieces.append(window.piece(document, offset - start, taken))
                missing, offset, document = missing - taken, offset + taken, document + 1
            epoch, offset = self._next_window(epoch, number)
        return join(pieces, length)

    def _planned_row(self, index: int) -> Row:
        _, window, row = self._locate(*self._position(index))
        assert window.rows is not None
        rows = window.rows
        here = slice(*rows.row_starts[row : row + 2].tolist())
        columns = (rows.documents[here], rows.firsts[here], rows.lengths[here])
        places = zip(*(column.tolist() for column in columns), strict=True)
        return join([window.piece(*place) for place in places], self.corpus.sequence_length)

    def _plan(self, epoch: int) -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
        """The order of row groups in an epoch, and where each window begins.

        Positions are in tokens with packing concat, else in rows.
        """
        if epoch not in self._plans:
            order = permutation(len(self.groups), self.seed, epoch, 0)
            order = order[np.argsort(self._phases[order], kind="stable")]
            sums = np.add.reduceat(self._sizes[order], self._bounds[:-1])
            self._plans = {key: plan for key, plan in self._plans.items() if key == epoch - 1}
            self._plans[epoch] = order, np.concatenate([[0], np.cumsum(sums)])
        return self._plans[epoch]

    def _locate(self, epoch: int, offset: int) -> tuple[int, Window, int]:
        """Position `offset` of an epoch as (number of its window, the window, position in it)."""
        _, begins = self._plan(epoch)
        number = int(np.searchsorted(begins, offset, side="right")) - 1
        return number, self._window(epoch, number), offset - int(begins[number])

    def _next_window(self, epoch: int, number: int) -> tuple[int, int]:
        _, begins = self._plan(epoch)
        return (epoch + 1, 0) if number + 2 == len(begins) else (epoch, int(begins[number + 1]))

    def _window(self, epoch: int, number: int) -> Window:
        key = (epoch, number)
        if key not in self._windows:
            order, _ = self._plan(epoch)
            chosen = order[self._bounds[number] : self._bounds[number + 1]]
            window = read_window(
                self.corpus,
                [self.groups[group] for group in chosen],
                self.held_out,
                self.pack,
                self.images,
                (self.seed, epoch, number),
            )
            while len(self._windows) >= WINDOWS_KEPT:
                self._windows.pop(next(iter(self._windows)))
            self._windows[key] = window
        return self._windows[key]


def _refuse_cut_images(corpus: Catalogue) -> None:
    """Raises CorpusmillError if a document is longer than a row, which would cut it."""
    groups = (*corpus.training, *corpus.held_out)
    longer = sum(group.longer for group in groups)
    if longer:
        longest, room = max(group.longest for group in groups), corpus.sequence_length + 1
        raise CorpusmillError(
            f"{longer} of {sum(group.documents for group in groups)} documents have more than "
            f"{room} tokens, the longest {longest}, and where images are read each must fit into a "
            f"training sequence (train.sequence_length {corpus.sequence_length})",
            f"set train.sequence_length to {longest - 1}, or pack again with "
            f"max_document_tokens: {room}, which parts longer texts and excludes longer images",
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
