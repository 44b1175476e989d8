"""The losses of a model that reads images: of its text, or of its encoder's warm-up.

Ranks that share the weights gather them together. So each of them runs the encoder in every pass:
over a blank tile, if its rows have no image.
"""

import torch
from corpusmill.trainer.loader import Batch
from corpusmill.trainer.loss import SummedLoss
from corpusmill.trainer.model import Head
from corpusmill.trainer.sharding import is_sharded
from corpusmill.vision.config import VisionTrainConfig
from corpusmill.vision.flops import layer_flops, most_tiles, row_flops
from corpusmill.vision.letters import letter_loss
from corpusmill.vision.model import VisionLanguageModel
from corpusmill.vision.tiles import ImageTiles
from torch import Tensor


class ImageLoss(SummedLoss):
    """What both losses share: a rank's tiles, and how much work they are."""

    model: VisionLanguageModel

    def __init__(self, model: VisionLanguageModel, config: VisionTrainConfig) -> None:
        super().__init__(model, config)
        self.learns = config.learns
        self.letter_weight = config.letter_weight if config.learns == "all" else 0.0
        self.most_tiles = most_tiles(model.vision_config, config.sequence_length, config.pack)
        self.sharded = is_sharded(model)

    def flops(self, batch: Batch) -> float:
        rows, tiles = len(batch.tokens), len(tiles_of(batch, at_least_one=False).pixels)
        vision, text, letters = self.model.vision_config, self.model.config, self.letter_weight > 0
        a_row = row_flops(vision, text, self.length, tiles / rows, self.learns, letters)
        return rows * a_row

    def layer_flops(self, rows: int) -> float | None:
        text = None if self.learns == "letters" else self.model.config
        a_row = layer_flops(self.model.vision_config, text, self.length, self.most_tiles)
        return rows * a_row


class ReadingLoss(ImageLoss):
    """The cross-entropy of the text behind the images, summed over its counted tokens.

    With `letter_weight`, that of the letters in each patch, times the weight, is added where
    gradients are taken.
    """

    def __call__(self, batch: Batch) -> Tensor:
        images = tiles_of(batch, self.sharded)
        if not (self.letter_weight and torch.is_grad_enabled() and images.labels is not None):
            return super().__call__(batch)
        if not len(images.pixels):
            return super().__call__(batch)
        text, logits = self.model.read_with_letters(
            batch.tokens[:, :-1], images.pixels, self.document_ids(batch), self.loss_of(batch)
        )
        return text + self.letter_weight * letter_loss(logits, images.labels)

    def read(self, batch: Batch, head: Head) -> Tensor:
        pixels = tiles_of(batch, self.sharded).pixels
        return self.model(batch.tokens[:, :-1], self.document_ids(batch), head, pixels)


class LetterLoss(ImageLoss):
    """The cross-entropy of the letters in each patch, summed over the slots with a label.

    The language model does not run.
    """

    def __call__(self, batch: Batch) -> Tensor:
        images = tiles_of(batch, self.sharded)
        assert images.labels is not None
        return letter_loss(self.model.letter_logits(images.pixels), images.labels)


def tiles_of(batch: Batch, at_least_one: bool) -> ImageTiles:
    """The tiles of a batch's rows. at_least_one: a blank one without a label, if there is none."""
    images = batch.extras
    assert isinstance(images, ImageTiles)
    return images.with_room(1) if at_least_one and not len(images.pixels) else images
