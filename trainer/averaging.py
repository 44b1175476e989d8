"""Average a trained model with what it was before, so that it loses less of what it knew.

Wortsman et al. 2022 (arXiv 2109.01903) average a model's weights before and after its fine-tuning:
on what it knew before, the average comes close to the first, and on the new task to the second.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from corpusmill.trainer.importing import load_pretrained
from corpusmill.trainer.model import HybridModel, text_parameters


@dataclass(frozen=True)
class Earlier:
    """folder: the language model before. share: its part of each weight, between 0 and 1."""

    folder: Path
    share: float


@torch.no_grad()
def average(model: HybridModel, earlier: Earlier) -> None:
    """Make each weight of the language model (1 - share) * weight + share * the earlier one.

    What the earlier model has not keeps its weights: the rows of tokens that are new since, and the
    image parts. Raises ModelError if the folder holds no model of the same shape.
    """
    with torch.device("meta"):
        before = HybridModel(model.config)
    before.to_empty(device="cpu")
    now, weights = text_parameters(model), text_parameters(before)
    for name, parameter in now.items():
        weights[name].copy_(parameter)  # rows of new tokens stay so
    load_pretrained(earlier.folder, before)
    for name, parameter in now.items():
        parameter.lerp_(weights[name], earlier.share)
