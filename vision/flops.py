"""The arithmetic of a tile, beside that of the text's tokens in `trainer.flops`.

A matrix product of P weights costs a token 2 P forward and 4 P backward; attention over L patches
costs a tile 4 L^2 D a layer forward. What does not learn has no product for its weights, and what
lies before everything that learns has no backward at all.
"""

from corpusmill.trainer.config import Packing
from corpusmill.trainer.flops import flops_per_token, layer_flops_per_token
from corpusmill.trainer.shape import HybridConfig
from corpusmill.vision.config import Learns, Tiling, VisionConfig
from corpusmill.vision.encoder import CHANNELS
from corpusmill.vision.letters import CLASSES


def encoder_flops(vision: VisionConfig) -> float:
    """Of a tile, forward."""
    width, patches = vision.hidden_size, vision.patches_per_side**2
    length = patches + 1  # with the class token
    layer = 2 * length * (4 * width**2 + 2 * width * vision.ffn_size) + 4 * length**2 * width
    return vision.layers * layer + 2 * patches * CHANNELS * vision.patch_size**2 * width


def most_tiles(vision: Tiling, length: int, pack: Packing) -> int:
    """Of a row of `length` tokens: those of one image, or all that there are tokens for."""
    there = length // vision.tokens_per_tile
    if pack == "best_fit":
        return there
    return min(there, vision.max_tiles + 1 if vision.max_tiles > 1 else 1)


def layer_flops(vision: VisionConfig, text: HybridConfig | None, length: int, tiles: int) -> float:
    """Of a layer's forward and backward over a row with so many tiles.

    The mean of all layers, without the heads and the projector. text: None if the encoder runs
    alone.
    """
    work, layers = 3 * tiles * encoder_flops(vision), vision.layers
    if text is not None:
        work += length * len(text.pattern) * layer_flops_per_token(text, length)
        layers += len(text.pattern)
    return work / layers


def projector_flops(vision: VisionConfig, text: HybridConfig) -> float:
    """Of a tile, forward."""
    inside = text.hidden_size if vision.projector == "internvl" else text.ffn_size
    weights = vision.joined_size * inside + inside * text.hidden_size
    return 2 * vision.tokens_per_tile * weights


def letter_flops(vision: VisionConfig) -> float:
    """Of a tile's letters, forward, by the head that names them."""
    patches = vision.patches_per_side**2
    return 2 * patches * vision.hidden_size * vision.letter_slots * CLASSES


def row_flops(
    vision: VisionConfig,
    text: HybridConfig,
    length: int,
    tiles: float,
    learns: Learns,
    names_letters: bool = False,
) -> float:
    """Of a training step over a row of `length` tokens with so many tiles.

    names_letters: with `learns` all, whether letters have a loss, too.
    """
    encoder = encoder_flops(vision)
    if learns == "letters":
        return tiles * 3 * (encoder + letter_flops(vision))
    projector = projector_flops(vision, text)
    language = length * flops_per_token(text, length)  # forward and backward
    if learns == "projector":
        # No gradients of the language model's weights: two thirds of its products.
        return tiles * (encoder + 3 * projector) + language * 2 / 3
    letters = letter_flops(vision) if names_letters else 0.0
    return tiles * 3 * (encoder + projector + letters) + language
