"""A teacher's most probable next tokens, stored: distillation without the teacher in memory.

The teacher reads every training sequence once, in pieces, on any number of devices. All students
learn from what it wrote: for each token the `top_k` most probable next ones, with the logarithms of
their probabilities. What is left of the probability is kept as one sum.

The loss is the forward KL between the two distributions over those tokens and the sum of all
others. It is at most the whole KL, and equal to it if `top_k` is the vocabulary. Without the sum,
top-k targets teach a student to be too sure (Sparse Logit Sampling, arXiv 2503.16870, section 3).

A stored row belongs to the tokens from which it was made, not to a place in the stream. So the
number of processes and the batch size may differ between the two.

Letters in tensor names: B rows, T time, N tokens, K stored tokens, V vocabulary.
"""

import bisect
import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from corpusmill.compression.distillation import KLLoss, Teacher, TokenTargets, chunk_tokens
from corpusmill.manifests.errors import CorpusmillError, InputError
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.data import Row
from corpusmill.trainer.loader import Batch, RowImages
from torch import Tensor

DIGEST = 16  # bytes that name a row of tokens
GROUPS_KEPT = 8  # decoded row groups in memory
LEAST = 1e-6  # of the probability that all tokens have together that are not stored
SCHEMA = pa.schema(
    [
        ("row", pa.binary(DIGEST)),  # digest of the sequence's tokens and document borders
        ("tokens", pa.list_(pa.int32())),  # T x K, the most probable first
        ("log_probabilities", pa.list_(pa.float16())),  # T x K, natural logarithms
    ]
)


def row_digest(row: Row) -> bytes:
    """What names a row: its tokens, and where documents begin in it."""
    digest = hashlib.blake2b(row.tokens.tobytes(), digest_size=DIGEST)
    digest.update(row.document_ids.tobytes())
    return digest.digest()


@torch.no_grad()
def most_probable(hidden_ND: Tensor, weight_VD: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k most probable tokens and their log-probabilities, (N, K) each, the first the best."""
    size = chunk_tokens(weight_VD.shape[0])
    parts = [
        (part @ weight_VD.to(part.dtype).t()).float().log_softmax(-1).topk(k)
        for part in hidden_ND.split(size)
    ]
    return (
        torch.cat([part.indices for part in parts]).int(),
        torch.cat([part.values for part in parts]),
    )


def stored_rows(teacher: Teacher, rows: Sequence[Row], batch: Batch, k: int) -> pa.Table:
    """The rows of SCHEMA for a batch on the teacher's device. rows: what the batch was made of."""
    hidden_BTE = teacher.hidden(batch)
    ids_NK, logs_NK = most_probable(hidden_BTE.flatten(0, 1), teacher.head, k)
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * (ids_NK.numel() // len(rows))
    ids, logs = (
        pa.ListArray.from_arrays(offsets, values.flatten().cpu().numpy())
        for values in (ids_NK, logs_NK.half())
    )
    digests = pa.array([row_digest(row) for row in rows], type=pa.binary(DIGEST))
    return pa.Table.from_arrays([digests, ids, logs], schema=SCHEMA)


@dataclass(frozen=True)
class StoredTargets:
    """The stored targets of a batch's rows. K is 0 if no row has any: held-out rows have none."""

    ids_BTK: Tensor  # int32
    logs_BTK: Tensor  # float16

    @property
    def targets(self) -> None:
        """The batch's own mask says what counts."""

    def to(self, device: torch.device) -> "StoredTargets":
        ids_BTK, logs_BTK = (
            part.to(device, non_blocking=True) for part in (self.ids_BTK, self.logs_BTK)
        )
        return StoredTargets(ids_BTK, logs_BTK)

    def pin_memory(self) -> "StoredTargets":
        return StoredTargets(self.ids_BTK.pin_memory(), self.logs_BTK.pin_memory())

    def uncounted(self) -> "StoredTargets":
        return self

    def split(self, rows: int) -> "Iterator[StoredTargets]":
        pieces = zip(self.ids_BTK.split(rows), self.logs_BTK.split(rows), strict=True)
        return (StoredTargets(ids_BTK, logs_BTK) for ids_BTK, logs_BTK in pieces)

    def with_room(self, rows: int) -> "StoredTargets":
        return StoredTargets(self.ids_BTK.clone(), self.logs_BTK.clone())

    def take(self, images: RowImages) -> bool:
        assert isinstance(images, StoredTargets)
        if images.ids_BTK.shape != self.ids_BTK.shape:
            return False
        self.ids_BTK.copy_(images.ids_BTK)
        self.logs_BTK.copy_(images.logs_BTK)
        return True


class TargetReader:
    """Finds the stored targets of rows. It is what a run's loader calls.

    The digests of all rows are in memory, 16 bytes each. A few row groups are decoded at a time:
    rows are stored in the order in which they are trained on. Raises InputError if a file holds
    no targets.
    """

    def __init__(self, paths: Sequence[Path], k: int) -> None:
        self._k = k
        self._files = [_open(path) for path in paths]
        digests, self._begins = [], [0]
        self._places: list[tuple[int, int]] = []  # of each row group: its file, its number there
        for number, file in enumerate(self._files):
            for group in range(file.num_row_groups):
                column = file.read_row_group(group, columns=["row"])["row"]
                digests += column.to_pylist()
                self._places.append((number, group))
                self._begins.append(len(digests))
        self._found = {digest: number for number, digest in enumerate(digests)}
        self._groups: OrderedDict[int, pa.Table] = OrderedDict()

    def __call__(self, rows: Sequence[Row]) -> StoredTargets:
        """Raises CorpusmillError if some rows have targets and others have not."""
        places = [self._found.get(row_digest(row)) for row in rows]
        known = [place for place in places if place is not None]
        length = len(rows[0].loss_mask)
        shape = (len(rows), length, self._k if known else 0)
        if not known:
            return StoredTargets(
                torch.zeros(shape, dtype=torch.int32), torch.zeros(shape, dtype=torch.float16)
            )
        if len(known) < len(rows):
            raise CorpusmillError(
                "the teacher's stored targets do not cover the training rows",
                "store them again, with the same data and the same sequence_length",
            )
        ids, logs = (
            np.concatenate([read[column] for read in map(self._read, known)]).reshape(shape)
            for column in (0, 1)
        )
        return StoredTargets(torch.from_numpy(ids), torch.from_numpy(logs))

    def _read(self, place: int) -> "tuple[np.ndarray, np.ndarray]":
        group = bisect.bisect_right(self._begins, place) - 1
        if group not in self._groups:
            file, number = self._places[group]
            table = self._files[file].read_row_group(number, columns=SCHEMA.names[1:])
            self._groups[group] = table.combine_chunks()
            while len(self._groups) > GROUPS_KEPT:
                self._groups.popitem(last=False)
        table = self._groups[group]
        inside = place - self._begins[group]
        ids, logs = (table[name][inside].values.to_numpy() for name in SCHEMA.names[1:])
        return ids, logs


def _open(path: Path) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path, memory_map=True)
        if file.schema_arrow.names == SCHEMA.names:
            return file
    except (OSError, pa.ArrowInvalid):
        pass
    raise InputError(f"{path} holds no targets of a teacher", "run the command again")


@dataclass(frozen=True)
class SparseTargets:
    """The targets of N tokens: K probabilities each, and the sum of all others."""

    ids_NK: Tensor
    logs_NK: Tensor

    def of(self, part: slice, found_NV: Tensor) -> tuple[Tensor, Tensor]:
        """(KL of each token in nats, the probabilities that the student should have).

        The tokens that are not stored should have their sum; among them the student's own
        proportions are right.
        """
        ids_NK = self.ids_NK[part].long()
        wanted_NK = self.logs_NK[part].float()
        given_NK = found_NV.gather(-1, ids_NK)
        kept_NK = wanted_NK.exp()
        divergence_N = (kept_NK * (wanted_NK - given_NK)).sum(-1)
        if ids_NK.shape[-1] == found_NV.shape[-1]:  # no token is left
            return divergence_N, torch.zeros_like(found_NV).scatter_(-1, ids_NK, kept_NK)
        wanted_N1 = (1 - kept_NK.sum(-1, keepdim=True)).clamp(min=LEAST)
        given_N1 = (1 - given_NK.exp().sum(-1, keepdim=True)).clamp(min=LEAST)
        divergence_N += (wanted_N1 * (wanted_N1 / given_N1).log()).squeeze(-1)
        others_NV = found_NV.exp().mul_(wanted_N1 / given_N1)
        return divergence_N, others_NV.scatter_(-1, ids_NK, kept_NK)


class StoredTargetsLoss(KLLoss):
    """Forward KL from stored targets where gradients are taken, else the cross-entropy."""

    def token_targets(self, batch: Batch) -> TokenTargets:
        stored = batch.images
        assert isinstance(stored, StoredTargets)
        if not stored.ids_BTK.shape[-1]:
            raise CorpusmillError(
                "the teacher's stored targets do not cover the training rows",
                "store them again, with the same data and the same sequence_length",
            )
        return SparseTargets(stored.ids_BTK.flatten(0, 1), stored.logs_BTK.flatten(0, 1))


def target_reader(
    paths: Sequence[Path], k: int, config: TrainConfig, metadata: Mapping[bytes, bytes]
) -> TargetReader:
    """What `trainer.parts.Parts.make_reader` makes of stored targets."""
    return TargetReader(paths, k)
