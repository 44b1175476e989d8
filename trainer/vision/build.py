"""Make a vision-language model for a training run: check the data, draw or read first weights."""

from collections.abc import Iterator
from pathlib import Path

import torch
from corpusmill.manifests.errors import CorpusmillError, ModelError
from corpusmill.manifests.settings import build_settings
from corpusmill.trainer import checkpoint
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.importing import stored_tensors
from corpusmill.trainer.model import TEXT_PARTS
from corpusmill.trainer.token_shards import IMAGE, LETTERS, ImageFacts
from corpusmill.trainer.vision.internvit import encoder_weights
from corpusmill.trainer.vision.model import VisionLanguageModel
from corpusmill.trainer.vision.names import name_here
from corpusmill.trainer.vision.tiles import TileReader
from torch import Tensor

PARTS = (*TEXT_PARTS, "vision_tower.", "multi_modal_projector.", "letter_head.")


def image_columns(config: TrainConfig) -> tuple[str, ...]:
    """The columns of token shards that the run needs beside the tokens."""
    if config.vision is None:
        return ()
    return (IMAGE, *LETTERS) if config.learns == "letters" else (IMAGE,)


def facts_of(config: TrainConfig, images: ImageFacts | None) -> ImageFacts:
    """What the shards say of their images. Raises CorpusmillError if the settings do not fit it."""
    assert config.vision is not None
    if images is None:
        raise CorpusmillError(
            "the model reads images, and the token shards have none",
            "set pack.images to the tiling of train.vision and pack again",
        )
    wanted = config.vision.tiling()
    if images.tiling != wanted:
        changed = [
            f"{name} is {getattr(images.tiling, name)} there and {value} here"
            for name, value in wanted
            if getattr(images.tiling, name) != value
        ]
        raise CorpusmillError(
            f"the shards were packed for other tiles: {'; '.join(changed)}",
            "give pack.images and train.vision the same values",
        )
    return images


def tile_reader(config: TrainConfig, images: ImageFacts | None) -> TileReader | None:
    """What makes tiles of rows, if the run has images."""
    if config.vision is None:
        return None
    return TileReader(config.vision, facts_of(config, images).token, config.learns == "letters")


def empty_model(
    config: TrainConfig, images: ImageFacts | None, dtype: torch.dtype
) -> VisionLanguageModel:
    """The model without weights (call it on the meta device)."""
    assert config.vision is not None
    token = facts_of(config, images).token
    return VisionLanguageModel(config.model, config.vision, token, dtype, config.learns)


@torch.no_grad()
def load_parts(folder: Path, model: VisionLanguageModel) -> None:
    """Copy what a folder has of the model: a checkpoint's parts, an export's, or an encoder.

    Raises ModelError if nothing fits, or if a weight has another shape.
    """
    wanted = dict(model.named_parameters())
    copied = 0
    for name, value in _parts(folder):
        if name not in wanted:
            continue  # of the other's warm-up, or deeper than ours
        if value.shape != wanted[name].shape:
            raise ModelError(
                f"{name} in {folder} is {tuple(value.shape)}, not {tuple(wanted[name].shape)}",
                "set the keys of `model` and `vision` to the folder's",
            )
        wanted[name].copy_(value)
        copied += 1
    if not copied:
        raise ModelError(
            f"{folder} has no weight of an encoder of images",
            "name the checkpoint of a run with `vision`, an export of one, or an InternViT folder",
        )


def _parts(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Every weight under the name that the model here has for it."""
    for stored, value in stored_tensors(folder):
        name = name_here(stored)
        if name.startswith(PARTS):
            yield name, value
        else:
            for ours, part in encoder_weights(name, value):
                yield f"vision_tower.{ours}", part


def load_model(folder: Path) -> tuple[VisionLanguageModel, TrainConfig]:
    """The model of a checkpoint, in fp32 on the CPU, and the configuration of its training."""
    state = checkpoint.read_state(folder)
    config = build_settings(TrainConfig, state.config)
    if config.vision is None or state.image_token is None:
        raise ModelError(f"the model in {folder} reads no images", "give a run with `vision`")
    model = VisionLanguageModel(
        config.model, config.vision, state.image_token, learns=config.learns
    )
    checkpoint.load_weights(folder, model)
    return model.eval(), config
