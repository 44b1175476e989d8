"""Lines and blocks of drawn pages: where they stand, and in which order they are read."""

import io
import itertools

import numpy as np
import pytest
from corpusmill.stages.ocr.cutting import Profile
from corpusmill.stages.ocr.page_images import Cutting, Looking, look, pieces_of
from PIL import Image, ImageDraw, ImageFont

from tests.stages.extract.test_pdf import GOOD

LINES = ["The water had gone", "and people came out", "to see what was left", "of the old harbour."]


def face(size=24):
    from corpusmill.stages.render.fonts import find_faces

    faces = find_faces(("package:models/fonts",))
    return ImageFont.truetype(next(one.path for one in faces if one.family == "Lato"), size)


def page(*columns, size=(700, 500), ink=0, paper=255):
    """A page with a heading, and blocks of four lines one below the other in each column."""
    image = Image.new("RGB", size, (paper,) * 3)
    draw = ImageDraw.Draw(image)
    draw.text((40, 30), "A heading", fill=(ink,) * 3, font=face(36))
    for column, blocks in enumerate(columns):
        for block in range(blocks):
            for number, line in enumerate(LINES):
                place = (40 + 330 * column, 110 + 190 * block + 34 * number)
                draw.text(place, line, fill=(ink,) * 3, font=face())
    return image


def boxes(image, **cut):
    return [box for box, _, _ in pieces_of(image, np.asarray(image.convert("L")), Cutting(**cut))]


def test_columns_are_read_one_after_the_other():
    found = boxes(page(2, 2), by="blocks")
    assert len(found) == 5
    sides = ["left" if box[0] < 330 else "right" for box in found]
    assert sides == ["left", "left", "left", "right", "right"]
    tops = [box[1] for box in found]
    assert tops[0] < tops[1] < tops[2]
    assert tops[3] < tops[4]


def test_every_line_is_a_piece():
    found = boxes(page(2, 2), by="lines")
    assert len(found) == 17
    assert all(25 < box[3] - box[1] < 60 for box in found)
    firsts = found[1:5]
    assert all(before[3] <= after[1] + 12 for before, after in itertools.pairwise(firsts))


@pytest.mark.parametrize("degrees", [-1.5, 0.5, 2])
def test_lines_of_a_crooked_page_are_found_where_they_stand(degrees):
    upright = page(2, 2)
    crooked = upright.rotate(degrees, Image.Resampling.BICUBIC, fillcolor="white")
    wanted, found = boxes(upright, by="lines"), boxes(crooked, by="lines")
    assert len(found) == len(wanted)
    for box, other in zip(wanted, found, strict=True):
        middle = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]
        dark = np.asarray(crooked.convert("L"))[other[1] : other[3], other[0] : other[2]] < 128
        assert dark.any()
        assert abs((other[0] + other[2]) / 2 - middle[0]) < 20
        assert abs((other[1] + other[3]) / 2 - middle[1]) < 20


def test_white_letters_and_shadows_change_nothing():
    wanted = boxes(page(2, 2), by="lines")
    assert boxes(page(2, 2, ink=255, paper=20), by="lines") == wanted
    shadow = np.linspace(1, 0.4, 700)[None, :, None]
    shaded = Image.fromarray((np.asarray(page(2, 2)) * shadow).astype(np.uint8))
    assert len(boxes(shaded, by="lines")) == len(wanted)


def test_pieces_fit_on_paper_of_the_size_that_a_model_has_learnt():
    image = page(2, 2)
    cut = Cutting(by="blocks", width=112, height=112, letter_height=8)
    found = pieces_of(image, np.asarray(image.convert("L")), cut)
    letters = []
    for box, _, png in found:
        piece = Image.open(io.BytesIO(png))
        assert piece.size == (112, 112)
        assert box[2] - box[0] < 250
        letters.append(Profile(np.asarray(piece.convert("L"))).letter)
    assert np.median(letters) == pytest.approx(8, abs=1.5)
    before = "".join({"\n\n": "P", "\n": "L", " ": "W"}[before] for _, before, _ in found)
    assert before.count("P") == 5


def test_a_very_long_page_is_cut_between_lines():
    image = Image.new("RGB", (300, 1500), "white")
    for number in range(40):
        ImageDraw.Draw(image).text((20, 20 + 36 * number), "all the same", fill=0, font=face())
    found = boxes(image)
    assert len(found) == 4
    assert found[0][1] > 0
    for before, after in itertools.pairwise(found):
        assert before[3] <= after[1]
    assert boxes(image.resize((300, 800))) == [(0, 0, 300, 800)]


def test_a_page_is_shrunk_to_the_longest_side():
    image = page(2, 2, size=(1400, 1000))
    ((box, _, png),) = pieces_of(image, np.asarray(image.convert("L")), Cutting(longest_side=350))
    assert box == (0, 0, 1400, 1000)
    assert Image.open(io.BytesIO(png)).size == (350, 250)


def test_dust_is_no_text():
    image = np.full((500, 700), 250, np.uint8)
    dice = np.random.default_rng(0)
    image[dice.integers(0, 500, 40), dice.integers(0, 700, 40)] = 30
    assert Profile(image).blocks(None) == []
    assert Profile(np.full((5, 5), 255, np.uint8)).lines(None) == []


def seen_of(image, **cut):
    file = io.BytesIO()
    image.save(file, "PNG")
    return look(file.getvalue(), False, 0, Looking(Cutting(**cut), 4, 100, 10))


def test_two_words_on_a_white_page_are_asked_about():
    image = Image.new("L", (1654, 2339), 255)
    assert seen_of(image)["blank"]
    ImageDraw.Draw(image).text((200, 300), "Chapter 4", fill=0, font=face(28))
    assert np.asarray(image).std() < 4
    assert len(seen_of(image)["pieces"]) == 1


def test_pale_letters_and_a_long_photo_are_asked_about_as_a_whole():
    pale = page(2, 2, ink=175, paper=230)
    long = np.random.default_rng(0).normal(128, 20, (4000, 600)).clip(98, 158)
    for image in (pale, Image.fromarray(long.astype(np.uint8))):
        for by in ("page", "blocks", "lines"):
            ((box, _, _),) = seen_of(image, by=by)["pieces"]
            assert box == (0, 0, *image.size)


def test_a_page_that_claims_to_be_a_mile_long_is_rendered_small():
    huge = GOOD.replace(b"0 0 612 792", b"0 0 9e5 9e5", 1)
    seen = look(huge, True, 0, Looking(Cutting(), 4, 0, 10))
    assert seen["width"] * seen["height"] <= 51_000_000
