"""Batches for the training loop, made ahead of time by one background thread, or by processes.

Decoding a row of text is a few array copies. So one thread keeps any single GPU busy. Images take
more: half a millisecond each, and a GPU reads thousands a second. Processes share that work. The
copy to the GPU starts from pinned memory and never waits. Letters in tensor names: B rows, T time.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Protocol

import numpy as np
import torch
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.data import PackedStream, rows_of_step
from corpusmill.trainer.ranks import Ranks
from corpusmill.trainer.rows import Row, join
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

EXTRA_BATCHES_AHEAD = 2  # a tile of 448 pixels takes 0.6 MB, and a row may have dozens
BATCHES_AHEAD = 32  # enough to train on while the next window of documents is decoded


class RowExtras(Protocol):
    """What a batch's rows bring beside their tokens: images, or a teacher's targets."""

    @property
    def own_target_count(self) -> Tensor | None:
        """How many targets count, if they are its own. None: the tokens are the targets."""
        ...

    def to(self, device: torch.device) -> "RowExtras": ...

    def pin_memory(self) -> "RowExtras":
        """In page-locked memory."""
        ...

    def split(self, rows: int) -> "Iterator[RowExtras]":
        """In pieces of `rows` rows."""
        ...

    def with_room(self, rows: int) -> "RowExtras":
        """A copy into which those of other batches of `rows` rows fit, too."""
        ...

    def take(self, extras: "RowExtras") -> bool:
        """Copy others in place of its own, as far as they fit; whether they did."""
        ...


@dataclass(frozen=True)
class Batch:
    """One rank's rows of a global batch as tensors."""

    tokens: Tensor  # (B, T + 1) int64
    loss_mask: Tensor  # (B, T) bool: whether each target tokens[:, 1:] counts
    document_ids: Tensor  # (B, T) int32
    targets: Tensor  # () float32: how many targets count in the loss; may be 0
    extras: RowExtras | None = None

    def to(self, device: torch.device) -> "Batch":
        """The batch on `device`. If it is in pinned memory, this does not wait for the copy."""
        parts = (self.tokens, self.loss_mask, self.document_ids, self.targets)
        tokens, loss_mask, ids, targets = (part.to(device, non_blocking=True) for part in parts)
        extras = None if self.extras is None else self.extras.to(device)
        return Batch(tokens, loss_mask, ids, targets, extras)

    def pin_memory(self) -> "Batch":
        """The batch in page-locked memory."""
        parts = (self.tokens, self.loss_mask, self.document_ids, self.targets)
        tokens, loss_mask, ids, targets = (part.pin_memory() for part in parts)
        return Batch(tokens, loss_mask, ids, targets, self.extras and self.extras.pin_memory())

    def with_room(self) -> "Batch":
        """A copy that can take other batches of its shape."""
        parts = (self.tokens, self.loss_mask, self.document_ids, self.targets)
        tokens, loss_mask, ids, targets = (part.clone() for part in parts)
        extras = None if self.extras is None else self.extras.with_room(len(tokens))
        return Batch(tokens, loss_mask, ids, targets, extras)

    def take(self, batch: "Batch") -> bool:
        """Copy another batch in place of this one. False: it does not fit."""
        if batch.tokens.shape != self.tokens.shape:
            return False
        if self.extras is not None and (batch.extras is None or not self.extras.take(batch.extras)):
            return False
        self.tokens.copy_(batch.tokens)
        self.loss_mask.copy_(batch.loss_mask)
        self.document_ids.copy_(batch.document_ids)
        self.targets.copy_(batch.targets)
        return True

    def micro_batches(self, rows: int) -> "Iterator[Batch]":
        """The batch in pieces of `rows` rows. `targets` stays that of the whole batch."""
        count = -(-len(self.tokens) // rows)
        pieces = zip(
            self.tokens.split(rows),
            self.loss_mask.split(rows),
            self.document_ids.split(rows),
            [None] * count if self.extras is None else self.extras.split(rows),
            strict=True,
        )
        for tokens, loss_mask, document_ids, extras in pieces:
            yield Batch(tokens, loss_mask, document_ids, self.targets, extras)


ReadExtras = Callable[[Sequence[Row]], RowExtras]


def collate(rows: Iterable[Row], pin: bool = False, read_extras: ReadExtras | None = None) -> Batch:
    """Stack rows into a batch.

    pin: put it into page-locked memory. Copies from there to a GPU need no waiting. read_extras:
    makes what the rows bring beside their tokens.
    """
    rows = list(rows)
    loss_mask = torch.from_numpy(np.stack([row.loss_mask for row in rows]))
    extras = read_extras(rows) if read_extras else None
    targets = None if extras is None else extras.own_target_count
    batch = Batch(
        torch.from_numpy(np.stack([row.tokens for row in rows]).astype(np.int64)),
        loss_mask,
        torch.from_numpy(np.stack([row.document_ids for row in rows])),
        (loss_mask.sum() if targets is None else targets).float(),
        extras,
    )
    return batch.pin_memory() if pin else batch


def batch_of_step(
    stream: PackedStream,
    batch_size: int,
    rank: int,
    ranks: int,
    read_extras: ReadExtras | None,
    step: int,
) -> Batch:
    """What rank `rank` of `ranks` trains on in a step."""
    return collate(rows_of_step(stream, step, batch_size, rank, ranks), read_extras=read_extras)


def held_out_batches(
    config: TrainConfig, training: PackedStream, ranks: Ranks, read_extras: ReadExtras | None
) -> list[Batch]:
    """This rank's held-out rows in batches of the training shape.

    With that shape, one compiled form serves training and evaluation. All ranks together have the
    same rows, whatever their number and `micro_batch_size`. Sharded ranks must run equally often.
    So batches are filled up with rows of padding, in which nothing counts.
    """
    if config.eval_fraction == 0:
        return []
    stream = PackedStream(
        training.corpus,
        config.seed,
        config.pack,
        config.shuffle_window,
        held_out=True,
        images=training.images,
    )
    count = min(config.eval_sequences, stream.epoch_rows)
    rows = config.rows_of_rank(ranks.count)
    together = rows * ranks.count
    padding = join((), config.sequence_length)
    return [
        collate(
            (stream.row(row) if row < count else padding for row in range(first, first + rows)),
            read_extras=read_extras,
        )
        for first in range(ranks.rank * rows, -(-count // together) * together, together)
    ]


class BatchLoader:
    """Iterates over the batches of steps `first` to `last` - 1, and makes a few ahead.

    It is a context manager; leaving it stops the thread. An error there is raised where its batch
    is taken. processes: that make batches; 0: a thread does. They give the same batches.
    """

    def __init__(
        self,
        stream: PackedStream,
        batch_size: int,
        first: int,
        last: int,
        pin: bool = False,
        rank: int = 0,
        ranks: int = 1,
        read_extras: ReadExtras | None = None,
        processes: int = 0,
    ) -> None:
        self._steps = range(first, last)
        self._make = partial(batch_of_step, stream, batch_size, rank, ranks, read_extras)
        self._pin = pin
        self._processes = processes
        self._made_ahead = EXTRA_BATCHES_AHEAD if read_extras else BATCHES_AHEAD
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches")

    def __enter__(self) -> "BatchLoader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown(cancel_futures=True)

    def __iter__(self) -> Iterator[Batch]:
        return self._by_processes() if self._processes else self._by_thread()

    def _by_thread(self) -> Iterator[Batch]:
        ahead: deque[Future[Batch]] = deque()
        steps = iter(self._steps)
        for step in itertools.islice(steps, self._made_ahead):
            ahead.append(self._thread.submit(self._pinned, step))
        while ahead:
            batch = ahead.popleft().result()
            for step in itertools.islice(steps, 1):
                ahead.append(self._thread.submit(self._pinned, step))
            yield batch

    def _pinned(self, step: int) -> Batch:
        batch = self._make(step)
        return batch.pin_memory() if self._pin else batch

    def _by_processes(self) -> Iterator[Batch]:
        batches: DataLoader[Batch | CorpusmillError] = DataLoader(
            _BatchesOfSteps(self._make),
            batch_size=None,
            sampler=self._steps,
            num_workers=self._processes,
            pin_memory=self._pin,
            # A process that is a copy of this one would hold its locks, and its GPU.
            multiprocessing_context="forkserver",
            generator=torch.Generator(),  # leaves the run's own random state alone
        )
        for batch in batches:
            if isinstance(batch, CorpusmillError):
                raise batch
            yield batch


class _BatchesOfSteps(Dataset[Batch | CorpusmillError]):
    """Step -> its batch, or the error that a user must read: raised there, it would lose its
    kind on the way.
    """

    def __init__(self, make: Callable[[int], Batch]) -> None:
        self._make = make

    def __getitem__(self, step: int) -> Batch | CorpusmillError:
        try:
            return self._make(step)
        except CorpusmillError as error:
            return error
