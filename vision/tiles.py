"""The tiles of a batch of rows, and the labels of a warm-up, made from image files.

Letters in tensor names: N tiles, L patches, S slots of a patch.
"""

import functools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.vision.config import VisionConfig
from corpusmill.vision.letters import EMPTY, UNKNOWN, patch_labels
from corpusmill.vision.pixels import open_image, tiles
from torch import Tensor

if TYPE_CHECKING:
    from corpusmill.trainer.loader import RowExtras
    from corpusmill.trainer.rows import PageImage, Row
    from numpy.typing import NDArray

THREADS = 8  # Pillow decodes outside the interpreter's lock


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="images")


@dataclass(frozen=True)
class ImageTiles:
    """The tiles of all rows, row after row, and in a row document after document.

    pixels: (N, 3, tile, tile) uint8. counts: tiles of each row. labels: (N, L, S) int16 of the
    letters, or None. labels_count: they are the targets, and not the text: a warm-up.
    """

    pixels: Tensor
    counts: tuple[int, ...]
    labels: Tensor | None = None
    labels_count: bool = False

    @property
    def own_target_count(self) -> Tensor | None:
        """How many slots of patches have a label."""
        if self.labels is None or not self.labels_count:
            return None
        return (self.labels >= EMPTY).sum()

    def to(self, device: torch.device) -> "ImageTiles":
        labels = None if self.labels is None else self.labels.to(device, non_blocking=True)
        pixels = self.pixels.to(device, non_blocking=True)
        return replace(self, pixels=pixels, labels=labels)

    def pin_memory(self) -> "ImageTiles":
        labels = None if self.labels is None else self.labels.pin_memory()
        return replace(self, pixels=self.pixels.pin_memory(), labels=labels)

    def with_room(self, rows: int) -> "ImageTiles":
        """A copy with tiles to spare: one for each row, or a quarter more than there are.

        What is spare has no place in the text and no label. The counts are no longer of rows, so
        the copy cannot be split.
        """
        there = len(self.pixels)
        room = max(rows, there) if there <= rows else there + there // 4
        pixels = self.pixels.new_zeros(room, *self.pixels.shape[1:])
        labels = None
        if self.labels is not None:
            labels = self.labels.new_full((room, *self.labels.shape[1:]), UNKNOWN)
        counts = (room,) + (0,) * (rows - 1)
        copy = replace(self, pixels=pixels, counts=counts, labels=labels)
        assert copy.take(self)
        return copy

    def take(self, extras: "RowExtras") -> bool:
        """Copy others to the first places, as far as there is room; whether there was."""
        assert isinstance(extras, ImageTiles)
        count = len(extras.pixels)
        if count > len(self.pixels):
            return False
        self.pixels[:count].copy_(extras.pixels)
        if self.labels is not None and extras.labels is not None:
            self.labels[:count].copy_(extras.labels)
            self.labels[count:].fill_(UNKNOWN)
        return True

    def split(self, rows: int) -> "Iterator[ImageTiles]":
        """In pieces of `rows` rows."""
        start = 0
        for first in range(0, len(self.counts), rows):
            counts = self.counts[first : first + rows]
            stop = start + sum(counts)
            labels = None if self.labels is None else self.labels[start:stop]
            yield replace(self, pixels=self.pixels[start:stop], counts=counts, labels=labels)
            start = stop


class TileReader:
    """Makes the tiles of rows. with_labels: and their letters. labels_count: as in `ImageTiles`.

    Raises CorpusmillError if a document has another number of image tokens than its tiles need.
    """

    def __init__(
        self,
        config: VisionConfig,
        image_token: int,
        with_labels: bool = False,
        labels_count: bool = False,
    ) -> None:
        self.config = config
        self.image_token = image_token
        self.with_labels = with_labels
        self.labels_count = labels_count

    def __call__(self, rows: "Sequence[Row]") -> ImageTiles:
        images = [image for row in rows for image in row.images]
        if torch.utils.data.get_worker_info() is None:
            made = list(_threads().map(self._tiles, images))
        else:  # in one of several processes, which threads would only hinder
            made = list(map(self._tiles, images))
        found = iter([len(pixels) for pixels, _ in made])
        counts = tuple(self._count(row, [next(found) for _ in row.images]) for row in rows)
        made.append(self._tiles(None))  # there may be no image at all
        pixels = torch.from_numpy(np.concatenate([pixels for pixels, _ in made]))
        labels = None
        if self.with_labels:
            labels = torch.from_numpy(np.concatenate([labels for _, labels in made]))
        return ImageTiles(pixels, counts, labels, self.labels_count)

    def _count(self, row: "Row", tiles: Sequence[int]) -> int:
        """The tiles of a row with so many of each document, if its tokens have places for them."""
        begin = 0
        for document, count in zip(row.documents, tiles, strict=True):
            first, last = document.span
            end = begin + last - first
            places = int((row.tokens[begin:end] == self.image_token).sum())
            needed = count * self.config.tokens_per_tile
            if places != needed:
                raise CorpusmillError(
                    f"document {document.id} has {places} image tokens, its {count} tiles "
                    f"need {needed}",
                    "pack again with the tiling of train.vision as pack.images",
                )
            begin = end
        return sum(tiles)

    def _tiles(self, image: "PageImage | None") -> "tuple[NDArray[np.uint8], NDArray[np.int16]]":
        """The tiles of one image and their labels; none without an image."""
        size, patches = self.config.tile_size, self.config.patches_per_side**2
        if image is None:
            return (
                np.empty((0, 3, size, size), np.uint8),
                np.empty((0, patches, self.config.letter_slots), np.int16),
            )
        picture = open_image(image.content)
        grid, pixels = tiles(picture, self.config)
        labels = np.empty((0, patches, self.config.letter_slots), np.int16)
        if self.with_labels:
            labels = patch_labels(image.letters, image.x, image.y, picture.size, grid, self.config)
        return pixels, labels
