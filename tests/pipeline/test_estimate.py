"""How an estimate is told: no zero for something, no exponent, no hours of nothing."""

import pytest
from corpusmill.pipeline.estimate import estimate_remarks
from corpusmill.stages.synthesize.estimate import Estimate, Line

LINE = Line("read_page", 1, 1, 10, 36_000_000, 36_000_000, True)


@pytest.mark.parametrize(
    ("gpus", "speed", "told"),
    [
        (1, 0.81, "12,346 hours on 1 GPU, 12,346 GPU hours (0.81 output tokens/s each)"),
        (2, 12_345, "0.405 hours on 2 GPUs, 0.81 GPU hours (12,345 output tokens/s each)"),
        (1000, 99_999, "under a minute on 1,000 GPUs, 0.1 GPU hours (99,999 output tokens/s each)"),
        (1, 9e9, "under a minute on 1 GPU, under 0.01 GPU hours (9,000,000,000 output tokens/s"),
    ],
)
def test_hours_have_three_digits_and_no_exponent(gpus, speed, told):
    assert estimate_remarks(Estimate([LINE], 1, 1, gpus, speed, None))[1].startswith(told)


@pytest.mark.parametrize(
    ("price", "told"), [(0.0, "0.00"), (1e-9, "under 0.01"), (1000, "10,000.00")]
)
def test_a_cost_is_zero_only_if_it_is(price, told):
    assert estimate_remarks(Estimate([LINE], 1, 1, 1, 1000.0, price))[-1] == f"cost: {told}"


def test_where_nothing_is_asked_no_hours_are_told():
    nothing = Line("read_page", 0, 0, 0, 0, 0, False, pages=0, remarks=("4 with a text layer",))
    assert estimate_remarks(Estimate([nothing], 2, 2, 1, 1000.0, 2.5)) == [
        "2 documents; 2 of them were looked at",
        "4 with a text layer",
        "the model has nothing to answer",
    ]
