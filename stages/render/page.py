"""One page: how it looks, which lines it holds, and its image.

Everything about a page follows from its random generator, which is seeded by the document's id and
the page's number. So a page has the same bytes wherever and whenever it is made with the same
Pillow and fonts.
"""

import io
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Self

import numpy as np
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.settings import Settings
from corpusmill.stages.render.fonts import Face, advance, shape
from corpusmill.stages.render.lines import KINDS, Kind, Line, wrapped
from PIL import Image, ImageDraw, ImageFilter
from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEADING_SCALE = 1.3
GUTTER = 1.5  # between columns, in font sizes
LEAST_COLUMN = 14  # font sizes: a narrower column holds few words
BLANK = 0.5  # before a block, in line heights
MIDDLE = 0.65  # of a letter, below the top of its line, in font sizes
GRAIN = 1 << 20  # random numbers from which pages cut their grain


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


@dataclass(frozen=True)
class PlacedLine:
    line: Line
    x: int
    y: int


def fill(text: str, start: int, look: Look, paper: Paper) -> list[PlacedLine]:
    """The lines of the text behind `start` that fit the page, column by column."""
    gutter = round(GUTTER * look.size) if look.columns > 1 else 0
    inner = paper.width - 2 * look.margin - gutter * (look.columns - 1)
    column_width = inner // look.columns

    widths = {kind: partial(advance, look.path(kind), look.font_size(kind)) for kind in KINDS}

    def measure(letter: str, kind: Kind) -> float:
        return widths[kind](letter)

    placed: list[PlacedLine] = []
    column, y = 0, look.margin
    for line in wrapped(text, start, column_width, measure):
        height = look.line_height(line.kind)
        if line.first and y > look.margin and line.kind in ("prose", "heading"):
            y += round(BLANK * height)
        if y + height > paper.height - look.margin:
            column, y = column + 1, look.margin
            if column == look.columns or y + height > paper.height - look.margin:
                break
        placed.append(PlacedLine(line, look.margin + column * (column_width + gutter), y))
        y += height
    return placed


def image(
    placed: Sequence[PlacedLine],
    look: Look,
    paper: Paper,
    shapes: Callable[[ImageDraw.ImageDraw], None] | None = None,
) -> bytes:
    """The page as a grey JPEG or PNG file. shapes: draws what lies below the text."""
    page = Image.new("L", (paper.width, paper.height), look.ground)
    pen = ImageDraw.Draw(page)
    if shapes is not None:
        shapes(pen)
    for item in placed:
        _write(pen, item, look)
    if look.rotation:
        page = page.rotate(look.rotation, Image.Resampling.BILINEAR, fillcolor=look.ground)
    if look.blur:
        page = page.filter(ImageFilter.GaussianBlur(look.blur))
    if look.noise:
        levels = np.float32(look.noise) * _cut_grain(look.noise_seed, paper)
        levels += np.asarray(page)
        page = Image.fromarray(levels.clip(0, 255, out=levels).astype(np.uint8))
    file = io.BytesIO()
    if look.quality is None:
        page.save(file, "PNG", compress_level=1)
    else:
        page.save(file, "JPEG", quality=look.quality)
    return file.getvalue()


def _write(pen: ImageDraw.ImageDraw, item: PlacedLine, look: Look) -> None:
    """Draw a line letter by letter, without kerning: `letters` says where each of them stands."""
    path, size = look.path(item.line.kind), look.font_size(item.line.kind)
    x = float(item.x)
    for letter in item.line.text:
        drawn = shape(path, size, letter)
        if drawn is not None:
            pen.bitmap((round(x) + drawn.left, item.y + drawn.top), drawn.image, fill=look.ink)
        x += advance(path, size, letter)


def _cut_grain(seed: int, paper: Paper) -> "NDArray[np.float32]":
    """Random numbers (height, width) of mean 0 and deviation 1."""
    pixels = paper.height * paper.width
    numbers = _grain(max(GRAIN, 2 * pixels))
    start = seed % (len(numbers) - pixels)
    return numbers[start : start + pixels].reshape(paper.height, paper.width)


@cache
def _grain(count: int) -> "NDArray[np.float32]":
    """Drawn once: drawing them anew for each page took an eighth of its time."""
    return np.random.default_rng(0).standard_normal(count, dtype=np.float32)


@dataclass(frozen=True)
class Letters:
    """The letters of a page, blanks left out, and the pixel in the middle of each."""

    text: str
    x: list[int]
    y: list[int]


def letters(placed: Sequence[PlacedLine], look: Look, paper: Paper) -> Letters:
    """Where each letter stands after the page's rotation. Those that it moved out are left out."""
    found: list[str] = []
    places: list[tuple[float, float]] = []
    for item in placed:
        path, size = look.path(item.line.kind), look.font_size(item.line.kind)
        x = float(item.x)
        for letter in item.line.text:
            width = advance(path, size, letter)
            if letter != " ":
                found.append(letter)
                places.append((x + width / 2, item.y + MIDDLE * size))
            x += width
    middle = np.array([paper.width / 2, paper.height / 2])
    turn = np.deg2rad(look.rotation)  # counterclockwise, with y downwards
    cosine, sine = np.cos(turn), np.sin(turn)
    offsets = np.array(places).reshape(-1, 2) - middle
    turned = offsets @ np.array([[cosine, -sine], [sine, cosine]]) + middle
    inside = ((turned >= 0) & (turned < [paper.width, paper.height])).all(axis=1)
    x_of, y_of = turned[inside].astype(int).T.tolist()
    return Letters("".join(itertools.compress(found, inside)), x_of, y_of)
