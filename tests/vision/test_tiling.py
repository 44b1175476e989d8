"""Grids and tags, by the report's examples and the stock processor's rule."""

import pytest
from corpusmill.vision.tiling import Grid, choose_grid, grids, tags
from hypothesis import given
from hypothesis import strategies as st


def test_twelve_tiles_have_thirty_five_grids():
    assert len(grids(12)) == 35
    assert Grid(1, 12) in grids(12)


def test_the_example_of_the_report():
    # Footnote 13: ratio 3:2 goes to 1344 x 896, that is six tiles and a thumbnail. It names an
    # image of 1920 x 1080, for which the rule itself finds 2:1.
    grid = choose_grid(1620, 1080, 448, 12)
    assert grid == (3, 2)
    assert grid.tiles == 7
    assert choose_grid(1920, 1080, 448, 12) == (4, 2)


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (448, 448, (1, 1)),  # as large as a tile
        (100, 100, (1, 1)),  # smaller: a larger grid of this ratio adds nothing
        (700, 700, (2, 2)),  # more pixels than half of 896 x 896
        (2000, 2000, (3, 3)),
        (1, 30_000, (1, 12)),
        (30_000, 1, (12, 1)),
    ],
)
def test_squares_and_extremes(width, height, expected):
    assert choose_grid(width, height, 448, 12) == expected


@given(
    st.integers(1, 5000), st.integers(1, 5000), st.sampled_from([56, 224, 448]), st.integers(1, 12)
)
def test_grids_are_those_of_the_stock_processor(width, height, tile, most):
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas

    expected = get_optimal_tiled_canvas((height, width), (tile, tile), 1, most)
    assert choose_grid(width, height, tile, most) == expected


def test_tags_number_the_tiles_and_name_the_thumbnail():
    assert tags(Grid(1, 1)) == ["<tile_01>"]
    assert tags(Grid(2, 1)) == ["<tile_01>", "<tile_02>", "<tile_global_thumbnail>"]
    assert tags(Grid(4, 3))[11:] == ["<tile_12>", "<tile_global_thumbnail>"]
