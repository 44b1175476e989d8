"""What blocks look like and where they stand, as numbers."""

import numpy as np
import pytest
from corpusmill.stages.extract.main_content import FEATURES, blocks_of, features_of
from corpusmill.stages.extract.page.block_text import (
    MEASURES,
    REPEATED_BEFORE,
    REPEATS,
    count_repeats,
)
from hypothesis import given
from hypothesis import strategies as st


def features(html, language="en"):
    """By block: name -> value."""
    return [
        dict(zip(FEATURES, row, strict=True))
        for row in features_of(blocks_of(html), language).tolist()
    ]


def test_words_and_stop_words_are_counted():
    (block,) = features("<p>The river and the bridge were, it's 5 o'clock: under WATER!")
    assert block["words"] == 13
    assert block["stop_density"] == pytest.approx(7 / 13, abs=0.1)
    assert (block["sentences"], block["numbers"]) == (1, pytest.approx(1 / 13))


def test_stop_words_are_those_of_the_language():
    assert features("<p>Der Fluss ist über die Ufer getreten", "de")[0]["stop_density"] > 0.4
    assert features("<p>Der Fluss ist über die Ufer getreten", "en")[0]["stop_density"] < 0.2
    assert features("<p>Der Fluss ist über die Ufer getreten", "xx")[0]["stop_density"] == 0


def test_ideographs_are_words():
    assert features("<p>夜のあいだに川が増水")[0]["words"] == 10


def test_shares_are_of_characters():
    (block,) = features("<p>ab <a href=x>cd</a> <b>EF</b> 12")
    assert [
        block[name] for name in ("link_density", "strong_share", "digit_share")
    ] == pytest.approx([0.25] * 3)
    assert block["upper_share"] == pytest.approx(2 / 6)


def test_what_a_heading_shares_with_the_title():
    _, heading, other = features(
        "<title>The great flood | News</title><h1>The great flood</h1><p>Sheep"
    )
    assert heading["in_title"] == pytest.approx(2 / 3)  # `the` is too short to count
    assert other["in_title"] == 0


def test_neighbours_are_described_and_absent_ones_are_told_apart():
    first, second, _ = features("<p>a b c<p>d<p>e f")
    assert (second["words_-1"], second["words_+1"], second["words_+2"]) == (3, 2, -1)
    assert (first["words_-1"], first["kind_+1"]) == (-1, 1)


def test_distances_to_headings_and_paragraphs():
    long = "word " * 20
    blocks = features(f"<h2>a</h2><p>b<p>{long}<p>c<h3>d</h3>")
    assert [block["since_heading"] for block in blocks] == [50, 0, 1, 2, 3]
    assert [block["until_heading"] for block in blocks] == [3, 2, 1, 0, 50]
    assert [block["since_paragraph"] for block in blocks] == [50, 50, 50, 0, 1]
    assert [block["heading_level"] for block in blocks] == [0, 2, 2, 2, 2]


def test_elements_around_a_block_are_totalled():
    block, *_ = features("<div><section><p>a b</p><p><a href=x>c d</a></p></section><p>e</p></div>")
    assert (block["words_of_0"], block["words_of_1"], block["words_of_2"]) == (2, 4, 5)
    assert (block["link_density_of_1"], block["share_of_1"]) == (0.5, pytest.approx(0.8))


def test_siblings_of_one_tag_are_counted_in_runs():
    blocks = features("<ul><li>a<li>b<li>c</ul>")
    assert [(block["siblings_of_0"], block["sibling_index_of_0"]) for block in blocks] == [
        (3, 0),
        (3, 1),
        (3, 2),
    ]


def test_the_element_with_the_weightiest_paragraphs_is_near_its_own_blocks():
    long = "word " * 20
    menu, first, _, footer = features(
        f"<div><p>menu</p></div><main><div><p>{long}</p><p>{long}</p></div></main><div><p>footer</p></div>"
    )
    assert (first["below_best"], first["above_best"]) == (1, 0)
    assert menu["above_best"] > 0
    assert [block["after_best"] for block in (menu, first, footer)] == [0, 1, 2]


@given(st.lists(st.integers(0, 3), max_size=20))
def test_repeats_are_counted_as_one_would_by_hand(words):
    measures = np.zeros((len(words), len(MEASURES)), np.float32)
    count_repeats(np.array(words, np.uint64), measures)
    assert measures[:, REPEATS].tolist() == [words.count(word) for word in words]
    assert measures[:, REPEATED_BEFORE].tolist() == [
        words[:place].count(word) for place, word in enumerate(words)
    ]
