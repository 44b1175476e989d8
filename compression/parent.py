"""Load the model that is to be made smaller, or that teaches."""

from pathlib import Path

import torch
from corpusmill.trainer.importing import load_folder
from corpusmill.trainer.model import HybridModel, Linear
from torch import nn


def load_model(folder: Path, device: torch.device, dtype: torch.dtype) -> HybridModel:
    """The model of a NemotronHForCausalLM folder, for forward passes only.

    Matrices are stored in `dtype`, in which they are used anyway. All else stays float32. Raises
    ModelError if the folder holds no such model.
    """
    model = load_folder(folder, dtype)
    for module in model.modules():
        if isinstance(module, Linear | nn.Embedding):
            module.to(dtype)
    return model.to(device).requires_grad_(False).eval()
