"""The render stage: every page has its text, its font, its parent, and the same bytes again."""

import io
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.looking.verify import verify
from corpusmill.stages.render.fonts import Coverage, draws, draws_all, find_faces, sized
from corpusmill.stages.render.lines import Line
from corpusmill.stages.render.look import Paper, draw_look
from corpusmill.stages.render.page import PlacedLine, image
from corpusmill.stages.render.stage import Render, pages
from corpusmill.trainer.token_shards import is_held_out
from PIL import Image, ImageDraw

from tests.stages.small_corpus import documents, rows_of, run, write_shard

TEXT = "The quick brown fox jumps over the lazy dog. " * 60
SMALL: dict[str, Any] = {"width": 224, "height": 224, "max_font_size": 16}


@pytest.fixture(scope="module")
def settings():
    return Render(paper=Paper(**SMALL), max_pages=3)


@pytest.fixture(scope="module")
def faces(settings):
    return settings.faces()


def drawn(text, settings, faces, name="a"):
    return list(pages(name, text, settings, faces))


def test_pages_follow_one_another_through_the_text(settings, faces):
    found = drawn(TEXT, settings, faces)
    assert len(found) == 3
    for before, after in pairwise(found):
        assert before.end == after.start
    read = " ".join(page.text for page in found)
    assert TEXT.startswith(read)


def test_the_image_shows_the_text(settings, faces):
    full, little = drawn(TEXT, settings, faces)[0], drawn(TEXT[:44], settings, faces)[0]
    for page in (full, little):
        picture = Image.open(io.BytesIO(page.image))
        assert picture.size == (224, 224)
        assert picture.mode == "L"
    even = {"max_noise": 0, "max_blur": 0, "max_rotation": 0, "min_jpeg_quality": None}
    plain = Render(paper=Paper(**SMALL | even))

    def ink(page):
        histogram = Image.open(io.BytesIO(page.image)).histogram()
        return 224 * 224 - max(histogram)  # pixels that are not ground

    assert ink(drawn(TEXT, plain, faces)[0]) > 3 * ink(drawn(TEXT[:44], plain, faces)[0]) > 0


def test_every_letter_has_its_place_on_the_turned_page(faces):
    # A page without roughness, turned far: ink lies where the letters are said to be.
    rough = {"max_noise": 0, "max_blur": 0, "max_rotation": 20, "min_jpeg_quality": None}
    turned = Render(paper=Paper(**SMALL | rough), seed=5)
    for page in drawn("iiiiii lllll |||| HHHH MMMM " * 20, turned, faces):
        assert page.letters.text == page.text.replace(" ", "")[: len(page.letters.text)]
        levels = np.asarray(Image.open(io.BytesIO(page.image)), dtype=int)
        ground = np.bincount(levels.ravel()).argmax()
        on_ink = [
            np.abs(levels[max(0, y - 3) : y + 4, max(0, x - 2) : x + 3] - ground).max() > 40
            for x, y in zip(page.letters.x, page.letters.y, strict=True)
        ]
        assert len(on_ink) > 50
        assert np.mean(on_ink) > 0.98


def test_a_line_looks_as_pillow_draws_it(faces):
    even = {"max_noise": 0, "max_blur": 0, "max_rotation": 0, "min_jpeg_quality": None}
    paper = Paper(**SMALL | even)
    text = "AV To fi jgy, (0) Wé'"
    for face in faces:
        look = draw_look(np.random.default_rng(3), [face], paper)
        line = PlacedLine(Line(text, "prose", 0, len(text), True), 7, 30)
        ours = Image.open(io.BytesIO(image([line], look, paper)))
        pillows = Image.new("L", ours.size, look.ground)
        font = sized(face.path, look.size)
        ImageDraw.Draw(pillows).text((7, 30), text, fill=look.ink, font=font)
        apart = np.asarray(ours, dtype=int) - np.asarray(pillows)
        assert np.abs(apart).max() <= 8  # grey levels, where two letters touch


def test_coverage_agrees_with_each_face(faces):
    covered = Coverage(faces)
    for text in ("plain", "Größe √2", "Привет, мир", "漢字", "\ue123", " \t\n"):
        letters = {letter for letter in text if not letter.isspace()}
        assert covered.able(text) == [face for face in faces if draws_all(face.path, letters)]


def test_the_same_document_gives_the_same_bytes(settings, faces):
    assert drawn(TEXT, settings, faces) == drawn(TEXT, settings, faces)
    assert drawn(TEXT, settings, faces)[0].image != drawn(TEXT, settings, faces, "b")[0].image


def test_pages_with_letters_that_no_font_has_are_left_out(settings, faces):
    assert not any(draws(face.path, "\ue123") for face in faces)
    assert drawn("\ue123" * 40, settings, faces) == []
    strange = "\ue123\ue123\ue123 " * 300 + "\n\n" + TEXT
    after = drawn(strange, settings, faces)
    assert after
    assert all("\ue123" not in page.text for page in after)


def test_a_page_of_blanks_is_none(settings, faces):
    indented = "```\n" + " " * 1000 + "x\n```\n"  # a line of code that is wider than pages
    assert drawn(indented, settings, faces) == []


def test_held_out_families_are_never_trained_on():
    every = {face.family for face in Render(families="all").faces()}
    assert {family for family in every if is_held_out(family, 0.5)} < every
    sides = [
        {face.family for face in Render(families=side, held_out_share=0.5).faces()}
        for side in ("training", "held_out")
    ]
    assert sides[0] | sides[1] == every
    assert not sides[0] & sides[1]


def test_a_folder_without_fonts_is_named(tmp_path):
    with pytest.raises(CorpusmillError, match=str(tmp_path)):
        find_faces([str(tmp_path)])


def test_damaged_fonts_are_left_out(tmp_path, faces):
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    assert find_faces([str(tmp_path), faces[0].path]) == [faces[0]]


def test_rows_have_their_lineage_and_the_account_holds(settings, tmp_path):
    texts = {"a": TEXT, "b": "short", "c": TEXT}
    rows = [
        {**row, "id": name, "text": text}
        for row, (name, text) in zip(documents("doc", 3), texts.items(), strict=True)
    ]
    path = write_shard(tmp_path / "in/00000.parquet", rows)
    manifest = run("render", {"paper": SMALL, "max_pages": 3}, tmp_path / "render", path)
    kept = rows_of(tmp_path / "render")
    assert [row["lineage"]["parent"] for row in kept] == ["a"] * 3 + ["c"] * 3
    assert len({row["id"] for row in kept}) == 6
    for row in kept:
        start, end = row["lineage"]["start"], row["lineage"]["end"]
        assert row["text"] == " ".join(texts[row["lineage"]["parent"]][start:end].split())
    dropped = rows_of(tmp_path / "render", "excluded")
    assert [(row["id"], row["reason"]) for row in dropped] == [("b", "render.too_short")]
    account = manifest.totals[0]
    assert (account.rows_in, account.kept, account.repeats) == (3, 6, 4)
    assert verify(str(tmp_path)).problems == []
