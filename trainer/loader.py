"""Batches for the training loop, made ahead of time by one background thread.

Decoding a row is a few array copies. So one thread keeps any single GPU busy. The copy to the GPU
starts from pinned memory and never waits. Letters in tensor names: B rows, T time.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

import numpy as np
import torch
from corpusmill.trainer.data import PackedStream, Row, rows_of_step
from torch import Tensor

IMAGE_BATCHES_AHEAD = 2  # a row with an image takes up to 8 MB
BATCHES_AHEAD = 32  # enough to train on while the next window of documents is decoded


class RowImages(Protocol):
    """The images of a batch's rows, as the model takes them."""

    @property
    def targets(self) -> Tensor | None:
        """How many targets they bring themselves; None: the tokens are the targets."""
        ...

    def to(self, device: torch.device) -> "RowImages": ...

    def pin(self) -> "RowImages":
        """In page-locked memory."""
        ...

    def uncounted(self) -> "RowImages":
        """The same images, of which no target counts."""
        ...

    def split(self, rows: int) -> "Iterator[RowImages]":
        """In pieces of `rows` rows."""
        ...


@dataclass(frozen=True)
class Batch:
    """One rank's rows of a global batch as tensors."""

    tokens: Tensor  # (B, T + 1) int64
    loss_mask: Tensor  # (B, T) bool: whether each target tokens[:, 1:] counts
    document_ids: Tensor  # (B, T) int32
    targets: Tensor  # () float32: how many targets count in the loss; may be 0
    images: RowImages | None = None

    def to(self, device: torch.device) -> "Batch":
        """The batch on `device`. If it is in pinned memory, this does not wait for the copy."""
        parts = (self.tokens, self.loss_mask, self.document_ids, self.targets)
        tokens, loss_mask, ids, targets = (part.to(device, non_blocking=True) for part in parts)
        images = None if self.images is None else self.images.to(device)
        return Batch(tokens, loss_mask, ids, targets, images)

    def pin(self) -> "Batch":
        """The batch in page-locked memory."""
        parts = (self.tokens, self.loss_mask, self.document_ids, self.targets)
        tokens, loss_mask, ids, targets = (part.pin_memory() for part in parts)
        return Batch(tokens, loss_mask, ids, targets, self.images and self.images.pin())

    def uncounted(self) -> "Batch":
        """The same rows, of which no target counts."""
        mask, targets = torch.zeros_like(self.loss_mask), torch.zeros_like(self.targets)
        images = None if self.images is None else self.images.uncounted()
        return Batch(self.tokens, mask, self.document_ids, targets, images)

    def micro_batches(self, rows: int) -> "Iterator[Batch]":
        """The batch in pieces of `rows` rows. `targets` stays that of the whole batch."""
        count = -(-len(self.tokens) // rows)
        pieces = zip(
            self.tokens.split(rows),
            self.loss_mask.split(rows),
            self.document_ids.split(rows),
            [None] * count if self.images is None else self.images.split(rows),
            strict=True,
        )
        for tokens, loss_mask, document_ids, images in pieces:
            yield Batch(tokens, loss_mask, document_ids, self.targets, images)


ReadImages = Callable[[Sequence[Row]], RowImages]


def collate(rows: Iterable[Row], pin: bool = False, read_images: ReadImages | None = None) -> Batch:
    """Stack rows into a batch.

    pin: put it into page-locked memory. Copies from there to a GPU need no waiting. read_images:
    makes what the model takes of the rows' images.
    """
    rows = list(rows)
    loss_mask = torch.from_numpy(np.stack([row.loss_mask for row in rows]))
    images = read_images(rows) if read_images else None
    targets = None if images is None else images.targets
    batch = Batch(
        torch.from_numpy(np.stack([row.tokens for row in rows]).astype(np.int64)),
        loss_mask,
        torch.from_numpy(np.stack([row.document_ids for row in rows])),
        (loss_mask.sum() if targets is None else targets).float(),
        images,
    )
    return batch.pin() if pin else batch


class BatchLoader:
    """Iterates over the batches of steps `first` to `last` - 1. A thread makes a few ahead.

    It is a context manager; leaving it stops the thread. An error in the thread is raised where its
    batch is taken.
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
        read_images: ReadImages | None = None,
    ) -> None:
        self._steps = iter(range(first, last))
        self._make = lambda step: collate(
            rows_of_step(stream, step, batch_size, rank, ranks), pin, read_images
        )
        self._made_ahead = IMAGE_BATCHES_AHEAD if read_images else BATCHES_AHEAD
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches")
        self._ahead: deque[Future[Batch]] = deque()

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
        for step in itertools.islice(self._steps, self._made_ahead):
            self._ahead.append(self._thread.submit(self._make, step))
        while self._ahead:
            batch = self._ahead.popleft().result()
            for step in itertools.islice(self._steps, 1):
                self._ahead.append(self._thread.submit(self._make, step))
            yield batch
