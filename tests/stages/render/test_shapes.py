"""Pictures of shapes: what is asked is true of the pixels, and no answer is more likely."""

import io
import itertools
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest
from corpusmill.benchmarks.vision_charts import held_out_charts, scores_by_kind
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.looking.verify import verify
from corpusmill.stages.render.chart_pages import chart_pages
from corpusmill.stages.render.chart_settings import Charts
from corpusmill.stages.render.look import Paper, draw_look
from corpusmill.stages.render.shape_drawing import LEVELS, picture
from corpusmill.stages.render.shapes import COLOURS, COUNTS, PLURALS, SHAPES, Scene, Thing, scene
from corpusmill.stages.render.stage import Render
from PIL import Image
from scipy import ndimage, stats

from tests.stages.small_corpus import documents, rows_of, run, write_shard

TEXT = (
    "Rivers carry more water in spring than autumn, when farmers harvest wheat and barley. " * 400
)
PLAIN: dict[str, Any] = {"max_noise": 0, "max_blur": 0, "max_rotation": 0, "min_jpeg_quality": None}
SIZE: dict[str, Any] = {"width": 160, "height": 140, "min_font_size": 14, "max_font_size": 14}


def drawn(name="a", text=TEXT, count=40, paper=PLAIN, **charts):
    charts = {"kinds": ("shapes",), **charts}
    settings = Render(paper=Paper(**{**SIZE, **paper}), max_pages=count, charts=Charts(**charts))
    return list(chart_pages(name, text, settings, settings.faces()))


def planned(count, side="all", most=7):
    """Scenes that are not drawn."""
    rng = np.random.default_rng(0)
    made = (scene(TEXT, 0, Paper(**SIZE), most, side, 0.25, rng) for _ in range(count))
    return [found[0] for found in made if found is not None]


def measured(page):
    """The things of a picture without grain: (shape, colour, x, y, pixels). All but the shape, and
    which thing is which, is measured in the pixels.
    """
    levels = np.asarray(Image.open(io.BytesIO(page.image)), dtype=int)
    grounds = np.argwhere(np.ptp(levels, axis=2) == 0)
    ground = levels[tuple(grounds[0])]
    is_ink = np.abs(levels - ground).max(axis=2) > 20
    parts, count = ndimage.label(is_ink, np.ones((3, 3)))
    assert count == len(page.chart.things)
    found = []
    for thing in page.chart.things:
        part = parts[round(thing.y), round(thing.x)]
        here = parts == part
        y, x = ndimage.center_of_mass(here)
        inside = ndimage.binary_erosion(here)
        shade = np.median(levels[inside], axis=0)
        colour = min(LEVELS, key=lambda name: np.abs(shade - LEVELS[name]).sum())
        found.append((part, thing.shape, colour, x, y, here.sum()))
    assert len({part for part, *_ in found}) == count
    return [thing for _, *thing in found]


def answer_of(question, things):
    """What is true of the measured things."""
    words = question.removesuffix("?").split()
    shape_of = {plural: shape for shape, plural in PLURALS.items()}
    if words[:2] == ["How", "many"]:
        column, wanted = (1, words[-1]) if words[2] == "shapes" else (0, shape_of[words[2]])
        return str(sum(thing[column] == wanted for thing in things))
    if words[:2] == ["What", "colour"]:
        alike = [thing for thing in things if thing[0] == words[-1]]
        largest, second, *_ = sorted((thing[4] for thing in alike), reverse=True)
        assert largest > 1.5 * second
        return max(alike, key=lambda thing: thing[4])[1]
    *direction, _, colour, shape = words[3:]
    (beside,) = [thing for thing in things if thing[:2] == [shape, colour]]
    column, sign = {"left": (2, -1), "right": (2, 1), "above": (3, -1), "below": (3, 1)}[
        direction[0]
    ]
    there = [thing for thing in things if sign * (thing[column] - beside[column]) > 0]
    assert len(there) == 1
    assert all(abs(thing[column] - beside[column]) > 5 for thing in things if thing is not beside)
    return there[0][0]


def test_the_answer_is_true_of_the_pixels():
    forms = set()
    for page in drawn(count=300):
        things = measured(page)
        assert [thing[1] for thing in things] == [thing.colour for thing in page.chart.things]
        assert answer_of(page.chart.question, things) == page.text == page.chart.answer
        forms.add(" ".join(page.chart.question.split()[:4]))
    counted = {f"How many {shapes} are" for shapes in (*PLURALS.values(), "shapes")}
    placed = {f"Which shape is {where}" for where in ("left", "right", "above", "below")}
    assert forms == counted | placed | {"What colour is the"}


@pytest.mark.parametrize("side", ["training", "held_out"])
def test_every_answer_is_as_likely_whatever_the_question_says(side):
    scenes = planned(6000, side)
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for made in scenes:
        for about in (made.question.split()[:2], made.question.split()[-2:]):
            answers[" ".join(about)][made.answer] += 1
    assert len(answers) > 15
    values = []
    for seen in answers.values():
        options = next(kind for kind in (COUNTS, COLOURS, SHAPES) if set(seen) <= set(kind))
        counts = [seen[option] for option in options]
        values.append(stats.chisquare(counts).pvalue)
    assert min(values) > 0.01 / len(values)
    guessed = [made.options.count(made.answer) / len(made.options) for made in scenes]
    assert 0.2 < np.mean(guessed) < 0.35


def test_the_number_of_shapes_tells_nothing_about_the_answer():
    seen: dict[int, Counter[str]] = defaultdict(Counter)
    for made in planned(4000):
        if made.question.startswith("How many"):
            seen[len(made.things)][made.answer] += 1
    assert set(seen) == {4, 5, 6, 7}
    table = [[seen[number][answer] for answer in COUNTS] for number in sorted(seen)]
    assert stats.chi2_contingency(table).pvalue > 0.001


def test_sets_of_shapes_are_never_on_both_sides():
    def sets(side):
        return {
            tuple(sorted((thing.colour, thing.shape) for thing in made.things))
            for made in planned(1500, side)
        }

    training, held_out = sets("training"), sets("held_out")
    assert min(len(training), len(held_out)) > 1000
    assert not training & held_out


def test_shapes_lie_within_the_picture_and_do_not_touch():
    for made in planned(500, most=10):
        for thing in made.things:
            assert thing.radius < thing.x < SIZE["width"] - thing.radius
            assert thing.radius < thing.y < SIZE["height"] - thing.radius
        for one, other in itertools.combinations(made.things, 2):
            apart = np.hypot(one.x - other.x, one.y - other.y)
            assert apart > one.radius + other.radius + 2


def test_silhouettes_of_shapes_differ_however_they_are_turned():
    settings = Render(paper=Paper(**SIZE | PLAIN))
    look = draw_look(np.random.default_rng(1), settings.faces(), settings.paper)

    def silhouette(shape, turn):
        alone = Scene((Thing(shape, "red", 80, 70, 20, turn),), "", "", ())
        levels = np.asarray(Image.open(io.BytesIO(picture(alone, look, settings.paper))), dtype=int)
        return np.ptp(levels, axis=2) > 60

    for one, other in itertools.combinations(SHAPES, 2):
        for turn in (-15, 0, 15):
            first, second = silhouette(one, 0), silhouette(other, turn)
            assert (first & second).sum() < 0.8 * (first | second).sum()


def test_a_picture_is_the_same_again_and_another_of_another_document():
    rough = {"max_noise": 8, "max_blur": 0.6, "min_jpeg_quality": 60}
    assert drawn(paper=rough) == drawn(paper=rough)
    assert {page.image for page in drawn()}.isdisjoint(page.image for page in drawn("b"))
    for page in drawn(paper=rough, count=5):
        picture = Image.open(io.BytesIO(page.image))
        assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (160, 140))


def test_a_picture_uses_up_as_many_words_as_it_has_shapes():
    end = 0
    for page in drawn(count=20):
        assert page.start == end
        end = page.end
        words = [word for word in TEXT[page.start : end].split() if len(word) > 1]
        assert len(words) == len(page.chart.things)
    assert drawn(text="only three words") == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"charts": {"most_shapes": 3}}, "most_shapes"),
        ({"paper": {"width": 50, "max_font_size": 8, "min_font_size": 8}, "charts": {}}, "56"),
        (
            {"held_out_share": 0.0, "charts": {"values": "held_out", "kinds": ["shapes"]}},
            "held_out_share",
        ),
    ],
)
def test_settings_without_room_or_shapes_are_refused(settings, message, tmp_path):
    path = write_shard(tmp_path / "in/00000.parquet", documents("doc", 2))
    with pytest.raises(CorpusmillError, match=message):
        run("render", settings, tmp_path / "render", path)


def test_a_run_writes_questions_answers_and_no_font(tmp_path):
    path = write_shard(tmp_path / "in/00000.parquet", documents("doc", 8))
    run("render", {"charts": {"kinds": ["shapes"]}}, tmp_path / "render", path)
    rows = rows_of(tmp_path / "render")
    assert len(rows) > 10
    assert {row["font"] for row in rows} == {None}
    assert {row["letters"] for row in rows} == {""}
    assert {row["text"] for row in rows} <= {*COUNTS, *COLOURS, *SHAPES}
    assert all(row["question"].endswith("?") for row in rows)
    assert verify(str(tmp_path)).problems == []


def test_the_benchmark_scores_shapes_beside_what_a_blind_reader_gets():
    rows = [{"id": str(number), "text": TEXT[:900], "source": "s"} for number in range(120)]
    charts = held_out_charts(rows, {"paper": SIZE}, "all", 100)
    kinds = Counter(chart.kind for chart in charts)
    assert set(kinds) == {"bars", "labelled_bars", "table", "shapes"}
    scores = scores_by_kind([chart.text for chart in charts], charts)
    assert scores["shapes"]["exact"] == 1.0
    assert scores["shapes"]["charts"] == kinds["shapes"]
    assert 0.2 <= scores["shapes"]["constant"] < 0.6
    assert 0.1 < scores["shapes"]["any option"] < 0.5
