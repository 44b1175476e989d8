"""Question-answer pairs: what a passage does not say costs its pair alone."""

import time

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
        ("When was it built? (a) 1850 (b) 1871 (c) 1900", "(b) 1871"),
        ("When was it built? a) 1850 b) 1871", "b) 1871"),
        ("When was it built?\n1. 1850\n2. 1871", "2. 1871"),
        ("When was it built? (1) 1850 (2) 1871", "(2) 1871"),
        ("Was it built in 1999?", "It was not. It was built in 1871."),
        ("Was it built in 1999?", "It wasn't; it was built in 1871."),
        ("True or false: it was built in 1999.", "This is false."),
        ("It was built in 1999, he says.", "That is false; it was built in 1871."),
        ("Was it built in 1999?", "**No**, in 1871."),
        ("How long did the lantern last?", "33 years: 33 = 1904 - 1871."),
        ("How long did the lantern last?", "1904 minus 1871 is about 33 years."),
        ("What do they pay for three?", "4 euros + 4 euros + 4 euros = 12 euros."),
        ("How long did the lantern last?", "33 years (1904 - 1871)."),
        ("What do they pay?", "4 + 4 × 38 = 156, and 4 × (4 + 38) = 168."),
        ("How many climb?", "2.5 percent of 1,200 = 30; 4 x 4 = 16, 38 : 4 = 9.5."),
        ("What part of 1,200 climbs?", "1,200 × 2.5 = 3,000, and 3,000 / 1,200 = 2.5."),
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
        ("Was it built in 1871?", "It was not. It was built in 1875.", "new_number"),
        ("What did Olaf Berg say?", "No one may climb it.", "new_name"),
        ("What did Olaf Berg build in 1234 at Brunn?", "Not the lighthouse.", "new_number"),
        ("What came?", "Between 1904-1871, 33 storms came.", "new_number"),
        ("Was it in 1904?", "No, it was 1871 - 1904 and 4 towers of 1867 feet.", "new_number"),
        ("What is left?", "1904 - 1871 = 33, and 4 towers of 1867 feet.", "new_number"),
        ("What is it? B) 1875 A) 1871", "It is 1871.", "new_number"),
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


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("A) " * 20_000 + "B", "It was built in 1871."),
        ("(A) x" * 20_000, "It was built in 1871."),
        ("1. " * 20_000, "It was built in 1871."),
        ("Was it? " * 20_000, "It was not, " * 20_000),
        ("How much?", "4 + " * 5_000 + "4 = 20004"),
        ("How much?", "4 + 4 = 4 = " * 2_000),
        ("How much?", "1,200 + " * 40 + "4 = 7 = " * 200),
    ],
)
def test_a_hostile_pair_takes_no_time(question, answer):
    began = time.process_time()
    left((question, answer))
    assert time.process_time() - began < 2


def test_many_pairs_with_sums_take_no_time():
    began = time.process_time()
    left(*[("How much?", "4 + " * 40 + "4 = 164")] * 30)
    assert time.process_time() - began < 1
