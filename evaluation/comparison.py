"""What arms of an ablation differ by: means over seeds, paired differences, and how sure they are.

Every arm is trained with the same seeds, and every model is scored on the same items. So an arm and
the baseline are compared seed by seed and item by item, which removes what they have in common
(Miller 2024, arXiv 2411.00640, section 4). A value is the mean of a run's last readings.

The 95 % half-width of a difference has two parts, added as squares:
- other seeds: Student's t over the differences of the seeds that both have;
- other items: 1.96 standard errors of the difference over items, each item's mean over the seeds.

The spread of a difference is the standard deviation of its mean over the seeds between the last
readings. A difference smaller than its half-width or its spread is not a gain, and one of a single
seed is none either.
"""

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from corpusmill.evaluation.gauge import mean_and_deviation
from corpusmill.evaluation.results import Record
from corpusmill.evaluation.summary import LN2, gold_bits
from numpy.typing import NDArray

SURE = 0.975  # of both sides: 95 %
MEAN = "mean of texts"  # the task of the mean over all domains of texts
TEXT, GOLD, ACCURACY = "bits_per_byte", "gold_bits_per_byte", "accuracy"
LARGER_IS_BETTER = (ACCURACY, "accuracy_per_byte")


class Key(NamedTuple):
    """A figure's name. domain: empty for the whole task."""

    task: str
    domain: str
    metric: str


class Items(NamedTuple):
    """A figure's items: their rows in the task, ascending, and their shares.

    The figure is the sum of the tops over that of the bottoms. Tops are means over last readings.
    """

    rows: NDArray[np.int64]
    tops: NDArray[np.float64]
    bottoms: NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """One arm with one seed. readings: figures by key, at each reading in order."""

    arm: str
    seed: int
    readings: Sequence[Mapping[Key, float]]
    items: Mapping[Key, Items]


@dataclass(frozen=True)
class Difference:
    """To the baseline. half_width: None if nothing can be said, with one seed and one item."""

    value: float
    half_width: float | None
    of_seeds: float | None
    of_items: float | None
    spread: float | None


@dataclass(frozen=True)
class Figure:
    """One arm's figure, and how it differs from the baseline's.

    difference: None for the baseline, and if the two have no seed in common. half_width: 95
    %, over seeds; None for one seed. items: how many were scored.
    """

    arm: str
    task: str
    domain: str
    metric: str
    value: float
    half_width: float | None
    seeds: int
    items: int
    difference: Difference | None

    @property
    def verdict(self) -> str:
        """better, worse, or unclear; empty for the baseline.

        With one seed it is unclear: another seed might say the opposite.
        """
        found = self.difference
        if found is None:
            return ""
        if found.of_seeds is None or found.half_width is None:
            return "unclear"
        if abs(found.value) <= max(found.half_width, found.spread or 0.0):
            return "unclear"
        return "better" if (found.value > 0) == (self.metric in LARGER_IS_BETTER) else "worse"

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict}

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> "Figure":
        """The figure that `as_json` gave."""
        fields = {name: value for name, value in found.items() if name != "verdict"}
        difference = fields.pop("difference")
        return cls(**fields, difference=Difference(**difference) if difference else None)


def tops_and_bottoms(kind: str, record: Record) -> dict[str, tuple[float, float]]:
    """An item's share of each figure of its task: metric -> (top, bottom)."""
    if kind == "text":
        return {TEXT: (-record["loglikelihoods"][0] / LN2, float(record["bytes"][0]))}
    return {GOLD: (gold_bits(kind, record), 1.0), ACCURACY: (float(record["right"]), 1.0)}


def compare(runs: Sequence[Run], baseline: str, last: int) -> list[Figure]:
    """Every figure of every arm, in the order of the arms' first runs.

    last: how many of the last readings a value is the mean of. A figure that a run lacks is left
    out.
    """
    arms: dict[str, dict[int, Run]] = {}
    for run in runs:
        arms.setdefault(run.arm, {})[run.seed] = run
    everywhere = [set(run.items) & set(run.readings[-1]) for run in runs]
    keys = sorted(set.intersection(*everywhere)) if everywhere else []
    texts = [key for key in keys if key.metric == TEXT and _is_domain(key, keys)]
    figures = []
    for arm, seeds in arms.items():
        others = {} if arm == baseline else arms.get(baseline, {})
        figures += [_figure(arm, key, [key], seeds, others, last) for key in keys]
        if len(texts) > 1:
            figures.append(_figure(arm, Key(MEAN, "", TEXT), texts, seeds, others, last))
    return figures


def _is_domain(key: Key, keys: Sequence[Key]) -> bool:
    """Whether the key is a domain, or a task without domains."""
    return bool(key.domain) or not any(one.task == key.task and one.domain for one in keys)


def _figure(
    arm: str,
    key: Key,
    keys: Sequence[Key],
    runs: Mapping[int, Run],
    others: Mapping[int, Run],
    last: int,
) -> Figure:
    """One arm's figure. keys: those whose mean it is; each weighs the same.

    runs, others: seed -> the run of the arm, and of the baseline. `others` may be empty.
    """
    curves = _curves(runs, keys, last)
    value, deviation = mean_and_deviation([mean_and_deviation(one)[0] for one in curves.values()])
    first = next(iter(runs.values()))
    return Figure(
        arm,
        *key,
        value,
        _student(deviation, len(curves)),
        len(curves),
        sum(len(first.items[one].rows) for one in keys),
        _difference(keys, runs, others, last),
    )


def _difference(
    keys: Sequence[Key], runs: Mapping[int, Run], others: Mapping[int, Run], last: int
) -> Difference | None:
    """Over the seeds that both have. None if there is none."""
    shared = [seed for seed in runs if seed in others]
    if not shared:
        return None
    mine, theirs = _curves(runs, keys, last), _curves(others, keys, last)
    paired = [
        [one - two for one, two in zip(mine[seed], theirs[seed], strict=True)] for seed in shared
    ]
    value, deviation = mean_and_deviation([mean_and_deviation(one)[0] for one in paired])
    by_reading = [math.fsum(ones) / len(ones) for ones in zip(*paired, strict=True)]
    of_seeds = _student(deviation, len(shared))
    errors = [
        _item_error(
            [runs[seed].items[key] for seed in shared], [others[seed].items[key] for seed in shared]
        )
        for key in keys
    ]
    known = [error for error in errors if error is not None]
    of_items = 1.96 * math.hypot(*known) / len(keys) if len(known) == len(keys) else None
    parts = [part for part in (of_seeds, of_items) if part is not None]
    half_width = math.hypot(*parts) if parts else None
    return Difference(value, half_width, of_seeds, of_items, mean_and_deviation(by_reading)[1])


def _curves(runs: Mapping[int, Run], keys: Sequence[Key], last: int) -> dict[int, list[float]]:
    """Seed -> the mean of the figures at each of the last readings."""
    return {
        seed: [math.fsum(one[key] for key in keys) / len(keys) for one in run.readings[-last:]]
        for seed, run in runs.items()
    }


def _student(deviation: float | None, number: int) -> float | None:
    """The 95 % half-width of a mean of `number` values."""
    from scipy.stats import t

    if deviation is None:
        return None
    return float(t.ppf(SURE, number - 1)) * deviation / math.sqrt(number)


def _item_error(ones: Sequence[Items], others: Sequence[Items]) -> float | None:
    """The standard error over items of the difference of two figures, each the mean of its runs.

    It is that of a ratio, linearised. None for one item.
    """
    rows = functools.reduce(np.intersect1d, [items.rows for items in (*ones, *others)])
    if len(rows) < 2:
        return None

    def mean_tops(runs: Sequence[Items]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.mean(
            [items.tops[np.isin(items.rows, rows)] for items in runs], axis=0
        )
        return found

    differences = mean_tops(ones) - mean_tops(others)
    bottoms = ones[0].bottoms[np.isin(ones[0].rows, rows)]
    total = bottoms.sum()
    rest = differences - differences.sum() / total * bottoms
    number = len(differences)
    return float(np.sqrt((rest**2).sum() * number / (number - 1)) / total)


def by_key(figures: Sequence[Figure]) -> Iterator[tuple[Key, list[Figure]]]:
    """The figures of each key together, in the order of the arms."""
    keys = list(dict.fromkeys(Key(one.task, one.domain, one.metric) for one in figures))
    for key in keys:
        yield key, [one for one in figures if (one.task, one.domain, one.metric) == key]
