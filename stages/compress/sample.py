"""What both stages of compression share: the parent, and the sequences that it is measured on.

The sequences are drawn once, in a pass of their own, in the trainer's order. The later passes read
a small file, and not the corpus.
"""

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError, ModelError
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.contract import Account, GlobalStage, Reads
from corpusmill.stages.engines.model_folder import identity, local_folder
from pydantic import Field, NonNegativeInt, PositiveInt

if TYPE_CHECKING:
    import torch
    from corpusmill.trainer.loader import Batch
    from corpusmill.trainer.model import HybridModel
    from corpusmill.trainer.shape import HybridConfig
    from corpusmill.trainer.token_shards import Catalogue

SAMPLE = "work/sample"
ROWS = pa.schema([("tokens", pa.list_(pa.int32())), ("counted", pa.list_(pa.bool_()))])


class OnParent(GlobalStage):
    """The settings of a stage that measures a parent on token shards."""

    reads: ClassVar[Reads] = Reads.TOKENS
    account: ClassVar[Account] = Account.MANY_TO_ONE
    free_settings: ClassVar[tuple[str, ...]] = ("parent",)  # a path: `depends_on` has the digest

    parent: str
    """The model to make smaller: the folder of export, or any of NemotronHForCausalLM."""
    sequence_length: PositiveInt = 8192
    """Tokens of a sequence."""
    batch_size: PositiveInt = 1
    """Sequences of one forward pass when the parent or a child is measured."""
    eval_fraction: float = Field(default=0.01, gt=0, lt=1)
    """Share of the documents that is held out, as in train. With the value that the parent was
    trained with, its held-out documents stay held out."""
    seed: NonNegativeInt = 0
    """Seed of the order of the data."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$")
    """auto: the first GPU, else the CPU."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the computation. auto: bfloat16 on GPUs, float32 on CPUs."""
    threads: PositiveInt | None = None
    """Threads of the CPU."""

    def depends_on(self) -> str:
        """The parent's digest. Raises ModelError if it is no model of this kind."""
        self.parent_shape()
        return identity(self.parent).rpartition("@")[2]

    def refuse_early(self, here: bool) -> None:
        if here:
            from corpusmill.trainer.ranks import find_device

            find_device(self.device)

    def parent_shape(self) -> "HybridConfig":
        """Raises ModelError if the parent is of another family."""
        from corpusmill.trainer.importing import read_shape

        return read_shape(Path(local_folder(self.parent)))

    @property
    def gpus(self) -> int:
        return 0 if self.device == "cpu" else 1

    def load_parent(self) -> "HybridModel":
        """The parent on its device. One process loads it once."""
        import torch

        if self.threads is not None:
            torch.set_num_threads(self.threads)
        folder = local_folder(self.parent)
        changed = os.stat(os.path.join(folder, "config.json")).st_mtime_ns
        return _loaded(folder, changed, self.device, self.dtype)


@functools.lru_cache(maxsize=1)
def _loaded(folder: str, _changed: int, device_name: str, dtype: str) -> "HybridModel":
    from corpusmill.compression.parent import load_model
    from corpusmill.trainer.ranks import compute_dtype, find_device

    device = find_device(device_name)
    return load_model(Path(folder), device, compute_dtype(dtype, device))


def release_parent() -> None:
    """Forget the loaded parent: its device is needed for training."""
    _loaded.cache_clear()


@contextmanager
def enough_memory(settings: OnParent) -> Iterator[None]:
    """Raises ModelError if the device has too little memory within the block."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"the device has too little memory for the models and {settings.batch_size} "
            f"sequences of {settings.sequence_length} tokens",
            "lower batch_size or sequence_length, or take a larger device",
        ) from error


def local_shards(
    shard: Shard, artifacts: tuple[Artifact, ...], folder: str = "shards"
) -> list[Path]:
    """The shards as local files, in their order. Copies of remote ones go into a scratch folder."""
    return [
        storage.local_copy(
            artifact.path, Path(shard.scratch) / folder / f"{number:06d}", artifact.size
        )
        for number, artifact in enumerate(artifacts)
    ]


def draw(settings: OnParent, shard: Shard, count: int, held_out: bool) -> "tuple[Catalogue, int]":
    """Write the first `count` sequences of one side of the corpus, or all if there are fewer.

    Returns the corpus, and how many sequences were drawn. Raises CorpusmillError if nothing is held
    out, or if a token is unknown to the parent.
    """
    from corpusmill.trainer.data import PackedStream
    from corpusmill.trainer.token_shards import IMAGE_TOKEN, catalogue

    paths = local_shards(shard, shard.inputs)
    for artifact, path in zip(shard.inputs, paths, strict=True):
        shard.count_rows(artifact, pq.read_metadata(path).num_rows)
    corpus = catalogue(paths, settings.sequence_length, settings.eval_fraction, fitted=False)
    known = settings.parent_shape().vocab_size
    if corpus.largest_token >= known:
        raise CorpusmillError(
            f"the shards hold token {corpus.largest_token}, the parent knows {known}",
            "pack the data with the parent's tokenizer",
        )
    if IMAGE_TOKEN in corpus.metadata:
        raise CorpusmillError(
            "the token shards hold images, and compress reads text alone",
            "pack documents without images",
        )
    stream = PackedStream(corpus, settings.seed, held_out=held_out)
    count = min(count, stream.epoch_rows)
    rows = [stream.row(number) for number in range(count)]
    with shard.parquet(SAMPLE, ROWS) as output:
        columns = [
            pa.array([getattr(row, name) for row in rows], type=field.type)
            for name, field in zip(("tokens", "loss_mask"), ROWS, strict=True)
        ]
        output.write(pa.table(columns, schema=ROWS))
    return corpus, count


def account_of(
    settings: OnParent, shard: Shard, corpus: "Catalogue", held_out: int, training: int, tokens: int
) -> Counts:
    """The account of a stage that used the first sequences of both sides of the corpus.

    held_out, training: how many. The documents that they reach, and the others, are counted in the
    corpus; the rows that were read, in the footers.
    """
    from corpusmill.trainer.data import PackedStream

    account = Counts(settings.name, rows_in=shard.rows_read, tokens=tokens)
    for side, rows in ((True, held_out), (False, training)):
        stream = PackedStream(corpus, settings.seed, held_out=side)
        account.kept += stream.documents_before(rows)
        account.leave_out("not_reached", stream.documents_from(rows))
    return account


def read_batches(
    artifact: Artifact, size: int, device: "torch.device", rows: slice = slice(None)
) -> "Iterator[Batch]":
    """The drawn sequences, or some of them, in batches on the device."""
    import torch
    from corpusmill.trainer.loader import Batch

    table = pa.concat_tables(read_parquet(artifact))
    tokens, counted = (
        column.combine_chunks()
        .flatten()
        .to_numpy(zero_copy_only=False)
        .reshape(table.num_rows, -1)[rows]
        for column in (table["tokens"], table["counted"])
    )
    tokens = tokens.astype(np.int64)
    for start in range(0, len(tokens), size):
        mask = torch.from_numpy(counted[start : start + size])
        nothing = torch.zeros(mask.shape, dtype=torch.int32)  # documents are not told apart
        batch = Batch(
            torch.from_numpy(tokens[start : start + size]), mask, nothing, mask.sum().float()
        )
        yield batch.to(device)
