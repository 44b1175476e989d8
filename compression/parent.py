"""Load the model that is to be made smaller, or that teaches."""

from pathlib import Path

import torch
from corpusmill.trainer.importing import load_pretrained, read_shape
from corpusmill.trainer.model import HybridModel, Linear
from torch import nn


def load_model(folder: Path, device: torch.device, dtype: torch.dtype) -> HybridModel:
    """The model of a NemotronHForCausalLM folder, for forward passes only.

    Matrices are stored in `dtype`, in which they are used anyway. All else stays float32. Raises
    ModelError if the folder holds no such model.
    """
    with torch.device("meta"):
        model = HybridModel(read_shape(folder), dtype)
    model.to_empty(device="cpu")
    load_pretrained(folder, model)
    for module in model.modules():
        if isinstance(module, Linear | nn.Embedding):
            module.to(dtype)
    return model.to(device).requires_grad_(False).eval()


def compute_dtype(name: str, device: torch.device) -> torch.dtype:
    """The dtype of the setting `dtype`. auto: bfloat16 on a GPU, else float32."""
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    found: torch.dtype = getattr(torch, name)
    return found
