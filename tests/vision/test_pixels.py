"""Bad image files end in a reason; good ones of every mode become tiles of one size."""

import contextlib
import io

import numpy as np
import pytest
from corpusmill.vision.config import VisionConfig
from corpusmill.vision.pixels import ImageError, open_image, page_count, tiles
from PIL import Image, ImageFile

CONFIG = VisionConfig(tile_size=56, max_tiles=4)


def encoded(image, form="PNG", **settings):
    file = io.BytesIO()
    image.save(file, form, **settings)
    return file.getvalue()


def page(size=(100, 80), mode="RGB"):
    return Image.new(mode, size)


def reason(content):
    with pytest.raises(ImageError) as error:
        open_image(content)
    return error.value.reason


def test_damaged_files_have_a_reason():
    noise = np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)
    whole = encoded(Image.fromarray(noise))
    assert reason(whole[: len(whole) // 2]) == "image.truncated"
    assert reason(b"") == "image.unreadable"
    assert reason(b"<html>not an image</html>") == "image.unreadable"


def test_a_damaged_file_prints_no_warning(recwarn):
    whole = encoded(page((20, 20)), "TIFF", save_all=True, append_images=[page((20, 20))])
    for end in range(len(whole)):
        with contextlib.suppress(ImageError):
            page_count(whole[:end])
            open_image(whole[:end], 0)
    assert [str(warning.message) for warning in recwarn] == []


def test_a_reason_tells_the_same_again():
    """Pillow's own words hold an address in memory, and rows must not."""
    with pytest.raises(ImageError) as error:
        open_image(b"<html>not an image</html>")
    assert error.value.detail == "none of JPEG, PNG, WEBP, GIF, BMP, TIFF, PPM"


def test_a_cut_file_of_two_pages_has_a_reason():
    pages = [page(), page()]
    whole = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    reasons = {reason(whole[:end]) for end in range(0, len(whole), 97)}
    reasons |= {reason(whole[:end]) for end in range(len(whole) - 300, len(whole))}
    assert reasons == {"image.unreadable", "image.truncated", "image.animated"}


@pytest.mark.parametrize("form", ["EPS", "ICO", "PCX", "TGA"])
def test_other_formats_are_refused(form):
    assert reason(encoded(page(), form)) == "image.unreadable"


def test_missing_memory_is_no_fault_of_the_file(monkeypatch):
    def exhausted(self):
        raise MemoryError

    content = encoded(page())
    monkeypatch.setattr(ImageFile.ImageFile, "load", exhausted)
    with pytest.raises(MemoryError):
        open_image(content)


def test_a_decompression_bomb_is_refused_by_its_header():
    assert reason(encoded(page((20_000, 20_000), "1"))) == "image.too_large"


def test_a_line_of_pixels_is_refused():
    assert reason(encoded(page((1, 30_000)))) == "image.too_thin"


def test_an_animation_is_refused():
    frames = [page(), Image.new("RGB", (100, 80), "red")]
    assert (
        reason(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
        == "image.animated"
    )


def test_of_a_phone_photo_with_a_preview_the_photo_is_taken():
    photo, preview = Image.new("RGB", (100, 80), "red"), page((50, 40))
    content = encoded(photo, "MPO", save_all=True, append_images=[preview])
    assert getattr(Image.open(io.BytesIO(content)), "n_frames", 1) == 2
    image = open_image(content)
    assert (image.size, image.getpixel((50, 40))) == ((100, 80), (254, 0, 0))


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        ("CMYK", "JPEG"),
        ("L", "JPEG"),
        ("RGBA", "PNG"),
        ("LA", "PNG"),
        ("P", "GIF"),
        ("1", "PNG"),
        ("I;16", "PNG"),
    ],
)
def test_every_mode_becomes_rgb(mode, form):
    image = open_image(encoded(page(mode=mode), form))
    assert image.mode == "RGB"
    _, found = tiles(image, CONFIG)
    assert found.dtype == np.uint8
    assert found.shape[1:] == (3, 56, 56)


def test_transparent_pixels_are_white():
    image = open_image(encoded(Image.new("RGBA", (10, 10), (0, 0, 0, 0))))
    assert image.getpixel((5, 5)) == (255, 255, 255)


def test_sixteen_bits_keep_their_levels():
    levels = np.full((10, 10), 65_535, dtype=np.uint16)
    levels[0, 0] = 32_768
    image = open_image(encoded(Image.fromarray(levels)))
    assert image.getpixel((5, 5)) == (255, 255, 255)
    assert image.getpixel((0, 0)) == (127, 127, 127)


def test_twelve_bits_in_a_file_of_sixteen_are_as_bright_as_they_were():
    levels = np.full((10, 10), 4095, dtype=np.uint16)
    levels[0, 0] = 2048
    image = open_image(encoded(Image.fromarray(levels)))
    assert image.getpixel((5, 5)) == (255, 255, 255)
    assert image.getpixel((0, 0)) == (127, 127, 127)


@pytest.mark.parametrize(
    ("dpi", "size"),
    [((204, 98), (170, 229)), ((98, 204), (354, 110)), ((200, 200), (170, 110)), ((1, 300), None)],
)
def test_pixels_of_a_fax_become_square(dpi, size):
    content = encoded(page((170, 110), "1"), "TIFF", dpi=dpi)
    assert open_image(content, 0).size == (size or (170, 110))


# EXIF orientation -> what turns an upright image into the one that is stored under it.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def stored(upright, orientation, form, **settings):
    """A file whose EXIF says how its image was turned."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    how = STORED[orientation]
    image = upright if how is None else upright.transpose(how)
    return encoded(image, form, exif=exif, **settings)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("page_number", [None, 0])
def test_what_exif_calls_turned_is_turned_back(form, orientation, page_number):
    upright = Image.new("RGB", (48, 32), "white")
    upright.paste("black", (0, 0, 24, 16))
    image = open_image(stored(upright, orientation, form), page_number)
    bright = np.asarray(image.convert("L")) > 128
    assert bright.shape == (32, 48)
    assert [bright[y, x] for y in (8, 24) for x in (8, 40)] == [False, True, True, True]


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_turned_fax_has_square_pixels_too(orientation):
    dpi = (204, 98) if orientation == 3 else (98, 204)  # along the rows that are stored
    content = stored(page((170, 110), "1"), orientation, "TIFF", dpi=dpi)
    assert open_image(content, 0).size == (170, 229)


def test_tiles_stand_in_reading_order_with_the_thumbnail_last():
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]
    image = Image.new("RGB", (112, 112))
    for number, colour in enumerate(colours):
        corner = (56 * (number % 2), 56 * (number // 2))
        image.paste(colour, (*corner, corner[0] + 56, corner[1] + 56))
    grid, found = tiles(image, CONFIG)
    assert grid == (2, 2)
    assert len(found) == 5
    assert [tuple(tile[:, 28, 28]) for tile in found[:4]] == colours
    assert tuple(found[4][:, 10, 10]) == colours[0]
