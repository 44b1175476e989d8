"""Charts: bars are as high as their values, labels stand there, and only what is allowed."""

import io
from collections import Counter
from typing import Any

import numpy as np
import pytest
from corpusmill.benchmarks import vision_charts
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.looking.inspect import stage_rows
from corpusmill.manifests.looking.verify import verify
from corpusmill.manifests.model_files import local_path
from corpusmill.stages.render.chart import chart
from corpusmill.stages.render.chart_pages import chart_pages
from corpusmill.stages.render.chart_settings import Charts
from corpusmill.stages.render.fonts import sized
from corpusmill.stages.render.look import Paper, draw_look
from corpusmill.stages.render.stage import Render
from PIL import Image
from tokenizers import Tokenizer

from tests.stages.small_corpus import documents, rows_of, run, small_tokenizer, write_shard

TEXT = "Rivers carry more water in spring than autumn, when farmers harvest wheat and barley. " * 40
PLAIN = {"max_noise": 0, "max_blur": 0, "max_rotation": 0, "min_jpeg_quality": None}
SIZE = 14
PAPER: dict[str, Any] = {
    "width": 160,
    "height": 140,
    "min_font_size": SIZE,
    "max_font_size": SIZE,
    **PLAIN,
}
FONT = local_path("package:models/fonts/Lato-Regular.ttf")


NUMBERS = ("bars", "labelled_bars", "table")


def drawn(name="a", text=TEXT, count=20, **charts):
    charts.setdefault("kinds", NUMBERS)
    settings = Render(fonts=(FONT,), paper=Paper(**PAPER), max_pages=count, charts=Charts(**charts))
    return list(chart_pages(name, text, settings, settings.faces()))


def planned(count, **charts):
    """Charts that are not drawn."""
    paper, wanted = Paper(**PAPER), Charts(**{"kinds": NUMBERS, **charts})
    rng = np.random.default_rng(0)
    look = draw_look(rng, Render(fonts=(FONT,)).faces(), paper)
    kinds = [wanted.kinds[rng.integers(len(wanted.kinds))] for _ in range(count)]
    made = (chart(kind, TEXT, 0, look, paper, wanted, 0.25, rng) for kind in kinds)
    return [found[0] for found in made if found is not None]


def levels_of(page):
    return np.asarray(Image.open(io.BytesIO(page.image)), dtype=int)


@pytest.mark.parametrize("kind", ["bars", "labelled_bars"])
def test_a_bar_of_the_picture_is_as_high_as_its_value(kind):
    """Measured in the image alone: a bar against the axis, which is as long as its top is high."""
    for page in drawn(kinds=[kind]):
        made, levels = page.chart, levels_of(page)
        axis, ground = made.rules
        ink = levels[axis[3], axis[0]]
        on_axis = levels[: ground[1], axis[0]] == ink
        assert on_axis.sum() == 20 * made.unit
        first = made.bars[0]
        shade = levels[first.bottom - 1, (first.left + first.right) // 2]
        columns = (levels[: ground[1]] == shade).sum(axis=0)
        heights = [columns[bar.left + 1 : bar.right - 1] for bar in made.bars]
        for value, height in zip(made.values, heights, strict=True):
            assert set(height * 20 / on_axis.sum()) == {value}


@pytest.mark.parametrize("kind", ["bars", "labelled_bars", "table"])
def test_labels_lie_on_the_page_and_do_not_cover_one_another(kind):
    for page in drawn(kinds=[kind]):
        levels = levels_of(page)
        ground = np.bincount(levels.ravel()).argmax()
        covered = np.zeros(levels.shape, int)
        for label in page.chart.labels:
            font = sized(FONT, SIZE)
            left, top, right, bottom = font.getbbox(label.line.text)
            x, y = slice(label.x + left, label.x + right), slice(label.y + top, label.y + bottom)
            assert 0 <= label.x + left < label.x + right <= 160
            assert 0 <= label.y + top < label.y + bottom <= 140
            assert np.abs(levels[y, x] - ground).max() > 100
            covered[y, x] += 1
        assert covered.max() == 1


@pytest.mark.parametrize("kind", ["bars", "labelled_bars", "table"])
def test_the_answer_stands_in_the_picture_only_if_the_kind_has_numbers(kind):
    for page in drawn(kinds=[kind]):
        made = page.chart
        labels = [label.line.text for label in made.labels]
        numbers = {label for label in labels if label.isdecimal()}
        assert page.text == str(made.values[made.asked])
        assert set(made.names) <= set(labels)
        if kind == "bars":
            assert numbers == {"0", "20"}
            assert page.text not in numbers
        else:
            assert set(map(str, made.values)) <= numbers
        assert page.letters.text == "".join(labels)


def test_a_chart_is_the_same_again_and_another_of_another_document():
    assert drawn() == drawn()
    assert {page.image for page in drawn()}.isdisjoint(page.image for page in drawn("b"))


def test_names_of_a_chart_do_not_look_alike():
    for page in drawn(text="Bill BlIl blll Iris lrls Mill Mlll " * 40, count=10):
        alike = [name.casefold().replace("i", "l") for name in page.chart.names]
        assert len(set(alike)) == len(alike)


def test_a_document_without_a_chart_says_why(tmp_path):
    row = {**documents("doc", 1)[0], "text": "water " * 200}
    path = write_shard(tmp_path / "in/00000.parquet", [row])
    run("render", {"fonts": [FONT], "paper": PAPER, "charts": {}}, tmp_path / "out", path)
    (gone,) = rows_of(tmp_path / "out", "excluded")
    assert gone["reason"] == "render.no_chart"


def test_names_are_of_the_stretch_that_the_page_names():
    end = 0
    for page in drawn():
        assert page.start == end
        end = page.end
        words = TEXT[page.start : page.end].split()
        assert all(any(word.startswith(name) for word in words) for name in page.chart.names)
        assert page.chart.question == f"What is the value of {page.chart.names[page.chart.asked]}?"


def test_rows_of_values_are_never_on_both_sides():
    sides = {
        side: {made.values for made in planned(400, values=side)}
        for side in ("training", "held_out")
    }
    assert min(map(len, sides.values())) > 100
    assert not sides["training"] & sides["held_out"]


def test_a_table_has_no_more_rows_than_there_are_values():
    made = planned(100, kinds=["table"], most_bars=50, highest=8)
    assert max(len(one.values) for one in made) == 7


def test_every_value_is_asked_for_as_often():
    asked = Counter(int(made.answer) for made in planned(2000))
    assert set(asked) == set(range(1, 20))
    expected = asked.total() / 19
    assert sum((seen - expected) ** 2 / expected for seen in asked.values()) < 42.3  # p = 0.001


def test_chance_is_that_of_the_set():
    def held(text, question, options):
        return vision_charts.HeldOutChart(b"", text, "", "", question, "", tuple(options))

    bars = [held("3", "What is the value of a?", "37")]
    bars += [held(text, "What is the value of b?", "3591") for text in "359"]
    assert vision_charts.chance(bars) == {"constant": 0.5, "any option": 0.3125}
    scored = vision_charts.score(["3", "4", " 5", "many"], bars)
    assert (scored["exact"], scored["near"]) == (0.5, 0.75)
    shapes = [held("red", "What colour is the largest star?", ("red", "blue"))]
    shapes += [held("star", "Which shape is above it?", ("star", "star", "cross", "square"))]
    assert vision_charts.chance(shapes) == {"constant": 1.0, "any option": 0.5}
    assert vision_charts.chance([*bars, *shapes])["constant"] == 0.6667  # 2 + 1 + 1 of 6
    scored = vision_charts.score(["4", "star "], shapes)
    assert (scored["exact"], scored["near"]) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"charts": {"highest": 500}}, "room"),
        ({"held_out_share": 0.0, "charts": {"values": "held_out"}}, "held_out_share"),
    ],
)
def test_settings_without_room_or_values_are_refused(settings, message, tmp_path):
    path = write_shard(tmp_path / "in/00000.parquet", documents("doc", 2))
    with pytest.raises(CorpusmillError, match=message):
        run("render", settings, tmp_path / "render", path)


def test_only_the_answer_counts_in_packed_rows(tmp_path):
    path = write_shard(tmp_path / "in/00000.parquet", documents("doc", 8))
    manifest = run("render", {"charts": {}}, tmp_path / "render", path)
    (shown,) = stage_rows(manifest)
    assert shown.text_bytes == sum(output.size for output in manifest.documents())
    charts = rows_of(tmp_path / "render")
    assert manifest.totals[0].kept == len(charts) > 8
    tokenizer = small_tokenizer(tmp_path / "tokenizer")
    tiling = {"tile_size": 112, "patch_size": 14, "max_tiles": 1, "tile_tags": False}
    settings = {"tokenizer": tokenizer, "images": tiling}
    run("pack", settings, tmp_path / "pack", str(tmp_path / "render"))
    decode = Tokenizer.from_file(str(tmp_path / "pack/tokenizer/tokenizer.json")).decode
    for row, drawing in zip(rows_of(tmp_path / "pack"), charts, strict=True):
        image_end = 18  # 8 x 8 patches joined two by two, and two marks
        assert decode(row["tokens"][image_end : row["n_prompt"]]) == drawing["question"]
        assert decode(row["tokens"][row["n_prompt"] :]) == drawing["text"]
    assert verify(str(tmp_path)).problems == []
