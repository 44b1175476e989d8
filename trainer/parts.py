"""What a run is made of besides the loop. Another kind of training replaces some of it.

Distillation replaces the loss. A model that reads images replaces the model, its first weights, the
loss, and what is read of a row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.importing import load_pretrained
from corpusmill.trainer.loader import ReadExtras
from corpusmill.trainer.loss import SummedLoss
from corpusmill.trainer.model import HybridModel, initialise

Metadata = Mapping[bytes, bytes]  # of the token shards' footers
NO_METADATA: Metadata = {}


def text_model(config: TrainConfig, metadata: Metadata, dtype: torch.dtype) -> HybridModel:
    """A language model without weights."""
    return HybridModel(config.model, dtype)


def text_weights(config: TrainConfig, model: HybridModel) -> None:
    """Take the first weights from the folder that the settings name, if they do."""
    if config.init_from is not None:
        load_pretrained(Path(config.init_from), model)


Read = Callable[[int, HybridModel], Mapping[str, float]]  # finished steps, model -> figures


@dataclass(frozen=True)
class Gauging:
    """Measurements while a model trains: every `every` steps, and after the last one.

    make: called once, on the first rank. What it returns measures the model as it lies in memory,
    and leaves it as it was.
    """

    every: int
    make: Callable[[HybridModel, TrainConfig], Read]


@dataclass(frozen=True)
class Parts:
    """The parts of a run. They must be picklable: every rank gets them.

    make_model: the model without weights in a compute dtype; called on the meta device.
    initialise: fills it by a seed. load_weights: copies first weights from folders. make_loss: the
    loss of a model that is ready; called once. columns: of the token shards, beside the trainer's
    own. make_extras_reader: what makes more than tokens of a batch's rows, such as images. gauging:
    what is measured at checkpoints; None measures nothing.
    """

    make_model: Callable[[TrainConfig, Metadata, torch.dtype], HybridModel] = text_model
    initialise: Callable[[HybridModel, int], None] = initialise
    load_weights: Callable[[TrainConfig, HybridModel], None] = text_weights
    make_loss: Callable[[HybridModel, TrainConfig], SummedLoss] = SummedLoss
    columns: tuple[str, ...] = ()
    make_extras_reader: Callable[[TrainConfig, Metadata], ReadExtras] | None = None
    gauging: Gauging | None = None


TEXT = Parts()
