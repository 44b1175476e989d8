"""Images in token shards: the tokens that hold their places, and which images can be read.

A row with an image begins with its tokens: a mark, each tile's tag and places, a mark. The text
follows, and only the text counts in the loss. The image itself travels in the row. A question, if
the row has one, stands between image and text as it is, and does not count.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from corpusmill.manifests.errors import ModelError
from corpusmill.manifests.schema import IMAGE, LETTERS, LICENCE, QUESTION
from corpusmill.stages.tokenizer.loaded import LoadedTokenizer, load, portable_files
from corpusmill.vision.config import Tiling
from corpusmill.vision.pixels import ImageError, open_image
from corpusmill.vision.shards import ImageFacts
from corpusmill.vision.tiling import choose_grid
from corpusmill.vision.tokens import ImageTokens, with_image_tokens

COLUMNS = (IMAGE, *LETTERS, LICENCE)  # of a token shard with images, beside its own


@dataclass(frozen=True)
class ImagePacking:
    """How images become tokens. tokenizer: the one that knows the marks. files: of it."""

    tiling: Tiling
    marks: ImageTokens
    tokenizer: LoadedTokenizer
    files: dict[str, bytes]

    @classmethod
    def of(cls, tiling: Tiling, tokenizer: LoadedTokenizer) -> "ImagePacking":
        files, marks = with_image_tokens(portable_files(tokenizer))
        with tempfile.TemporaryDirectory() as folder:
            for name, data in files.items():
                Path(folder, name).write_bytes(data)
            return cls(tiling, marks, load(folder), files)

    @property
    def facts(self) -> dict[str, str]:
        """What footers tell the trainer: which token is an image's, and the tiling."""
        return ImageFacts(self.marks.place, self.tiling).footer

    def prompts(self, rows: pa.Table) -> list[list[int] | ImageError]:
        """For each row, the tokens of its image and its question, or why the image cannot be read.

        Empty without an image: a question alone is not read.
        """
        images = rows[IMAGE.name].to_pylist()
        questions = rows[QUESTION.name].to_pylist()
        asked = self.tokenizer.encode([question or "" for question in questions])
        return [
            [] if image is None else self._prompt(image, question)
            for image, question in zip(images, asked, strict=True)
        ]

    def _prompt(self, content: bytes, question: list[int]) -> list[int] | ImageError:
        try:
            image = open_image(content)
        except ImageError as error:
            return error
        grid = choose_grid(image.width, image.height, self.tiling.tile_size, self.tiling.max_tiles)
        tokens = self.marks.around(grid, self.tiling, lambda tag: self.tokenizer.encode([tag])[0])
        return tokens + question


def refuse_images(table: pa.Table) -> None:
    """Raises ModelError if rows have images, which packing without `images` would drop."""
    if IMAGE.name in table.column_names and table[IMAGE.name].null_count < table.num_rows:
        raise ModelError(
            "the input has images, and pack would leave them out",
            "set pack.images to the tiling of your model, such as {tile_size: 448}",
        )
