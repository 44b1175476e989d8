"""What the trainer's loop needs to train a model that reads images, as `trainer.parts.Parts`."""

from collections.abc import Iterator
from pathlib import Path

import torch
from corpusmill.manifests.errors import ModelError
from corpusmill.manifests.settings import build_settings
from corpusmill.trainer import checkpoint
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.importing import read_config, shape_of, stored_tensors
from corpusmill.trainer.loss import SummedLoss
from corpusmill.trainer.model import TEXT_PARTS, HybridModel
from corpusmill.trainer.parts import TEXT, Metadata, Parts, text_weights
from corpusmill.trainer.sharding import put
from corpusmill.trainer.token_shards import IMAGE, LETTERS
from corpusmill.vision.config import VisionTrainConfig
from corpusmill.vision.internvit import encoder_weights
from corpusmill.vision.layout import MODEL_TYPE, name_here, read_vision
from corpusmill.vision.loss import LetterLoss, ReadingLoss
from corpusmill.vision.model import VisionLanguageModel, initialise_vision
from corpusmill.vision.shards import facts
from corpusmill.vision.tiles import TileReader
from torch import Tensor

# Beginnings of the names of all weights.
LETTER_HEAD = "letter_head."
NAMES = (*TEXT_PARTS, "vision_tower.", "multi_modal_projector.", LETTER_HEAD)


def parts(config: VisionTrainConfig) -> Parts:
    """What the loop trains: text alone, or a model that reads images."""
    if config.vision is None:
        return TEXT
    return Parts(
        make_model=_model,
        initialise=_initialise,
        load_weights=_load_weights,
        make_loss=_loss,
        columns=(IMAGE, *LETTERS) if config.learns_letters else (IMAGE,),
        make_extras_reader=_reader,
    )


def _model(config: TrainConfig, metadata: Metadata, dtype: torch.dtype) -> VisionLanguageModel:
    assert isinstance(config, VisionTrainConfig)
    assert config.vision is not None
    token = facts(metadata, config.vision).token
    return VisionLanguageModel(
        config.model, config.vision, token, dtype, config.learns, config.learns_letters
    )


def _initialise(model: HybridModel, seed: int) -> None:
    assert isinstance(model, VisionLanguageModel)
    initialise_vision(model, seed)


def _load_weights(config: TrainConfig, model: HybridModel) -> None:
    assert isinstance(config, VisionTrainConfig)
    assert isinstance(model, VisionLanguageModel)
    text_weights(config, model)
    if config.init_vision_from is not None:
        load_parts(Path(config.init_vision_from), model)


def _loss(model: HybridModel, config: TrainConfig) -> SummedLoss:
    assert isinstance(config, VisionTrainConfig)
    assert isinstance(model, VisionLanguageModel)
    return (LetterLoss if config.learns == "letters" else ReadingLoss)(model, config)


def _reader(config: TrainConfig, metadata: Metadata) -> TileReader:
    assert isinstance(config, VisionTrainConfig)
    assert config.vision is not None
    token = facts(metadata, config.vision).token
    return TileReader(config.vision, token, config.learns_letters, config.learns == "letters")


@torch.no_grad()
def load_parts(folder: Path, model: VisionLanguageModel) -> None:
    """Copy what a folder has of the model: a checkpoint's parts, an export's, or an encoder.

    A checkpoint of a warm-up gives its encoder alone: its language model never learnt. Raises
    ModelError if nothing fits, or if a weight has another shape.
    """
    warm_up = _is_warm_up(folder)
    learnt = ("vision_tower.", LETTER_HEAD) if warm_up else NAMES
    wanted = dict(model.named_parameters())
    copied = 0
    for name, value in _parts(folder):
        if name not in wanted or not name.startswith(learnt):
            continue  # of the other's warm-up, or deeper than ours
        if value.shape != wanted[name].shape:
            raise ModelError(
                f"{name} in {folder} is {tuple(value.shape)}, not {tuple(wanted[name].shape)}",
                "set the keys of `model` and `vision` to the folder's",
            )
        put(wanted[name], value)
        copied += 1
    if not copied:
        raise ModelError(
            f"{folder} has no weight of an encoder of images",
            "name the checkpoint of a run with `vision`, an export of one, or an InternViT folder",
        )


def _is_warm_up(folder: Path) -> bool:
    if not (folder / checkpoint.STATE).exists():
        return False
    return checkpoint.read_state(folder).config.get("learns") == "letters"


def _parts(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Every weight under the name that the model here has for it."""
    if (folder / checkpoint.SHARDED).exists():
        yield from load_model(folder)[0].named_parameters()
        return
    for stored, value in stored_tensors(folder):
        name = name_here(stored)
        if name.startswith(NAMES):
            yield name, value
        else:
            for ours, part in encoder_weights(name, value):
                yield f"vision_tower.{ours}", part


def load_model(folder: Path) -> tuple[VisionLanguageModel, VisionTrainConfig]:
    """The model of a checkpoint, in fp32 on the CPU, and the configuration of its training."""
    state = checkpoint.read_state(folder)
    config = build_settings(VisionTrainConfig, state.config)
    if config.vision is None or state.image_token is None:
        raise ModelError(f"the model in {folder} reads no images", "give a run with `vision`")
    model = VisionLanguageModel(
        config.model,
        config.vision,
        state.image_token,
        learns=config.learns,
        with_letters=config.learns_letters,
    )
    checkpoint.load_weights(folder, model)
    return model.eval(), config


def load_export(folder: Path) -> VisionLanguageModel:
    """The model of an export, in fp32 on the CPU. Raises ModelError if the folder holds none."""
    found = read_config(folder)
    if found.get("model_type") != MODEL_TYPE:
        raise ModelError(
            f"{folder} holds a model of type {found.get('model_type')!r}",
            "name an export of a model that reads images",
        )
    model = VisionLanguageModel(
        shape_of(found["text_config"], folder), read_vision(found, folder), found["image_token_id"]
    )
    load_parts(folder, model)
    return model.eval()
