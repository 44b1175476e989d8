"""The two-layer FFN between encoder and language model, in two forms.

`internvl` is what stock transformers and vLLM have. `report` is that of Nemotron-H's
vision-language models: a norm without bias, no biases, and the hidden width of the language model's
FFN (arXiv 2504.03624, section 4.1; sizes from Megatron-LM's `examples/multimodal/config.py`). Both
use squared ReLU.
"""

import torch.nn.functional as F
from corpusmill.trainer.layers import Linear, RMSNorm
from corpusmill.trainer.shape import HybridConfig
from corpusmill.vision import encoder
from corpusmill.vision.config import VisionConfig
from torch import Tensor, nn

TORCH_EPSILON = 1e-5  # of a LayerNorm that names none, as InternVL's


class InternVLProjector(nn.Module):
    """linear_2(relu(linear_1(norm(x))) ** 2), with biases."""

    def __init__(self, vision: VisionConfig, text: HybridConfig) -> None:
        super().__init__()
        self.layer_norm = encoder.LayerNorm(vision.joined_size, eps=TORCH_EPSILON)
        self.linear_1 = encoder.Linear(vision.joined_size, text.hidden_size)
        self.linear_2 = encoder.Linear(text.hidden_size, text.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear_2(F.relu(self.linear_1(self.layer_norm(x))).square())
        return y


class ReportProjector(nn.Module):
    """The same without biases, under an RMS norm, and as wide inside as the language model's FFN.

    The names are those of the published Nemotron vision-language folders.
    """

    def __init__(self, vision: VisionConfig, text: HybridConfig) -> None:
        super().__init__()
        self.norm = RMSNorm(vision.joined_size, text.norm_epsilon)
        self.linear1 = Linear(vision.joined_size, text.ffn_size)
        self.linear2 = Linear(text.ffn_size, text.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear2(F.relu(self.linear1(self.norm(x))).square())
        return y


def build(vision: VisionConfig, text: HybridConfig) -> nn.Module:
    """The projector that the settings name."""
    if vision.projector == "internvl":
        return InternVLProjector(vision, text)
    return ReportProjector(vision, text)
