"""The losses of a model that reads images: of its text, or of its encoder's warm-up."""

from corpusmill.trainer.loader import Batch
from corpusmill.trainer.loss import SummedLoss
from corpusmill.trainer.model import Head
from corpusmill.vision.letters import letter_loss
from corpusmill.vision.model import VisionLanguageModel
from corpusmill.vision.tiles import ImageTiles
from torch import Tensor


class ReadingLoss(SummedLoss):
    """The cross-entropy of the text behind the images, summed over its counted tokens."""

    model: VisionLanguageModel

    def read(self, batch: Batch, head: Head) -> Tensor:
        pixels = batch.images.pixels if isinstance(batch.images, ImageTiles) else None
        return self.model(batch.tokens[:, :-1], self.document_ids(batch), head, pixels)


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
