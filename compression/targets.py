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

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from corpusmill.compression.distillation import (
    KLLoss,
    Teacher,
    TokenTargets,
    chunk_tokens,
    logits_of,
)
from corpusmill.manifests.errors import CorpusmillError, InputError
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.data import Row
from corpusmill.trainer.loader import Batch, RowExtras
from torch import Tensor

DIGEST = 16  # bytes that name a row of tokens
GROUPS_KEPT = 4  # decoded row groups in memory, some 64 MB each
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
    parts = [logits_of(part, weight_VD).log_softmax(-1).topk(k) for part in hidden_ND.split(size)]
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
    """The stored targets of a batch's rows. K is 0 if a row has none: held-out rows have none."""

    ids_BTK: Tensor  # int32
    logs_BTK: Tensor  # float16

    @property
    def own_target_count(self) -> None:
        """The batch's own mask says what counts."""

    def to(self, device: torch.device) -> "StoredTargets":
        ids_BTK, logs_BTK = (
            part.to(device, non_blocking=True) for part in (self.ids_BTK, self.logs_BTK)
        )
        return StoredTargets(ids_BTK, logs_BTK)

    def pin_memory(self) -> "StoredTargets":
        return StoredTargets(self.ids_BTK.pin_memory(), self.logs_BTK.pin_memory())

    def split(self, rows: int) -> "Iterator[StoredTargets]":
        pieces = zip(self.ids_BTK.split(rows), self.logs_BTK.split(rows), strict=True)
        return (StoredTargets(ids_BTK, logs_BTK) for ids_BTK, logs_BTK in pieces)

    def with_room(self, rows: int) -> "StoredTargets":
        return StoredTargets(self.ids_BTK.clone(), self.logs_BTK.clone())

    def take(self, extras: RowExtras) -> bool:
        assert isinstance(extras, StoredTargets)
        if extras.ids_BTK.shape != self.ids_BTK.shape:
            return False
        self.ids_BTK.copy_(extras.ids_BTK)
        self.logs_BTK.copy_(extras.logs_BTK)
        return True


class TargetReader:
    """Finds the stored targets of rows. It is what a run's loader calls.

    In memory are 16 bytes for each stored row, and a few row groups: rows are stored in the order
    in which they are trained on. No file stays open. Raises InputError if one holds no targets.
    """

    def __init__(self, paths: Sequence[Path], k: int) -> None:
        self._k = k
        self._groups: list[tuple[Path, int]] = []  # of each row group: its file, its number there
        begins, keys = [0], [np.empty(0, dtype=np.uint64)]
        for path in paths:
            for number, column in enumerate(_digests(path)):
                self._groups.append((path, number))
                begins.append(begins[-1] + len(column))
                keys.append(_keys(column))
        self._begins = np.array(begins)
        unsorted = np.concatenate(keys)
        self._order = np.argsort(unsorted, kind="stable")
        self._keys = unsorted[self._order]
        self._read: OrderedDict[int, pa.Table] = OrderedDict()

    def __call__(self, rows: Sequence[Row]) -> StoredTargets:
        """The targets of all rows, or none of any if one row has none."""
        found = [self._find(row_digest(row)) for row in rows]
        known = [values for values in found if values is not None]
        if len(known) < len(rows):
            known = []
        shape = (len(rows), len(rows[0].loss_mask), self._k if known else 0)
        if not known:
            return StoredTargets(
                torch.zeros(shape, dtype=torch.int32), torch.zeros(shape, dtype=torch.float16)
            )
        ids, logs = (
            np.concatenate([values[column] for values in known]).reshape(shape) for column in (0, 1)
        )
        return StoredTargets(torch.from_numpy(ids), torch.from_numpy(logs))

    def _find(self, digest: bytes) -> "tuple[np.ndarray, np.ndarray] | None":
        """Tokens and log-probabilities of the row of this digest. None if it is not stored."""
        key = _keys(pa.array([digest], pa.binary(DIGEST)))[0]
        first, last = np.searchsorted(self._keys, key), np.searchsorted(self._keys, key, "right")
        for place in self._order[first:last]:
            group = int(np.searchsorted(self._begins, place, side="right")) - 1
            table, inside = self._table(group), int(place - self._begins[group])
            if table["row"][inside].as_py() == digest:
                ids, logs = (table[name][inside].values.to_numpy() for name in SCHEMA.names[1:])
                return ids, logs
        return None

    def _table(self, group: int) -> pa.Table:
        if group not in self._read:
            path, number = self._groups[group]
            with pq.ParquetFile(path) as file:
                self._read[group] = file.read_row_group(number).combine_chunks()
            while len(self._read) > GROUPS_KEPT:
                self._read.popitem(last=False)
        return self._read[group]


def _digests(path: Path) -> Iterator[pa.FixedSizeBinaryArray]:
    """The digests in each row group of a file."""
    try:
        with pq.ParquetFile(path) as file:
            if file.schema_arrow.names != SCHEMA.names:
                raise InputError(f"{path} holds no targets of a teacher", "run the command again")
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=["row"])
                yield table["row"].combine_chunks()
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(
            f"the targets in {path} cannot be read ({error})", "run the command again"
        ) from error


def _keys(digests: pa.FixedSizeBinaryArray) -> "np.ndarray":
    """The first half of each digest as a number."""
    data = np.frombuffer(b"".join(digests.to_pylist()), dtype=np.uint64)
    return data[::2]


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
        stored = batch.extras
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
    """What `trainer.parts.Parts.make_extras_reader` makes of stored targets."""
    return TargetReader(paths, k)
