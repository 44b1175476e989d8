"""The warm-up of an encoder: every patch says which letters stand in it.

A small vision-language model that is trained as a whole from its first weights does not learn to
read: nothing tells the encoder which pixels matter. Rendered pages know where each letter stands,
so the encoder learns that first, patch by patch. The labels cost nothing.

Letters in tensor names: N tiles, L patches, D width, S slots of a patch, C classes.
"""

import string
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from corpusmill.vision.config import VisionConfig
from corpusmill.vision.encoder import Linear
from corpusmill.vision.tiling import Grid
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

KNOWN = string.ascii_letters + string.digits + string.punctuation
EMPTY, OTHER = 0, 1  # no letter; a letter that is not KNOWN
CLASSES = 2 + len(KNOWN)
UNKNOWN = -1  # of patches without labels; they count for nothing
_CLASS_OF = {letter: number for number, letter in enumerate(KNOWN, start=2)}


def patch_labels(
    letters: str,
    x: "Sequence[int]",
    y: "Sequence[int]",
    size: tuple[int, int],
    grid: Grid,
    config: VisionConfig,
) -> "NDArray[np.int16]":
    """(tiles, L, slots): the classes of the letters in each patch, from left to right.

    x, y: the middle of each letter in an image of `size` pixels (width, height). A patch holds the
    letters whose middle lies in it; what is beyond its slots is left out. A thumbnail is UNKNOWN.
    """
    side, patches = config.patches_per_side, config.patches_per_side**2
    labels = np.full((grid.tiles, patches, config.letter_slots), EMPTY, np.int16)
    labels[grid.cells :] = UNKNOWN
    columns = np.asarray(x, np.int64) * grid.columns * side // size[0]
    rows = np.asarray(y, np.int64) * grid.rows * side // size[1]
    tile = rows // side * grid.columns + columns // side
    patch = rows % side * side + columns % side
    filled = np.zeros((grid.tiles, patches), np.int64)
    for number in np.argsort(np.asarray(x), kind="stable"):
        place = int(tile[number]), int(patch[number])
        if filled[place] < config.letter_slots:
            labels[(*place, filled[place])] = _CLASS_OF.get(letters[number], OTHER)
            filled[place] += 1
    return labels


class LetterHead(Linear):
    """A classifier of the letters in each slot of a patch: (N, L, D) -> logits (N, L, S x C)."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__(config.hidden_size, config.letter_slots * CLASSES)


def letter_loss(logits: Tensor, labels_NLS: Tensor) -> Tensor:
    """Cross-entropy summed over all slots with a label. logits: of a `LetterHead`."""
    return F.cross_entropy(
        logits.float().reshape(-1, CLASSES),
        labels_NLS.long().flatten(),
        ignore_index=UNKNOWN,
        reduction="sum",
    )


@torch.no_grad()
def letter_accuracy(logits: Tensor, labels_NLS: Tensor) -> tuple[int, int]:
    """(letters that were recognised in their slot, letters)."""
    there = labels_NLS > EMPTY
    named_NLS = logits.reshape(*labels_NLS.shape, CLASSES).argmax(-1)
    right = (named_NLS == labels_NLS) & there
    return int(right.sum()), int(there.sum())
