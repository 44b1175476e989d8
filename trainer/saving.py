"""Checkpoints are written while training goes on.

`save` copies weights and running means to host memory, and returns. A GPU makes the copies between
two steps, into page-locked memory, so nothing waits for them. A thread writes the copies. The next
`save` waits for it first. So there is at most one copy, and host memory of a checkpoint's size is
enough (page-locked blocks are powers of 2, so up to twice that with a GPU).

A folder is written under another name, flushed to the disk, and then renamed: an interruption
leaves no half checkpoint.
"""

import json
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as distributed
from corpusmill.manifests.errors import StorageError
from corpusmill.trainer import checkpoint
from corpusmill.trainer.checkpoint import CheckpointState
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.model import HybridModel
from corpusmill.trainer.optim import Optimizer
from corpusmill.trainer.ranks import Ranks
from corpusmill.trainer.sharding import is_sharded, local
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException


@dataclass(frozen=True)
class Snapshot:
    """A checkpoint in host memory. copied: when the GPU has made the copies; None on a CPU."""

    state: CheckpointState
    weights: dict[str, Tensor]
    means: dict[str, Tensor]
    random: dict[str, Tensor]
    sharded: bool
    copied: torch.cuda.Event | None


class Saver:
    """Writes the checkpoints of one run into `folder`, and keeps the `config.keep` latest.

    All ranks have one, and call `save` and `wait` together. It is a context manager; leaving it
    waits for the thread.
    """

    def __init__(
        self,
        folder: Path,
        model: HybridModel,
        optimizer: Optimizer,
        config: TrainConfig,
        data_digest: str,
        shards: list[str],
        ranks: Ranks,
    ) -> None:
        self.folder, self.model, self.optimizer = folder, model, optimizer
        self.config, self.ranks = config, ranks
        self.data_digest, self.shards = data_digest, shards
        # The threads of sharded ranks have messages. They must not mix with those of the steps.
        self._group = None if ranks.shards is None else dist.new_group(backend="gloo")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoints")
        self._writing: Future[Path] | None = None

    def __enter__(self) -> "Saver":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown()

    def save(self, step: int) -> None:
        """Begin to write the checkpoint of `step` finished steps. Raises StorageError if the disk
        refused the one before.
        """
        self.wait()
        self._writing = self._thread.submit(self._write, self._snapshot(step))

    def wait(self) -> Path | None:
        """The path of the last checkpoint, when it is whole; None if `save` was never called.

        Raises StorageError if the disk refuses it. Older checkpoints are then untouched.
        """
        if self._writing is None:
            return None
        path = self._writing.result()
        self.ranks.wait_long()  # the first rank may write for long
        return path

    def _snapshot(self, step: int) -> Snapshot:
        on_gpu = self.ranks.device.type == "cuda"
        settings = self.config.model_dump(
            mode="json", exclude={"init_from", "init_vision_from"}
        )  # paths
        sequences = step * self.config.batch_size
        image_token = getattr(self.model, "image_token", None)
        state = CheckpointState(
            step, sequences, settings, self.data_digest, self.shards, image_token
        )
        random = {"cpu": torch.get_rng_state()}
        if torch.cuda.is_available():
            random["cuda"] = torch.cuda.get_rng_state()
        weights = _copies(checkpoint.weights_of(self.model), on_gpu)
        means = _copies(self.optimizer.moments(), on_gpu)
        copied = torch.cuda.Event() if on_gpu else None
        if copied is not None:
            copied.record()
        return Snapshot(state, weights, means, random, is_sharded(self.model), copied)

    def _write(self, snapshot: Snapshot) -> Path:
        """In the thread: the checkpoint under another name, and then under its own."""
        final = self.folder / f"step-{snapshot.state.step:08d}"
        partial = self.folder / f"{checkpoint.WRITING}{final.name}"
        try:
            if self.ranks.first:
                checkpoint.clean(self.folder)
                partial.mkdir(parents=True)
            if snapshot.copied is not None:
                snapshot.copied.synchronize()
            if snapshot.sharded:
                dist.barrier(group=self._group)  # the folder is there
                distributed.save(
                    {checkpoint.MODEL: snapshot.weights, checkpoint.OPTIMIZER: snapshot.means},
                    checkpoint_id=partial,
                    process_group=self._group,
                )
            elif self.ranks.first:
                _write_tensors(partial / checkpoint.WEIGHTS, snapshot.weights)
                _write_tensors(partial / checkpoint.MEANS, snapshot.means)
            if self.ranks.first:
                self._finish(partial, final, snapshot)
        except (OSError, SafetensorError, CheckpointException) as error:
            raise StorageError(
                f"checkpoint {final} cannot be written ({error})", "make room, then run again"
            ) from error
        return final

    def _finish(self, partial: Path, final: Path, snapshot: Snapshot) -> None:
        """Of the first rank, when all tensors are written."""
        _write_tensors(partial / checkpoint.RANDOM, snapshot.random)
        record = {"format": checkpoint.FORMAT, **asdict(snapshot.state)}
        (partial / checkpoint.STATE).write_text(
            json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8"
        )
        for path in (*sorted(partial.iterdir()), partial):
            _flush(path)
        _discard(final)
        partial.rename(final)
        _flush(self.folder)
        for old in checkpoint.found(self.folder)[: -self.config.keep]:
            _discard(old)


def _copies(tensors: Mapping[str, Tensor], pinned: bool) -> dict[str, Tensor]:
    """Copies in host memory. The GPU makes those into pinned memory in the order of its work."""
    copies = {}
    for name, tensor in tensors.items():
        copy = torch.empty_like(tensor, device="cpu", pin_memory=pinned, requires_grad=False)
        local(copy).copy_(local(tensor), non_blocking=pinned)
        copies[name] = copy
    return copies


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, path, metadata={"format": "pt"})


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _discard(path: Path) -> None:
    """Remove a checkpoint. It is renamed first, so that it is never half there under its name."""
    if path.exists():
        leaving = path.with_name(f"{checkpoint.REMOVING}{path.name}")
        path.rename(leaving)
        shutil.rmtree(leaving)
