"""Checkpoints: what they hold, which are there, and how a run goes on from one.

A checkpoint is either whole or absent, and a run that goes on from one gives the same bits.

A checkpoint is a folder `step-00000100` with

    model.safetensors       fp32 master weights, published names
    optimizer.safetensors   running means: AdamW's `exp_avg.NAME` and `exp_avg_sq.NAME`, Muon's
                            `momentum.NAME`
    random.safetensors      states of the random generators
    state.json              step, loader state, configuration, digest of the data

A model that is sharded over ranks has, instead of the first two, the files of
torch.distributed.checkpoint: `.metadata`, and one file or more a rank. Both forms can be read by
any number of ranks.

`trainer.saving` writes them. The latest checkpoint is found by listing the folder; a pointer could
be stale. No file holds a time or a path, so equal runs write equal bytes.
"""

import json
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as distributed
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.settings import build_settings
from corpusmill.trainer.config import FREE_ON_RESUME, TrainConfig
from corpusmill.trainer.model import HybridModel
from corpusmill.trainer.optim import Optimizer
from corpusmill.trainer.sharding import put
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException

FORMAT = 1
WEIGHTS, MEANS = "model.safetensors", "optimizer.safetensors"
RANDOM, STATE = "random.safetensors", "state.json"
SHARDED = ".metadata"  # of torch.distributed.checkpoint
MODEL, OPTIMIZER = "model", "optimizer"  # names in a sharded checkpoint
WRITING, REMOVING = ".writing-", ".removing-"  # in front of the name of a folder that is not whole
_NAME = re.compile(r"step-(\d{8,})")


@dataclass(frozen=True)
class CheckpointState:
    """What `state.json` holds.

    sequences: rows of the global stream that were consumed. It is the loader's whole state.
    image_token: the id that holds an image token's place, if the model reads images.
    """

    step: int
    sequences: int
    config: dict[str, Any]
    data_digest: str
    shards: list[str]
    image_token: int | None = None


def found(folder: Path) -> list[Path]:
    """All whole checkpoints of a folder, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(
        (path for path in folder.iterdir() if _NAME.fullmatch(path.name)),
        key=lambda path: int(path.name[5:]),
    )


def latest(folder: Path) -> Path | None:
    """The checkpoint with the most steps, or None."""
    checkpoints = found(folder)
    return checkpoints[-1] if checkpoints else None


def clean(folder: Path) -> None:
    """Remove what an interrupted save or removal left."""
    if folder.is_dir():
        for path in folder.iterdir():
            if path.name.startswith((WRITING, REMOVING)):
                shutil.rmtree(path)


def read_state(checkpoint: Path) -> CheckpointState:
    """The description of a checkpoint. Raises CorpusmillError if this version cannot read it."""
    path = checkpoint / STATE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.pop("format", None) != FORMAT:
            raise CorpusmillError(
                f"{checkpoint} has another checkpoint format", "use the version that wrote it"
            )
        return CheckpointState(**record)
    except FileNotFoundError as error:
        raise CorpusmillError(
            f"{checkpoint} is not a checkpoint (no state.json)",
            "give a folder like OUTPUT/checkpoints/step-00001000",
        ) from error
    except (ValueError, TypeError) as error:
        raise CorpusmillError(
            f"{path} is damaged ({error})", f"remove {checkpoint} and run again"
        ) from error


def resume(
    checkpoint: Path,
    model: nn.Module,
    optimizer: Optimizer,
    config: TrainConfig,
    data_digest: str,
) -> int:
    """Put a stored state back into model, optimiser and random generators.

    Returns the number of finished steps. Raises CorpusmillError if the checkpoint is damaged, or
    was made with another configuration or other data.
    """
    state = read_state(checkpoint)
    changed = differences(state.config, config)
    if changed:
        raise CorpusmillError(
            f"{checkpoint} was made with another configuration: {'; '.join(changed)}",
            "restore these values, or give another output folder to start anew",
        )
    if state.data_digest != data_digest:
        raise CorpusmillError(
            f"{checkpoint} was trained on other data",
            "give the same shards, or another output folder to start anew",
        )
    load_weights(checkpoint, model)
    if (checkpoint / WEIGHTS).exists():
        optimizer.restore(_read_tensors(checkpoint / MEANS), state.step)
    else:
        _read_sharded(checkpoint, {OPTIMIZER: optimizer.moments()})
        optimizer.steps = state.step
    _restore_random(_read_tensors(checkpoint / RANDOM))
    return state.step


def differences(stored: Mapping[str, Any], now: TrainConfig) -> list[str]:
    """What differs between a stored configuration (plain data) and `now`.

    Fields that are free on resume are left out. A field that an older version did not know has its
    default.
    """
    defaults = {
        name: field.get_default(call_default_factory=True)
        for name, field in type(now).model_fields.items()
        if not field.is_required()
    }
    compared = ({**defaults, **stored}, now.model_dump(mode="json"))
    free = {*FREE_ON_RESUME, *now.start_folders}
    before, after = ({key: of[key] for key in of if key not in free} for of in compared)
    return list(_differences(before, after, ""))


def _differences(stored: Any, now: Any, name: str) -> Iterator[str]:
    if isinstance(stored, Mapping) and isinstance(now, Mapping):
        for key in sorted({*stored, *now}):
            yield from _differences(stored.get(key), now.get(key), f"{name}.{key}" if name else key)
    elif stored != now:
        yield f"{name} was {stored!r} and is now {now!r}"


def load_weights(checkpoint: Path, model: nn.Module) -> None:
    """Copy the stored weights into a model of the same shape, sharded or not."""
    if not (checkpoint / WEIGHTS).exists() and (checkpoint / SHARDED).exists():
        _read_sharded(checkpoint, {MODEL: weights_of(model)})
        return
    weights = _read_tensors(checkpoint / WEIGHTS)
    for name, parameter in model.named_parameters():
        if name not in weights or weights[name].shape != parameter.shape:
            raise CorpusmillError(
                f"{checkpoint} does not fit the model at {name}", "remove it and run again"
            )
        put(parameter, weights[name])


def load_model(checkpoint: Path) -> tuple[HybridModel, TrainConfig]:
    """The model of a checkpoint, in fp32 on the CPU, and the configuration of its training.

    Raises CorpusmillError if the model reads images: `vision.build.load_model` loads it.
    """
    state = read_state(checkpoint)
    if state.image_token is not None:
        raise CorpusmillError(
            f"the model in {checkpoint} reads images", "give a model that reads text alone"
        )
    config = build_settings(TrainConfig, state.config)
    model = HybridModel(config.model)
    load_weights(checkpoint, model)
    return model.eval(), config


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Its parameters by name, sharded or not."""
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def _read_sharded(checkpoint: Path, tensors: dict[str, dict[str, Tensor]]) -> None:
    """Fill the tensors from the files of torch.distributed.checkpoint."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")
            distributed.load(tensors, checkpoint_id=checkpoint)
    except (OSError, CheckpointException, RuntimeError, ValueError) as error:
        raise CorpusmillError(
            f"{checkpoint} is damaged, or of another model ({error})",
            f"remove {checkpoint} and run again",
        ) from error


def _restore_random(states: dict[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CorpusmillError(
            f"{path} is damaged ({error})", f"remove {path.parent} and run again"
        ) from error
