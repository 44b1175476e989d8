"""Fonts: which files there are, what they can draw, and which families are held out.

A family is held out as a whole, all its weights and slopes. So an evaluation on held-out families
shows whether a model reads letters, or has learnt shapes by heart.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from corpusmill.manifests.errors import InputError
from corpusmill.manifests.model_files import local_path
from PIL import Image, ImageFont

SUFFIXES = {".ttf", ".otf", ".ttc"}
UNKNOWN = "\U0010ffff"  # no font has it, so it shows the box for missing letters


@dataclass(frozen=True, order=True)
class Face:
    """One face of a font file. digest: of the file."""

    family: str
    style: str
    path: str
    monospaced: bool
    digest: str


def find_faces(places: Iterable[str]) -> list[Face]:
    """The faces of font files and folders, sorted. Raises InputError if there is none.

    Files that FreeType cannot read are left out.
    """
    places = tuple(places)
    faces = {face for path in _files(places) if (face := _face(path)) is not None}
    if not faces:
        raise InputError(
            f"there is no font in {', '.join(places)}",
            "name folders or files with .ttf or .otf fonts in render.fonts; Debian has "
            "fonts-dejavu and fonts-liberation2",
        )
    return sorted(faces)


@lru_cache(maxsize=2048)
def sized(path: str, size: float) -> ImageFont.FreeTypeFont:
    """The font at `size` pixels. Basic layout: the shaping library is not everywhere the same."""
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=2048)
def ascent(path: str, size: int) -> int:
    """Pixels from the top of a line to its baseline."""
    return sized(path, size).getmetrics()[0]


@lru_cache(maxsize=1 << 16)
def advance(path: str, size: int, letter: str) -> float:
    """Pixels from the beginning of the letter to that of the next."""
    return sized(path, size).getlength(letter)


@dataclass(frozen=True)
class Shape:
    """A letter's grey levels. left, top: of the image, from where the letter and its line begin."""

    image: Image.Image
    left: int
    top: int


@lru_cache(maxsize=1 << 16)
def shape(path: str, size: int, letter: str) -> Shape | None:
    """What the font draws for the letter; None for a blank. FreeType is asked once: it takes most
    of the time for fitting outlines to pixels.
    """
    mask, (left, top) = sized(path, size).getmask2(letter)
    if not all(mask.size):
        return None
    return Shape(Image.frombytes("L", mask.size, bytes(mask)), left, top)


@lru_cache(maxsize=1 << 16)
def draws(path: str, letter: str) -> bool:
    """Whether the font has a shape for the letter."""
    return bytes(sized(path, 16).getmask(letter)) != _box(path)


@cache
def _box(path: str) -> bytes:
    """What the font draws for a letter that it lacks."""
    return bytes(sized(path, 16).getmask(UNKNOWN))


def draws_all(path: str, letters: Set[str]) -> bool:
    """Whether the font has a shape for each of the letters."""
    known = _drawn(path)
    for letter in letters - known:
        if not draws(path, letter):
            return False
        known.add(letter)
    return True


@cache
def _drawn(path: str) -> set[str]:
    """Letters that the font is known to draw; `draws_all` adds to it."""
    return set()


class Coverage:
    """Which faces draw all letters of a text. Each face is asked about a letter once."""

    def __init__(self, faces: Sequence[Face]) -> None:
        self.faces = tuple(faces)
        self._with: dict[str, int] = {}  # letter -> a bit for each face that draws it

    def able(self, text: str) -> list[Face]:
        """The faces that draw every letter of the text."""
        able = (1 << len(self.faces)) - 1
        for letter in set(text):
            if not letter.isspace():
                able &= self._faces_with(letter)
        return [face for number, face in enumerate(self.faces) if able >> number & 1]

    def _faces_with(self, letter: str) -> int:
        bits = self._with.get(letter)
        if bits is None:
            bits = sum(draws(face.path, letter) << n for n, face in enumerate(self.faces))
            self._with[letter] = bits
        return bits


@lru_cache(maxsize=8)
def coverage(faces: tuple[Face, ...]) -> Coverage:
    """That of the faces, kept from one document to the next."""
    return Coverage(faces)


def _files(places: Iterable[str]) -> Iterator[Path]:
    for place in places:
        path = Path(local_path(place))
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in found if file.suffix.lower() in SUFFIXES and file.is_file())


def _face(path: Path) -> Face | None:
    try:
        font = sized(str(path), 16)
        family, style = font.getname()
        monospaced = font.getlength("i") == font.getlength("W")
    except OSError:
        return None
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Face(family or path.stem, style or "", str(path), monospaced, digest)
