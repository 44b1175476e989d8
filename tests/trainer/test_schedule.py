"""Golden values of the schedules."""

import pytest
from corpusmill.trainer.schedule import learning_rate_at


def rates(schedule, steps=10, warmup=2, **options):
    return [
        learning_rate_at(step, steps, 1.0, warmup, schedule, **options) for step in range(steps)
    ]


def test_cosine_rises_linearly_and_falls_to_one_percent():
    expected = [0.5, 1.0, 0.962320, 0.855018, 0.694428, 0.505, 0.315572, 0.154982, 0.047680, 0.01]
    assert rates("cosine") == pytest.approx(expected, abs=1e-6)


def test_wsd_stays_at_the_peak_and_falls_linearly_at_the_end():
    expected = [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 0.7525, 0.505, 0.2575, 0.01]
    assert rates("wsd", decay_fraction=0.4) == pytest.approx(expected)


@pytest.mark.parametrize("fraction", [0.0, 0.04])
def test_wsd_with_a_decay_of_no_step_stays_at_the_peak(fraction):
    assert rates("wsd", decay_fraction=fraction) == [0.5] + [1.0] * 9


def test_the_floor_is_a_fraction_of_the_peak():
    assert learning_rate_at(99, 100, 8e-4, 10, "cosine", floor=0.1) == pytest.approx(8e-5)


@pytest.mark.parametrize("schedule", ["cosine", "wsd"])
def test_no_warm_up_starts_near_the_peak_and_the_peak_is_never_passed(schedule):
    values = rates(schedule, steps=1000, warmup=0)
    assert values[0] == pytest.approx(1.0, abs=1e-4)
    assert max(values) <= 1.0
    assert values == sorted(values, reverse=True)
