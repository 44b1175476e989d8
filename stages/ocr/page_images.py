"""The pages of a PDF file or a picture: their text layer, or images of their pieces.

`look` runs in the sandbox (`stages.extract.sandbox`): PDFium and Pillow are C code, and the files
are strangers'. A page is rendered, found blank or not, and cut in pieces.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from corpusmill.manifests.settings import Settings
from corpusmill.stages.extract import pdf
from corpusmill.stages.ocr.cutting import Box, Piece, Profile, Size
from corpusmill.vision.pixels import ImageError, open_image, page_count
from PIL import Image
from pydantic import Field, PositiveFloat, PositiveInt

MOST_PIXELS = 50_000_000  # of a rendered page
_POINTS = 72  # of a PDF file, to the inch


class Cutting(Settings):
    """How pages become images that the model can read."""

    by: Literal["page", "blocks", "lines"] = "page"
    """page: the whole page. blocks, lines: parts of it, for small models. They are found by the
    blank rows and columns between them, after the page was turned upright."""
    dpi: PositiveInt = Field(default=200, le=1200)
    """Pixels to the inch of a PDF file's pages."""
    longest_side: PositiveInt = 1024
    """Pixels of an image's longer side, at most. olmOCR (Poznanski et al. 2025, arXiv 2502.18443)
    has 1024."""
    width: PositiveInt | None = None
    """Images are as wide as this, with white paper around the piece, as the pages that a small
    model has learnt from. Pieces are cut to fit. Null: as wide as the piece."""
    height: PositiveInt | None = None
    """The same for the height. Set both or none."""
    letter_height: PositiveFloat | None = None
    """A page is scaled until its letters have this height in pixels, without ascenders. Null: it is
    not."""


@dataclass(frozen=True)
class Looking:
    """What `look` must know: some settings of the stage."""

    cut: Cutting
    min_deviation: float
    min_layer_characters: int
    max_pages: int


def look(content: bytes, is_pdf: bool, number: int | None, settings: Looking) -> dict[str, Any]:
    """What one page shows. number: from 0. None: what the file is, as `pages` and `title`.

    A page has `width`, `height`, and `text` of its text layer, or `blank`, or `pieces`: (box, what
    stands before, PNG file) each. A file or page that cannot be read has `reason` and `detail`.
    """
    try:
        if is_pdf:
            with pdf.opened(content) as file:
                if number is None:
                    return _file("pdf", len(file), pdf.title_of(file), settings)
                return _pdf_page(file[number], settings)
        if number is None:
            return _file("image", page_count(content), None, settings)
        return _shown(open_image(content, number), settings)
    except (ImageError, pdf.PdfError) as error:
        return {"reason": error.reason, "detail": error.detail}


def _file(kind: str, count: int, title: str | None, settings: Looking) -> dict[str, Any]:
    if count > settings.max_pages:
        what = f"pages={count} > {settings.max_pages}"
        return {"reason": f"{kind}.too_many_pages", "detail": what}
    return {"pages": count, "title": title}


def _pdf_page(page: Any, settings: Looking) -> dict[str, Any]:
    layer = pdf.joined(pdf.text_of(page))
    width, height = page.get_size()
    scale = settings.cut.dpi / _POINTS
    # A page may claim to be a mile long.
    scale = min(scale, math.sqrt(MOST_PIXELS / max(1.0, width * height)))
    size = {"width": max(1, round(width * scale)), "height": max(1, round(height * scale))}
    # Libraries stamp a line of text on each page of a scan.
    few = len(layer) < settings.min_layer_characters
    if layer and not (few and pdf.is_picture(page)):
        return {**size, "text": layer}
    seen = _shown(page.render(scale=scale).to_pil().convert("RGB"), settings)
    if "blank" in seen and pdf.has_broken_picture(page):
        raise pdf.PdfError("pdf.unreadable", "a picture on it is damaged")
    return seen


def _shown(page: Image.Image, settings: Looking) -> dict[str, Any]:
    """The pieces of a page image."""
    size = {"width": page.width, "height": page.height}
    grey = np.asarray(page.convert("L"))
    # A few words on white paper deviate little.
    if float(grey.std()) < settings.min_deviation and Profile(grey).is_blank:
        return {**size, "blank": True}
    return {**size, "pieces": pieces_of(page, grey, settings.cut)}


def pieces_of(page: Image.Image, grey: Any, cut: Cutting) -> list[tuple[Box, str, bytes]]:
    """(box, what stands before its text, PNG file) of each piece, in reading order.

    The whole page, if no ink is found on it: its letters may be pale.
    """
    profile, skew = Profile(grey), 0.0
    if cut.by != "page" and (skew := profile.skew()):
        page = page.rotate(skew, Image.Resampling.BICUBIC, fillcolor=_corner_colour(page))
        profile = Profile(np.asarray(page.convert("L")))
    scale = cut.letter_height / profile.letter if cut.letter_height else 1.0
    limit = (cut.width / scale, cut.height / scale) if cut.width and cut.height else None
    whole = (page.width, page.height)
    return [
        (_turned_back(piece.box, skew, whole), piece.before, _png(page.crop(piece.box), scale, cut))
        for piece in _pieces(profile, cut, limit) or [Piece((0, 0, *whole))]
    ]


def _pieces(profile: Profile, cut: Cutting, limit: Size | None) -> Sequence[Piece]:
    if cut.by == "blocks":
        return profile.blocks(limit)
    return profile.lines(limit) if cut.by == "lines" else profile.page()


def _corner_colour(page: Image.Image) -> tuple[int, ...]:
    """The median colour of the page: its paper."""
    return tuple(int(level) for level in np.median(np.asarray(page)[::8, ::8], axis=(0, 1)))


def _turned_back(box: Box, degrees: float, whole: tuple[int, int]) -> Box:
    """The box of the upright page around the same piece of the page as it was."""
    if not degrees:
        return box
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    middle_x, middle_y = whole[0] / 2, whole[1] / 2
    corners = [(x - middle_x, y - middle_y) for x in box[::2] for y in box[1::2]]
    across = [middle_x + x * cosine - y * sine for x, y in corners]
    down = [middle_y + x * sine + y * cosine for x, y in corners]
    return (
        *(max(0, math.floor(min(across))), max(0, math.floor(min(down)))),
        *(min(whole[0], math.ceil(max(across))), min(whole[1], math.ceil(max(down)))),
    )


def _png(piece: Image.Image, scale: float, cut: Cutting) -> bytes:
    """The piece as the model gets it: scaled, no larger than allowed, on paper if it is to be."""
    width, height = (max(1, round(side * scale)) for side in piece.size)
    fitting = min(1.0, cut.longest_side / max(width, height))
    if cut.width and cut.height:
        fitting = min(fitting, cut.width / width, cut.height / height)
    size = (max(1, round(width * fitting)), max(1, round(height * fitting)))
    if size != piece.size:
        piece = piece.resize(size, Image.Resampling.LANCZOS)
    if cut.width and cut.height:
        paper = Image.new("RGB", (cut.width, cut.height), _corner_colour(piece))
        paper.paste(piece, (0, 0))
        piece = paper
    levels = np.asarray(piece, dtype=np.int16)
    if np.ptp(levels, axis=2).max(initial=0) < 8:  # a grey page takes a third of the space
        piece = piece.convert("L")
    file = io.BytesIO()
    piece.save(file, "PNG")
    return file.getvalue()
