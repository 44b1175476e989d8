"""How pages look: the settings of their paper, and the look of one page, which its seed draws."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.settings import Settings
from corpusmill.stages.render.blocks import Kind
from corpusmill.stages.render.fonts import Face, ascent
from corpusmill.stages.render.mathtext import STYLES
from PIL import Image
from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator

HEADING_SCALE = 1.3
LEAST_COLUMN = 14  # font sizes: a narrower column holds few words


class Paper(Settings):
    """Size of a page, and how rough it may be."""

    width: PositiveInt = 448
    """Pixels."""
    height: PositiveInt = 448
    """Pixels."""
    min_font_size: PositiveInt = 11
    """Pixels."""
    max_font_size: PositiveInt = 22
    """Pixels."""
    max_columns: PositiveInt = 2
    """Columns of text at most. Narrow pages have fewer."""
    max_rotation: NonNegativeFloat = 1.5
    """Degrees."""
    max_noise: NonNegativeFloat = 8.0
    """Standard deviation of the grain, in grey levels of 256."""
    max_blur: NonNegativeFloat = 0.6
    """Radius in pixels."""
    min_jpeg_quality: int | None = Field(default=60, ge=1, le=95)
    """Pages are JPEG files of a random quality from here to 95. Null: PNG, without loss and five
    times as large where there is grain."""

    @model_validator(mode="after")
    def _holds_text(self) -> Self:
        if self.min_font_size > self.max_font_size:
            raise RecipeError(
                f"min_font_size {self.min_font_size} is above max_font_size {self.max_font_size}",
                "swap them",
            )
        if min(self.width, self.height) < 6 * self.max_font_size:
            raise RecipeError(
                f"a page of {self.width} x {self.height} pixels holds no text of "
                f"{self.max_font_size} pixels",
                "make the page larger or lower paper.max_font_size",
            )
        return self

    @property
    def most_letters(self) -> int:
        """More letters than a page can hold. A letter is at least a third as wide as high."""
        return 3 * self.width * self.height // self.min_font_size**2


@dataclass(frozen=True)
class Look:
    """How one page is drawn. rotation: degrees. noise: standard deviation in grey levels."""

    face: Face
    code_face: Face
    size: int
    spacing: float
    margin: int
    columns: int
    ink: int
    ground: int
    rotation: float
    noise: float
    blur: float
    quality: int | None
    noise_seed: int

    def font_size(self, kind: Kind) -> int:
        return round(self.size * HEADING_SCALE) if kind == "heading" else self.size

    def path(self, kind: Kind) -> str:
        return (self.code_face if kind in ("code", "table") else self.face).path

    def line_height(self, kind: Kind) -> int:
        return round(self.font_size(kind) * self.spacing)

    def baseline(self, kind: Kind) -> int:
        """Pixels below the top of a line."""
        return ascent(self.path(kind), self.font_size(kind))

    @property
    def formula_style(self) -> str:
        """The set of fonts for formulas. No draw of its own: that would move those of charts."""
        return STYLES[self.noise_seed % len(STYLES)]


def draw_look(rng: np.random.Generator, faces: Sequence[Face], paper: Paper) -> Look:
    """A random look. Code and tables are drawn in a face of fixed width, if there is one."""
    fixed = [face for face in faces if face.monospaced] or list(faces)
    size = int(rng.integers(paper.min_font_size, paper.max_font_size + 1))
    room = max(1, int(paper.width / (LEAST_COLUMN * size)))
    dark = rng.random() < 0.1
    black, white = int(rng.integers(0, 80)), int(rng.integers(200, 256))
    return Look(
        face=faces[int(rng.integers(len(faces)))],
        code_face=fixed[int(rng.integers(len(fixed)))],
        size=size,
        spacing=float(rng.uniform(1.15, 1.6)),
        margin=int(rng.integers(size // 2, 2 * size)),
        columns=int(rng.integers(1, min(paper.max_columns, room) + 1)),
        ink=white if dark else black,
        ground=black if dark else white,
        rotation=float(rng.uniform(-1, 1)) * paper.max_rotation,
        noise=float(rng.uniform(0, 1)) * paper.max_noise,
        blur=float(rng.uniform(0, 1)) * paper.max_blur,
        quality=None
        if paper.min_jpeg_quality is None
        else int(rng.integers(paper.min_jpeg_quality, 96)),
        noise_seed=int(rng.integers(1 << 31)),
    )


def image_file(page: Image.Image, look: Look) -> bytes:
    """The page as a JPEG file of the look's quality; without a quality, as a PNG file."""
    file = io.BytesIO()
    if look.quality is None:
        page.save(file, "PNG", compress_level=1)
    else:
        page.save(file, "JPEG", quality=look.quality)
    return file.getvalue()
