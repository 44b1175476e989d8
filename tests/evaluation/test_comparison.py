"""The statistics of an ablation: paired by seed and item, honest about both."""

import math

import numpy as np
import pytest
from corpusmill.evaluation.comparison import (
    ACCURACY,
    GOLD,
    MEAN,
    TEXT,
    Items,
    Key,
    Run,
    by_key,
    compare,
    tops_and_bottoms,
)

WEB = Key("web", "", TEXT)


def run(arm, seed, values, tops, key=WEB, rows=None):
    """A run whose readings are `values` and whose items have these tops, and bottoms of 1."""
    tops = np.array(tops, dtype=float)
    found = Items(np.arange(len(tops)) if rows is None else rows, tops, np.ones(len(tops)))
    return Run(arm, seed, [{key: value} for value in values], {key: found})


def the(figures, arm, task="web"):
    return next(one for one in figures if (one.arm, one.task) == (arm, task))


def test_a_difference_is_taken_within_a_seed():
    """Seeds differ by 1, the arms by 0.1 within each: the pairing takes the seeds' part out."""
    runs = [
        run(arm, seed, [seed + shift, seed + shift], [seed + shift] * 8)
        for arm, shift in (("raw", 0.0), ("clean", -0.1))
        for seed in (0, 1, 2)
    ]
    clean = the(compare(runs, "raw", 2), "clean")
    assert clean.value == pytest.approx(0.9)
    assert clean.half_width == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)
    assert clean.difference.value == pytest.approx(-0.1)
    assert clean.difference.half_width == pytest.approx(0, abs=1e-12)
    assert clean.verdict == "better"
    assert the(compare(runs, "raw", 2), "raw").difference is None


def test_the_half_width_joins_seeds_and_items():
    tops = {"raw": [1.0, 2.0, 3.0, 4.0], "clean": [1.0, 1.0, 3.0, 3.0]}
    runs = [
        run(arm, seed, [np.mean(tops[arm]) + shift], tops[arm])
        for arm in tops
        for seed, shift in ((0, 0.0), (1, 0.2 if arm == "clean" else 0.0))
    ]
    found = the(compare(runs, "raw", 1), "clean").difference
    # Differences of the seeds: -0.5 and -0.3. Of the items: 0, -1, 0, -1.
    assert found.of_seeds == pytest.approx(12.7062 * 0.1414214 / math.sqrt(2), rel=1e-4)
    assert found.of_items == pytest.approx(1.96 * math.sqrt(4 * 0.25 / 3 / 4), rel=1e-4)
    assert found.half_width == pytest.approx(math.hypot(found.of_seeds, found.of_items))


def test_arms_without_a_seed_in_common_are_not_compared():
    runs = [run("natural", 1, [2.0], [1, 2, 3]), run("proposed", 2, [1.0], [1, 2, 3])]
    found = the(compare(runs, "natural", 1), "proposed")
    assert found.value == 1.0
    assert found.difference is None
    assert found.verdict == ""


def test_a_seed_that_only_one_of_two_arms_has_says_nothing_of_their_difference():
    shared = [run(arm, 0, [top], [top] * 4) for arm, top in (("raw", 2.0), ("clean", 1.0))]
    more = run("raw", 1, [9.0], [9.0, 5.0, 1.0, 1.0])
    alone, joined = (the(compare(runs, "raw", 1), "clean") for runs in (shared, [*shared, more]))
    assert joined.difference == alone.difference
    assert the(compare([*shared, more], "raw", 1), "raw").seeds == 2


def test_a_difference_within_the_spread_of_readings_is_unclear():
    runs = [run("raw", seed, [1.0, 1.0, 1.0], [1.0] * 5) for seed in (0, 1, 2)] + [
        run("clean", seed, [0.7, 1.0, 1.0], [0.9] * 5) for seed in (0, 1, 2)
    ]
    found = the(compare(runs, "raw", 3), "clean")
    assert found.difference.spread == pytest.approx(math.sqrt(0.03))
    assert found.verdict == "unclear"


def test_one_seed_leaves_the_items_and_says_nothing():
    runs = [run("raw", 0, [1.0], [1.0, 1.1]), run("clean", 0, [0.5], [0.5, 0.6])]
    found = the(compare(runs, "raw", 1), "clean")
    assert found.half_width is None
    assert found.difference.of_seeds is None
    assert found.difference.half_width == pytest.approx(0, abs=1e-12)
    assert found.verdict == "unclear"


def test_items_are_paired_by_their_rows():
    """An item that one model could not score is left out of the pairs."""
    runs = [
        run("raw", 0, [1.0], [1.0, 5.0, 1.2], rows=np.array([0, 1, 2])),
        run("clean", 0, [0.5], [0.5, 0.7], rows=np.array([0, 2])),
    ]
    found = the(compare(runs, "raw", 1), "clean").difference
    assert found.of_items == pytest.approx(0, abs=1e-12)


def test_more_accuracy_is_better_and_more_bits_are_worse():
    for metric, verdict in ((ACCURACY, "better"), (GOLD, "worse")):
        key = Key("quiz", "", metric)
        runs = [
            run(arm, seed, [value], [value] * 4, key=key)
            for arm, value in (("raw", 0.2), ("clean", 0.4))
            for seed in (0, 1)
        ]
        assert the(compare(runs, "raw", 1), "clean", "quiz").verdict == verdict


def test_the_mean_of_texts_weighs_domains_the_same():
    domains = {"web": [1.0] * 9, "code": [3.0]}
    runs = []
    for arm, factor in (("raw", 1.0), ("clean", 0.5)):
        keys = {Key(name, "", TEXT): np.array(tops) * factor for name, tops in domains.items()}
        items = {
            key: Items(np.arange(len(tops)), tops, np.ones(len(tops))) for key, tops in keys.items()
        }
        runs.append(Run(arm, 0, [{key: float(tops.mean()) for key, tops in keys.items()}], items))
    figures = compare(runs, "raw", 1)
    assert the(figures, "raw", MEAN).value == pytest.approx(2.0)
    assert the(figures, "clean", MEAN).difference.value == pytest.approx(-1.0)
    assert [key.task for key, _ in by_key(figures)] == ["code", "web", MEAN]


def test_an_item_has_a_share_of_each_figure_of_its_task():
    text = {"loglikelihoods": [-math.log(2) * 12], "bytes": [6]}
    assert tops_and_bottoms("text", text) == {TEXT: (pytest.approx(12), 6.0)}
    choice = {
        "loglikelihoods": [-9.0, -math.log(2) * 12],
        "bytes": [2, 6],
        "gold": 1,
        "right": False,
    }
    assert tops_and_bottoms("multiple_choice", choice) == {
        GOLD: (pytest.approx(2), 1.0),
        ACCURACY: (0.0, 1.0),
    }
