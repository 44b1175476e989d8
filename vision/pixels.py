"""From the bytes of an image file to the tiles that the encoder reads.

Every fault of a file is an ImageError with a reason, so that a row with a bad image ends in
`excluded/` and never stops a run. Sizes are read from the header before a pixel is decoded.
"""

import io
import warnings
from typing import TYPE_CHECKING

import numpy as np
from corpusmill.vision.config import Tiling
from corpusmill.vision.tiling import Grid, choose_grid
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEAN, STANDARD_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
# Others are refused: Pillow starts Ghostscript for EPS, and knows parsers that hardly anyone uses.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
MOST_PIXELS = 100_000_000
LONGEST_RATIO = 50  # of the longer to the shorter side: a grid of 12 cells reaches 12
SKEWED_PIXELS, NONSENSE = 1.2, 4.0  # ratios of the dots to the inch, across and down
QUARTER_TURNS = (5, 6, 7, 8)  # orientations of EXIF that change width and height
WHITE = (255, 255, 255)


class ImageError(Exception):
    """An image that cannot be used. reason: a code such as `image.truncated`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def page_count(content: bytes) -> int:
    """Pages of a TIFF file, as scanners and fax machines write it. Any other file has one.

    Raises ImageError for a file that is no image.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = _opened(content)
        try:
            return getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
        except Exception as error:  # the directory of a later page may be damaged
            raise ImageError("image.truncated", _line(error)) from error


def open_image(content: bytes, page: int | None = None) -> Image.Image:
    """The image in RGB, upright, on white where it is transparent. page: of a TIFF file, from 0;
    its pixels become square.

    Raises ImageError for a file that is no image of one of `FORMATS`, is truncated, is animated,
    has too many pixels or is too thin.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = _opened(content)
        paged = page is not None and image.format == "TIFF"
        try:
            if paged:
                image.seek(page or 0)
            _check_size(image, paged)
            # Of a TIFF file, `load` turns the page and forgets that it did.
            turned = image.getexif().get(ExifTags.Base.Orientation) in QUARTER_TURNS
            image.load()
            upright = _on_white(ImageOps.exif_transpose(image))
            return _square(upright, image.info.get("dpi", (1, 1)), turned) if paged else upright
        except (ImageError, MemoryError):
            raise
        except Exception as error:
            raise ImageError("image.truncated", _line(error)) from error


def _opened(content: bytes) -> Image.Image:
    """The image with its header read. Raises ImageError."""
    try:
        return Image.open(io.BytesIO(content), formats=FORMATS)
    except MemoryError:  # says nothing about the file
        raise
    except Image.DecompressionBombError as error:
        raise ImageError("image.too_large", _line(error)) from error
    except UnidentifiedImageError as error:  # its words hold an address in memory
        raise ImageError("image.unreadable", f"none of {', '.join(FORMATS)}") from error
    except Exception as error:  # Pillow's readers raise whatever their format's parser does
        raise ImageError("image.unreadable", _line(error)) from error


def _check_size(image: Image.Image, paged: bool) -> None:
    """Raises ImageError by the headers alone. Reading those of later frames may raise anything."""
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise ImageError("image.too_large", f"{width} x {height} pixels")
    if max(width, height) > LONGEST_RATIO * min(width, height):
        raise ImageError("image.too_thin", f"{width} x {height} pixels")
    # Phones put a preview or a depth map behind a photo, as further frames (MPO).
    single = paged or image.format == "MPO"
    frames = 1 if single else getattr(image, "n_frames", 1)
    if frames > 1:
        raise ImageError("image.animated", f"{frames} frames")


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        levels = np.asarray(image).astype(np.float64)
        # Sixteen bits have a fixed white. Wider values have none, so the brightest is white. So it
        # is of an image that uses less than an eighth: twelve bits in a file of sixteen.
        brightest = max(255.0, levels.max(initial=0.0))
        sixteen = image.mode.startswith("I;16") and brightest >= 65535 / 8
        white = 65535.0 if sixteen else brightest
        eight_bits = (levels * (255.0 / white)).clip(0, 255).astype(np.uint8)
        return Image.fromarray(eight_bits).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layers = image.convert("RGBA")
        page = Image.new("RGB", layers.size, WHITE)
        page.paste(layers, mask=layers.getchannel("A"))
        return page
    return image.convert("RGB")


def _square(upright: Image.Image, dpi: tuple[float, float], turned: bool) -> Image.Image:
    """The page with square pixels: a fax has 204 x 98 to the inch. turned: whether the file has the
    page on its side, so that `dpi` is down and across.
    """
    across, down = (float(dots) for dots in (reversed(dpi) if turned else dpi))
    ratio = max(across, down) / max(1.0, min(across, down))
    if not SKEWED_PIXELS < ratio <= NONSENSE:
        return upright
    wide, high = (1.0, ratio) if across > down else (ratio, 1.0)
    size = (round(upright.width * wide), round(upright.height * high))
    return upright.resize(size, Image.Resampling.BICUBIC)


def tiles(image: Image.Image, tiling: Tiling) -> "tuple[Grid, NDArray[np.uint8]]":
    """The grid, and the tiles in reading order with the thumbnail last.

    Tiles are (N, 3, tile_size, tile_size).
    """
    size = tiling.tile_size
    grid = choose_grid(image.width, image.height, size, tiling.max_tiles)
    stretched = np.asarray(
        image.resize((grid.columns * size, grid.rows * size), Image.Resampling.BICUBIC),
        dtype=np.uint8,
    )
    cells = stretched.reshape(grid.rows, size, grid.columns, size, 3).transpose(0, 2, 4, 1, 3)
    found = cells.reshape(grid.cells, 3, size, size)
    if grid.tiles > grid.cells:
        small = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC), dtype=np.uint8)
        found = np.concatenate([found, small.transpose(2, 0, 1)[None]])
    return grid, np.ascontiguousarray(found)


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
