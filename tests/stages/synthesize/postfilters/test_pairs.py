"""Question-answer pairs: what a passage does not say costs its pair alone."""

import pytest
from corpusmill.stages.synthesize.postfilters import Context, Rejection
from corpusmill.stages.synthesize.postfilters.pairs import faithful_pairs

PASSAGE = (
    "The lighthouse at Brunn was built in 1871 by Maria Novak. It is 38 metres high, and a storm "
    "broke its lantern in 1904. Of 1,200 visitors, 2.5% climb the stairs for 4 euros."
)
GOOD = "Question: Who built the lighthouse at Brunn?\nAnswer: Maria Novak, in 1871."


def left(*pairs):
    """The answer's pairs that are left, or the reason why none is."""
    text = "\n\n".join(f"Question: {question}\nAnswer: {answer}" for question, answer in pairs)
    result = faithful_pairs(text, Context(PASSAGE, 40, "", 0))
    return result.reason if isinstance(result, Rejection) else result


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When was the lighthouse at Brunn built?", "It was built in 1871."),
        ("How long did the lantern last?", "1904 - 1871 = 33 years."),
        ("How many visitors climb the stairs?", "2.5% of 1,200 = 30 visitors."),
        ("What do they pay for two?", "4 + 4 = 8 euros."),
        ("How high is it? A) 20 metres B) 38 metres C) 45 metres", "B) 38 metres"),
        ("Who built it? A) Olaf Berg B) Maria Novak", "B) Maria Novak"),
        ("Was it built in 1875?", "No, it was built in 1871."),
    ],
)
def test_a_pair_that_the_passage_supports_stays(question, answer):
    assert left((question, answer)) == f"Question: {question}\nAnswer: {answer}"


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("When was the lighthouse at Brunn built?", "It was built in 1875.", "new_number"),
        ("What did Maria Novak build in 1875?", "The lighthouse.", "new_number"),
        ("How long did the lantern last?", "1904 - 1871 = 34 years.", "new_number"),
        ("How long did the lantern last?", "It lasted 33 years.", "new_number"),
        ("Who built it? A) Olaf Berg B) Maria Novak", "A) Olaf Berg", "new_name"),
        ("Was it built in 1871?", "No, it was built in 1875.", "new_number"),
    ],
)
def test_a_pair_that_it_does_not_support_goes_alone(question, answer, reason):
    assert left((question, answer)) == reason
    who = ("Who built the lighthouse at Brunn?", "Maria Novak, in 1871.")
    assert left((question, answer), who) == GOOD


def test_a_text_without_pairs_is_dropped():
    result = faithful_pairs("No questions.", Context(PASSAGE, 40, "", 0))
    assert isinstance(result, Rejection)
    assert result.reason == "no_answered_question"
