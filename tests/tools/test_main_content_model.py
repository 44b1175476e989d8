"""How the default extractor's model is made: the measure, the halves, the labels.

And the shipped file fits the code.
"""

import numpy as np
import pytest
from corpusmill.stages.extract import main_content
from corpusmill.tools.block_labels import by_reference, by_second_vote, by_vote
from corpusmill.tools.gold_pages import Score, mean, part_of, score


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
    assert by_reference(blocks, REFERENCE).tolist() == expected


def test_a_headline_may_stand_in_the_reference_or_beside_it():
    assert score("Rain. It rained.", "It rained.", "Rain").f1 == 1
    assert score("It rained.", "It rained.", "Rain").f1 == 1
    assert score("Rain. It rained.", "It rained.").f1 < 1


def test_chinese_and_japanese_are_measured_by_character():
    assert score("我爱水", "我爱火").f1 == pytest.approx(2 / 3)
    assert score("コーヒー", "コーヒー").f1 == 1


def arrays(*rows):
    return (np.array(row) for row in rows)


def test_a_vote_keeps_what_both_take_and_learns_nothing_from_what_they_dispute():
    peer, scores, sizes, comments = arrays(
        [True, True, True, False, False, False],
        [0.9, 0.25, 0.1, 0.95, 0.95, 0.5],
        [100, 20, 20, 50, 50, 10],
        [False, False, False, False, True, False],
    )
    labels, teach = by_vote(peer, scores, sizes, comments)
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
    labels, teach = by_second_vote(peer, scores, sizes, chosen)
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
