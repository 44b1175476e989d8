"""Fonts: which files there are, what they can draw, and which families are held out.

A family is held out as a whole, all its weights and slopes. So an evaluation on held-out families
shows whether a model reads letters, or has learnt shapes by heart.
"""

import hashlib
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from corpusmill.manifests.errors import InputError
from corpusmill.manifests.model_files import local_path
from PIL import ImageFont

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
def sized(path: str, size: int) -> ImageFont.FreeTypeFont:
    """The font at `size` pixels. Basic layout: the shaping library is not everywhere the same."""
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=1 << 16)
def advance(path: str, size: int, letter: str) -> float:
    """Pixels from the beginning of the letter to that of the next."""
    return sized(path, size).getlength(letter)


@lru_cache(maxsize=1 << 16)
def draws(path: str, letter: str) -> bool:
    """Whether the font has a shape for the letter."""
    font = sized(path, 16)
    return bytes(font.getmask(letter)) != bytes(font.getmask(UNKNOWN))


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
