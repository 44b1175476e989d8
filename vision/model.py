"""The vision-language model: tokens of image tiles take their places among the text's tokens.

The design is NVLM-D's, as Nemotron-H uses it (arXiv 2504.03624, section 4.1): encoder, pixel
shuffle, projector, and the hybrid language model, which reads image tokens like any other. Letters
in tensor names: B rows, T time, D width of the language model, N tiles, X tokens of a tile.
"""

import functools
import math
from collections.abc import Iterator
from typing import ClassVar

import torch
from corpusmill.trainer.attention import Documents
from corpusmill.trainer.model import TEXT_PARTS, Head, HybridModel, initialise
from corpusmill.trainer.shape import HybridConfig
from corpusmill.trainer.sharding import put
from corpusmill.vision import projector
from corpusmill.vision.config import Learns, VisionConfig
from corpusmill.vision.encoder import InternViT, join_patches
from corpusmill.vision.letters import LetterHead
from corpusmill.vision.pixels import MEAN, STANDARD_DEVIATION
from torch import Tensor, nn

SMALL_STD = 0.02  # of first weights outside the encoder's layers


class VisionLanguageModel(HybridModel):
    """A hybrid language model that reads images, too. Weights are fp32 and not yet initialised.

    image_token: the id that holds an image token's place in the text. learns: which part gets
    gradients: all, the projector alone, or the encoder by the letters in its patches.
    with_letters: with a head for these letters.
    """

    forward_methods: ClassVar[tuple[str, ...]] = ("letter_logits", "read_with_letters")

    def __init__(
        self,
        text: HybridConfig,
        vision: VisionConfig,
        image_token: int,
        compute_dtype: torch.dtype = torch.float32,
        learns: Learns = "all",
        with_letters: bool = False,
    ) -> None:
        super().__init__(text, compute_dtype)
        self.vision_config = vision
        self.image_token = image_token
        self.vision_tower = InternViT(vision)
        self.multi_modal_projector = projector.build(vision, text)
        if learns != "all":
            self.requires_grad_(False)
        if learns == "projector":
            self.multi_modal_projector.requires_grad_(True)
        if learns == "letters":
            self.vision_tower.requires_grad_(True)
        if with_letters:
            self.letter_head = LetterHead(vision).requires_grad_(learns != "projector")

    def sharded_units(self) -> list[nn.Module]:
        """The layers of the encoder, the projector, the head for letters, the text's layers."""
        heads = [self.letter_head] if hasattr(self, "letter_head") else []
        eyes = [*self.vision_tower.encoder.layer, self.multi_modal_projector, *heads]
        return [*eyes, *super().sharded_units()]

    def image_tokens(self, pixels: Tensor) -> Tensor:
        """Tiles (N, 3, tile, tile) -> (N, tokens_per_tile, D). uint8 pixels are normalised."""
        return self.projected(self.patches(pixels))

    def projected(self, patches_NLD: Tensor) -> Tensor:
        """Vectors of patches -> image tokens (N, tokens_per_tile, D)."""
        tokens: Tensor = self.multi_modal_projector(join_patches(patches_NLD))
        return tokens

    def embed_images(self, tokens_BT: Tensor, images_NXD: Tensor) -> Tensor:
        """What enters the first layer (B, T, D): image tokens at their places, the text's else.

        The n-th place takes the n-th token. Nothing waits for the device to count places.
        """
        places_BT = tokens_BT == self.image_token
        number_X = (places_BT.flatten().cumsum(0) - 1).clamp(min=0)
        images_XD = images_NXD.flatten(0, 1).index_select(0, number_X)
        images_BTD = images_XD.unflatten(0, tokens_BT.shape)
        return torch.where(places_BT.unsqueeze(-1), images_BTD, self.embed(tokens_BT))

    def letter_logits(self, pixels: Tensor) -> Tensor:
        """Tiles -> logits (N, L, S x C) of the letters in each patch. Only with a head for them."""
        logits: Tensor = self.letter_head(self.patches(pixels))
        return logits

    def patches(self, pixels: Tensor) -> Tensor:
        """Tiles -> vectors of their patches (N, L, D of the encoder)."""
        if pixels.dtype == torch.uint8:
            pixels = normalised(pixels)
        patches: Tensor = self.vision_tower(pixels.to(self.compute_dtype))
        return patches

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
        if pixels is None or not len(pixels):
            return super().forward(tokens_BT, document_ids, head)
        return self.read(tokens_BT, self.image_tokens(pixels), document_ids, head)

    def read_with_letters(
        self, tokens_BT: Tensor, pixels: Tensor, document_ids: Tensor | None, head: Head
    ) -> tuple[Tensor, Tensor]:
        """(What `head` makes of the hidden states, logits of the letters), in one pass."""
        patches_NLD = self.patches(pixels)
        made = self.read(tokens_BT, self.projected(patches_NLD), document_ids, head)
        return made, self.letter_head(patches_NLD)

    def read(
        self,
        tokens_BT: Tensor,
        images_NXD: Tensor,
        document_ids: Tensor | None = None,
        head: Head | None = None,
    ) -> Tensor:
        """As `forward`, from the image tokens of all rows."""
        documents = None if document_ids is None else Documents.of(document_ids)
        hidden_BTD = self.run(self.embed_images(tokens_BT, images_NXD), documents)
        return self.lm_head(hidden_BTD) if head is None else head(hidden_BTD, self.lm_head.weight)


def normalised(pixels: Tensor) -> Tensor:
    """uint8 tiles (N, 3, H, W) as float32, by the mean and deviation of ImageNet."""
    mean, deviation = _statistics(pixels.device)
    return (pixels.float() / 255 - mean) / deviation


@functools.cache
def _statistics(device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and deviation of ImageNet, copied to a device once."""
    mean, deviation = (
        torch.tensor(values, device=device).view(3, 1, 1) for values in (MEAN, STANDARD_DEVIATION)
    )
    return mean, deviation


def vision_parameters(model: VisionLanguageModel) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters of the encoder, the projector and the warm-up, by name."""
    for name, parameter in model.named_parameters():
        if not name.startswith(TEXT_PARTS):
            yield name, parameter


def parameter_counts(text: HybridConfig, vision: VisionConfig) -> dict[str, int]:
    """Parameters of each part of a model of this shape; takes no memory."""
    with torch.device("meta"):
        model = VisionLanguageModel(text, vision, 0)
    return {
        name: sum(parameter.numel() for parameter in part.parameters())
        for name, part in model.named_children()
    }


@torch.no_grad()
def initialise_vision(model: VisionLanguageModel, seed: int) -> None:
    """Fill all weights. The language model's are as `trainer.model.initialise` has them.

    Matrices of the encoder are normal with standard deviation 1 / sqrt(inputs); those of projector
    and warm-up, position embeddings and the class token 0.02; biases are 0; norms and LayerScale
    are 1. Published encoders begin with 0.02 and LayerScale 0.1: then a small one that learns from
    nothing takes about twice as many steps to know a letter (docs/lab-log.md).
    """
    initialise(model, seed)
    generator = torch.Generator("cpu").manual_seed(seed + 1)
    for name, parameter in vision_parameters(model):
        if parameter.ndim >= 2:
            value = torch.empty(parameter.shape)
            value.normal_(0, _first_spread(name, parameter), generator=generator)
        else:
            value = torch.full(parameter.shape, 0.0 if name.endswith("bias") else 1.0)
        put(parameter, value)


def _first_spread(name: str, parameter: nn.Parameter) -> float:
    """The standard deviation of a matrix's first values."""
    small = name.startswith(("multi_modal_projector.", "letter_head."))
    if small or name.endswith(("embeddings", "cls_token")):
        return SMALL_STD
    return 1 / math.sqrt(math.prod(parameter.shape[1:]))  # inputs
