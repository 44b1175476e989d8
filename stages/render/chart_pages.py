"""The charts of a document: bars, tables and shapes, each with a question and its answer."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from corpusmill.manifests.schema import seed_for
from corpusmill.stages.render.chart import Chart, chart, draw_shapes
from corpusmill.stages.render.drawn import Page
from corpusmill.stages.render.fonts import Face, coverage
from corpusmill.stages.render.look import draw_look
from corpusmill.stages.render.page import image, letters
from corpusmill.stages.render.shape_drawing import picture
from corpusmill.stages.render.shapes import Scene, scene

if TYPE_CHECKING:
    from corpusmill.stages.render.stage import Render

DIGITS = "0123456789"
MISSES = 3  # charts without room or words in a row: the text has no more


def chart_pages(name: str, text: str, settings: "Render", faces: Sequence[Face]) -> Iterator[Page]:
    """The charts of a document. Each takes its names from the next stretch of the text."""
    charts = settings.charts
    assert charts is not None
    paper = settings.paper
    start = number = drawn = missed = 0
    numbered = coverage(tuple(faces)).able(DIGITS)
    while numbered and missed < MISSES and drawn != settings.max_pages:
        rng = np.random.default_rng(seed_for(name, "chart", number, settings.seed))
        number += 1
        look = draw_look(rng, numbered, paper)
        share = settings.held_out_share
        kind = charts.kinds[int(rng.integers(len(charts.kinds)))]
        made: tuple[Chart | Scene, int] | None
        if kind == "shapes":
            made = scene(text, start, paper, charts.most_shapes, charts.values, share, rng)
        else:
            made = chart(kind, text, start, look, paper, charts, share, rng)
        if made is None:
            missed += 1
            continue
        shown, end = made
        begin, start, missed = start, end, 0
        drawn += 1
        if isinstance(shown, Scene):
            font, drawing = "", picture(shown, look, paper)
        else:
            below = partial(draw_shapes, chart=shown, look=look)
            font, drawing = look.face.family, image(shown.labels, look, paper, below)
        yield Page(
            number - 1,
            begin,
            start,
            shown.answer,
            font,
            drawing,
            letters(shown.labels, look, paper),
            shown,
        )
