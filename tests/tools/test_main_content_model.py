"""How the default extractor's model is made: the labels. And the shipped file fits the code."""

import numpy as np
import pytest
from corpusmill.stages.extract import main_content
from corpusmill.tools.make_main_content import labels

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
