"""The vision-language model: tokens of image tiles take their places among the text's tokens.

The design is NVLM-D's, as Nemotron-H uses it (arXiv 2504.03624, section 4.1): encoder, pixel
shuffle, projector, and the hybrid language model, which reads image tokens like any other. Letters
in tensor names: B rows, T time, D width of the language model, N tiles.
"""

import torch
from corpusmill.trainer.attention import Documents
from corpusmill.trainer.config import HybridConfig
from corpusmill.trainer.model import Head, HybridModel, initialise
from corpusmill.trainer.vision import projector
from corpusmill.trainer.vision.config import VisionConfig
from corpusmill.trainer.vision.encoder import LAYER_SCALE, InternViT, join_patches
from torch import Tensor, nn

ENCODER_STD = 0.02  # of the encoder's and the projector's first weights


class VisionLanguageModel(nn.Module):
    """A hybrid language model with eyes. Weights are fp32 and not yet initialised.

    image_token: the id that holds an image token's place in the text.
    """

    def __init__(
        self,
        text: HybridConfig,
        vision: VisionConfig,
        image_token: int,
        compute_dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.vision_config = vision
        self.image_token = image_token
        self.vision_tower = InternViT(vision)
        self.multi_modal_projector = projector.build(vision, text)
        self.language_model = HybridModel(text, compute_dtype)

    @property
    def config(self) -> HybridConfig:
        return self.language_model.config

    def image_tokens(self, pixels: Tensor) -> Tensor:
        """(N, 3, tile, tile) normalised pixels -> (N, tokens_per_tile, D)."""
        patches = self.vision_tower(pixels.to(self.language_model.compute_dtype))
        tokens: Tensor = self.multi_modal_projector(join_patches(patches))
        return tokens

    def forward(
        self,
        tokens_BT: Tensor,
        document_ids: Tensor | None = None,
        head: Head | None = None,
        pixels: Tensor | None = None,
    ) -> Tensor:
        """Logits (B, T, vocab), or what `head` makes of the hidden states and its weight.

        pixels: the tiles of all rows in the order of their places, first row first. There may be
        more tiles than places; the last ones are then padding.
        """
        model = self.language_model
        x_BTD = model.embed(tokens_BT)
        if pixels is not None:
            places = (tokens_BT == self.image_token).unsqueeze(-1)
            x_BTD = x_BTD.masked_scatter(places, self.image_tokens(pixels))
        documents = None if document_ids is None else Documents.of(document_ids)
        hidden_BTD = model.run(x_BTD, documents)
        return model.lm_head(hidden_BTD) if head is None else head(hidden_BTD, model.lm_head.weight)


def parameter_counts(text: HybridConfig, vision: VisionConfig) -> dict[str, int]:
    """Parameters of the encoder, the projector and the language model; takes no memory."""
    with torch.device("meta"):
        model = VisionLanguageModel(text, vision, 0)
    return {
        name: sum(parameter.numel() for parameter in part.parameters())
        for name, part in model.named_children()
    }


@torch.no_grad()
def initialise_vision(model: VisionLanguageModel, seed: int) -> None:
    """Fill all weights. The language model's are as `trainer.model.initialise` has them.

    Matrices, position embeddings and the class token of the encoder and projector are normal with
    standard deviation 0.02; biases are 0; norms and LayerScale keep their first values.
    """
    initialise(model.language_model, seed)
    generator = torch.Generator("cpu").manual_seed(seed + 1)
    for part in (model.vision_tower, model.multi_modal_projector):
        for name, parameter in part.named_parameters():
            if parameter.ndim >= 2:
                value = torch.empty(parameter.shape).normal_(0, ENCODER_STD, generator=generator)
            elif name.endswith("bias"):
                value = torch.zeros(parameter.shape)
            else:
                value = torch.full(parameter.shape, LAYER_SCALE if "lambda" in name else 1.0)
            parameter.copy_(value)
