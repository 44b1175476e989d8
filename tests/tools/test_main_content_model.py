"""How the default extractor's model is made: the measure, the halves, the labels.

And the shipped file fits the code.
"""

import numpy as np
import pytest
from corpusmill.stages.extract import main_content
from corpusmill.tools.make_main_content import labels
from corpusmill.tools.wcxb import Score, mean, part_of, score


def test_the_measure_compares_multisets_of_lower_case_words():
    found = score("The river, the RIVER!", "the river rose")
    assert (found.f1, found.precision, found.recall) == pytest.approx((4 / 7, 2 / 4, 2 / 3))
    assert score("", "words") == score("words", "") == score("a", "b") == Score(0, 0, 0)


def test_markdown_marks_are_no_words():
    assert score("## A | b\n\n- c", "A b c").f1 == 1


def test_means_are_over_pages():
    assert mean([Score(1, 1, 1), Score(0, 0.5, 0)]) == Score(0.5, 0.75, 0.5)


def test_all_pages_of_a_site_are_in_one_half_and_the_halves_are_even():
    assert part_of("example.org", 2) == part_of("example.org", 2)
    assert 450 < sum(part_of(f"site-{number}.org", 2) for number in range(1000)) < 550


REFERENCE = (
    "The river had risen during the night.\n\nIn the news\n\n"
    "People walked up to the bridge, home at last."
)


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        (
            ["The river had risen during the night.", "Subscribe to our weekly newsletter"],
            [True, False],
        ),
        (["The river had risen while all of us slept that long night"], [False]),
        (
            [
                "Home",
                "News",
                "The river had risen during the night.",
                "People walked up to the bridge",
            ],
            [False, False, True, True],
        ),
        (
            [
                "The river had risen during the night.",
                "In the news",
                "Something else that is not there",
            ],
            [True, True, False],
        ),
        (["People walked", "up to the bridge"], [True, True]),
        (["In the news", "x", "y", "z", "u", "v"], [False] * 6),
        (["", "..."], [False, False]),
    ],
)
def test_a_block_is_main_content_if_its_words_stand_in_the_reference_in_sequence(blocks, expected):
    assert labels(blocks, REFERENCE).tolist() == expected


def test_the_model_that_ships_asks_for_features_that_there_are():
    forest = main_content.forest()
    inner = np.isfinite(forest.thresholds)
    assert forest.features[inner].max() < len(main_content.FEATURES)
    assert forest.left.max() < forest.left.size
    assert (forest.left[~inner] == np.flatnonzero(~inner)).all()
