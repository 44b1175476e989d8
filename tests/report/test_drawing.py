"""Charts: widths are to scale, labels fit, and nothing lies outside the picture."""

import re

import pytest
from corpusmill.report.drawing.curves import Curve, curves, short, ticks
from corpusmill.report.drawing.graph import graph
from corpusmill.report.drawing.histogram import histogram
from corpusmill.report.drawing.picture import NARROW, WIDE, Box, Path, fitting
from corpusmill.report.drawing.sankey import sankey
from corpusmill.report.sections.chains import Chain, Link
from corpusmill.report.sections.lineage import Node

CHAIN = Chain(
    [],
    [
        Link("extract", 1000, 600, [("page.empty", 300), ("language.unwanted", 100)]),
        Link("filter", 600, 450, [("gopher_repetition.duplicate_paragraph_characters", 150)]),
    ],
    [("high", 150), ("low", 300)],
)
NODES = [
    Node("raw", "crawl", "2 files", 0, raw=True),
    Node("a", "extract", "12345678", 1, reads=["raw"]),
    Node("b", "dedup", "12345678", 2, reads=["a"]),
    Node("c", "blend", "12345678", 3, reads=["a", "b"]),
]


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_widths_of_a_sankey_are_rows_to_one_scale(width):
    picture = sankey(CHAIN, width)
    bars = {
        shape.title: shape.width
        for shape in picture.shapes
        if isinstance(shape, Box) and shape.look == "bar"
    }
    scale = bars["extract: 1,000"] / 1000
    assert bars["filter: 600"] == pytest.approx(600 * scale)
    assert bars["kept: 450"] == pytest.approx(450 * scale)
    for shape in picture.shapes:
        if isinstance(shape, Path):
            (count,) = re.findall(r"([\d,]+) \(", shape.title)
            ((bottom, top),) = re.findall(r"M\S+ \S+?Q\S+ (\S+) \S+ \S+?V(\S+?)Q", shape.d)
            rows = int(count.replace(",", ""))
            assert float(bottom) - float(top) == pytest.approx(max(1.0, rows * scale), abs=0.11)


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_words_of_a_sankey_fit(width):
    picture = sankey(CHAIN, width)
    for words in picture.words:
        length = 7 * len(words.text)
        left = words.x - (length if words.anchor == "end" else 0)
        assert left >= -4
        assert left + length <= width + 12
        assert words.y < picture.height


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_edges_of_the_graph_begin_and_end_at_their_nodes(width):
    picture = graph(NODES, width)
    boxes = [shape for shape in picture.shapes if isinstance(shape, Box)]
    edges = [shape for shape in picture.shapes if isinstance(shape, Path)]
    assert len(boxes) == 4
    assert len(edges) == 5  # four arrows; the one from extract to blend passes a layer
    assert all(box.x >= 0 and box.x + box.width <= width for box in boxes)
    assert all(box.y + box.height <= picture.height for box in boxes)


def test_a_curve_leaves_no_point_outside():
    picture = curves([Curve("loss", [(1.0, 4.0), (2.0, 3.0), (3.0, 2.0)])], "step", "loss", WIDE)
    (line,) = [s for s in picture.shapes if isinstance(s, Path) and s.look.startswith("line")]
    xs, ys = zip(*re.findall(r"[ML]([\d.]+) ([\d.]+)", line.d), strict=True)
    assert [float(x) for x in xs] == sorted(float(x) for x in xs)
    assert [float(y) for y in ys] == sorted(float(y) for y in ys)
    assert float(xs[-1]) <= WIDE
    assert curves([Curve("loss", [(5.0, 2.0)])], "step", "loss", NARROW).shapes


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 10, [0, 2.5, 5, 7.5, 10]), (1.9, 8.1, [2, 4, 6, 8]), (3, 3, [3])],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high, 4) == pytest.approx(expected)


def test_a_histogram_of_few_whole_numbers_has_a_bar_for_each():
    picture = histogram("level", [1.0, 1.0, 2.0, 4.0])
    titles = [shape.title for shape in picture.shapes if isinstance(shape, Box) and shape.title]
    assert titles == ["1: 2 kept, 0 dropped", "2: 1 kept, 0 dropped", "4: 1 kept, 0 dropped"]


def test_a_histogram_counts_every_value_once():
    kept, dropped = [float(value) for value in range(200)], [1e9]
    picture = histogram("words", kept, dropped)
    titles = {shape.title for shape in picture.shapes if isinstance(shape, Box) and shape.title}
    counts = [list(map(int, re.findall(r"(\d+) (?:kept|dropped)", title))) for title in titles]
    assert sum(kept for kept, _ in counts) == 200
    assert sum(dropped for _, dropped in counts) == 1


def test_numbers_and_names_are_short():
    assert [short(value) for value in (2_500_000, 1200, 0.0345, 3.0)] == [
        "2.5M",
        "1,200",
        "0.0345",
        "3",
    ]
    assert fitting("duplicate_paragraph_characters", 70) == "duplicate…"
