"""The losses of a model that reads images: of its text, or of its encoder's warm-up."""

import torch
from corpusmill.trainer.loader import Batch
from corpusmill.trainer.loss import SummedLoss
from corpusmill.vision.letters import letter_loss
from corpusmill.vision.model import VisionLanguageModel
from corpusmill.vision.tiles import ImageTiles
from torch import Tensor


class ReadingLoss(SummedLoss):
    """The cross-entropy of the text behind the images, summed over its counted tokens."""

    model: VisionLanguageModel

    def __call__(self, batch: Batch) -> Tensor:
        document_ids = batch.document_ids if self.reset_at_documents else None

        def loss(hidden_BTD: Tensor, weight: Tensor) -> Tensor:
            z_loss = self.z_loss if torch.is_grad_enabled() else 0.0
            return self._head(hidden_BTD, weight, batch.tokens[:, 1:], batch.loss_mask, z_loss)

        pixels = batch.images.pixels if isinstance(batch.images, ImageTiles) else None
        summed: Tensor = self.model(batch.tokens[:, :-1], document_ids, loss, pixels)
        return summed


class LetterLoss(SummedLoss):
    """The cross-entropy of the letters in each patch, summed over the slots with a label.

    The language model does not run.
    """

    model: VisionLanguageModel

    def __call__(self, batch: Batch) -> Tensor:
        images = batch.images
        assert isinstance(images, ImageTiles)
        assert images.labels is not None
        return letter_loss(self.model.letter_logits(images.pixels), images.labels)
