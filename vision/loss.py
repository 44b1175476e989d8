"""The losses of a model that reads images: of its text, or of its encoder's warm-up."""

import torch
from corpusmill.trainer.loader import Batch
from corpusmill.trainer.loss import SummedLoss
from corpusmill.trainer.model import Head
from corpusmill.vision.config import VisionTrainConfig
from corpusmill.vision.letters import letter_loss
from corpusmill.vision.model import VisionLanguageModel
from corpusmill.vision.tiles import ImageTiles
from torch import Tensor


class ReadingLoss(SummedLoss):
    """The cross-entropy of the text behind the images, summed over its counted tokens.

    With `letter_weight`, that of the letters in each patch, times the weight, is added where
    gradients are taken.
    """

    model: VisionLanguageModel

    def __init__(self, model: VisionLanguageModel, config: VisionTrainConfig) -> None:
        super().__init__(model, config)
        self.letter_weight = config.letter_weight if config.learns == "all" else 0.0

    def __call__(self, batch: Batch) -> Tensor:
        images = batch.extras
        if not (self.letter_weight and isinstance(images, ImageTiles) and len(images.pixels)):
            return super().__call__(batch)
        if images.labels is None or not torch.is_grad_enabled():
            return super().__call__(batch)
        patches_NLD = self.model.patches(images.pixels)
        text = self.model.read(
            batch.tokens[:, :-1],
            self.model.projected(patches_NLD),
            self.document_ids(batch),
            self.loss_of(batch),
        )
        letters = letter_loss(self.model.letter_head(patches_NLD), images.labels)
        return text + self.letter_weight * letters

    def read(self, batch: Batch, head: Head) -> Tensor:
        pixels = batch.extras.pixels if isinstance(batch.extras, ImageTiles) else None
        return self.model(batch.tokens[:, :-1], self.document_ids(batch), head, pixels)


class LetterLoss(SummedLoss):
    """The cross-entropy of the letters in each patch, summed over the slots with a label.

    The language model does not run.
    """

    model: VisionLanguageModel

    def __call__(self, batch: Batch) -> Tensor:
        images = batch.extras
        assert isinstance(images, ImageTiles)
        assert images.labels is not None
        return letter_loss(self.model.letter_logits(images.pixels), images.labels)
