"""How the default extractor's model is made: the labels. And the shipped file fits the code."""

import numpy as np
import pytest
from corpusmill.stages.extract import main_content
from corpusmill.tools.block_labels import by_reference, by_second_vote, by_vote

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
    assert by_reference(blocks, REFERENCE).tolist() == expected


def arrays(*rows):
    return (np.array(row) for row in rows)


def test_a_vote_keeps_what_both_take_and_learns_nothing_from_what_they_dispute():
    peer, scores, sizes, comments = arrays(
        [True, True, True, False, False, False],
        [0.9, 0.25, 0.1, 0.95, 0.95, 0.5],
        [100, 20, 20, 50, 50, 10],
        [False, False, False, False, True, False],
    )
    found = by_vote(peer, scores, sizes, comments)
    assert found is not None
    labels, teach = found
    assert labels.tolist() == [True, True, False, False, False, False]
    # Doubtful: the second. Overruled: the fourth, but not the fifth, which is a comment.
    assert teach.tolist() == [True, False, True, False, True, True]


def test_a_second_vote_takes_what_the_forest_is_sure_of():
    peer, scores, sizes, chosen = arrays(
        [True, False, False, True],
        [0.9, 0.95, 0.75, 0.4],
        [100, 50, 50, 10],
        [True, True, True, False],
    )
    found = by_second_vote(peer, scores, sizes, chosen)
    assert found is not None
    labels, teach = found
    assert labels.tolist() == [True, True, False, False]
    assert teach.tolist() == [True, True, False, True]


@pytest.mark.parametrize("scores", [[0.1, 0.9], [0.9, 0.9]])
def test_a_page_without_a_text_in_common_teaches_nothing(scores):
    sizes = np.array([200 if scores[0] < 0.5 else 20, 50])
    peer, none = np.array([True, False]), np.zeros(2, np.bool_)
    assert by_vote(peer, np.array(scores), sizes, none) is None
    assert by_second_vote(peer, np.array(scores), sizes, ~none) is None


def test_the_model_that_ships_asks_for_features_that_there_are():
    forest = main_content.forest()
    inner = np.isfinite(forest.thresholds)
    assert forest.features[inner].max() < len(main_content.FEATURES)
    assert forest.left.max() < forest.left.size
    assert (forest.left[~inner] == np.flatnonzero(~inner)).all()
