"""What arms of an ablation differ by: means over seeds, paired differences, and how sure they are.

Every arm is trained with the same seeds, and every model is scored on the same items. So an arm and
the baseline are compared seed by seed and item by item, which removes what they have in common
(Miller 2024, arXiv 2411.00640, section 4). A value is the mean of a run's last readings.

The 95 % half-width of a difference has two parts, added as squares:
- other seeds: Student's t over the differences of the seeds;
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
    figures = []
    for arm, seeds in arms.items():
        other = None if arm == baseline else arms.get(baseline)
        figures += [_figure(arm, key, seeds, other, last) for key in keys]
        texts = [key for key in keys if key.metric == TEXT and _is_domain(key, keys)]
        if len(texts) > 1:
            figures.append(_mean_figure(arm, texts, seeds, other, last))
    return figures


def _is_domain(key: Key, keys: Sequence[Key]) -> bool:
    """Whether the key is a domain, or a task without domains."""
    return bool(key.domain) or not any(one.task == key.task and one.domain for one in keys)


def _figure(
    arm: str, key: Key, seeds: Mapping[int, Run], others: Mapping[int, Run] | None, last: int
) -> Figure:
    curves = {seed: [one[key] for one in run.readings[-last:]] for seed, run in seeds.items()}
    item_error = None
    if others:
        item_error = _item_error(
            [run.items[key] for run in seeds.values()], [run.items[key] for run in others.values()]
        )
        opposite = {
            seed: [one[key] for one in run.readings[-last:]] for seed, run in others.items()
        }
    else:
        opposite = None
    number = len(next(iter(seeds.values())).items[key].rows)
    return _joined(arm, key, curves, opposite, item_error, number)


def _mean_figure(
    arm: str,
    keys: Sequence[Key],
    seeds: Mapping[int, Run],
    others: Mapping[int, Run] | None,
    last: int,
) -> Figure:
    """The mean over the domains of texts; each weighs the same."""

    def curves(runs: Mapping[int, Run]) -> dict[int, list[float]]:
        return {
            seed: [math.fsum(one[key] for key in keys) / len(keys) for one in run.readings[-last:]]
            for seed, run in runs.items()
        }

    error = None
    if others:
        errors = [
            _item_error(
                [run.items[key] for run in seeds.values()],
                [run.items[key] for run in others.values()],
            )
            for key in keys
        ]
        if None not in errors:
            error = math.sqrt(math.fsum((one or 0.0) ** 2 for one in errors)) / len(keys)
    first = next(iter(seeds.values()))
    number = sum(len(first.items[key].rows) for key in keys)
    return _joined(
        arm, Key(MEAN, "", TEXT), curves(seeds), curves(others) if others else None, error, number
    )


def _joined(
    arm: str,
    key: Key,
    curves: Mapping[int, Sequence[float]],
    others: Mapping[int, Sequence[float]] | None,
    item_error: float | None,
    number: int,
) -> Figure:
    """curves, others: seed -> the figure at the last readings, of the arm and of the baseline."""
    values = [mean_and_deviation(curve)[0] for curve in curves.values()]
    value, deviation = mean_and_deviation(values)
    difference = None
    paired = {
        seed: [one - two for one, two in zip(curves[seed], others[seed], strict=True)]
        for seed in curves
        if others and seed in others
    }
    if paired:
        means, between = mean_and_deviation([mean_and_deviation(one)[0] for one in paired.values()])
        by_reading = [math.fsum(ones) / len(ones) for ones in zip(*paired.values(), strict=True)]
        of_seeds = _student(between, len(paired))
        of_items = None if item_error is None else 1.96 * item_error
        parts = [part for part in (of_seeds, of_items) if part is not None]
        difference = Difference(
            means,
            math.hypot(*parts) if parts else None,
            of_seeds,
            of_items,
            mean_and_deviation(by_reading)[1],
        )
    return Figure(
        arm, *key, value, _student(deviation, len(values)), len(values), number, difference
    )


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
