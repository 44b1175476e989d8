"""The same few tasks again and again, while a model trains.

Questions are made once. At a checkpoint the model is scored as it lies in memory: no folder is
written or read, and no second copy of the weights is made. A figure at one checkpoint is noisy, so
`last_mean` gives the mean of the last ones and their spread (Heineman et al. 2025, arXiv
2508.13144).
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corpusmill.evaluation.hybrid import HybridScorer
from corpusmill.evaluation.questions import Questions
from corpusmill.evaluation.results import Record
from corpusmill.evaluation.run import Reading, cut_questions, likelihood_rows
from corpusmill.evaluation.scoring import Piece
from corpusmill.evaluation.summary import Line, summary
from corpusmill.evaluation.task import Task
from corpusmill.trainer.model import HybridModel


@dataclass(frozen=True)
class Gauge:
    """Tasks that are scored by log-likelihood, and how texts become tokens."""

    tasks: Sequence[tuple[Task, Questions]]
    reading: Reading
    batch_tokens: int | None = None

    @functools.cached_property
    def _cut(self) -> list[list[list[Piece]]]:
        """Each task's questions as tokens: they are the same at every checkpoint."""
        return [cut_questions(task, questions, self.reading) for task, questions in self.tasks]

    def records(self, model: HybridModel) -> list[tuple[Task, list[Record]]]:
        """Each task's scored items. The model stays as it was, in its mode of training or not."""
        training = model.training
        model.eval()
        scorer = HybridScorer(model, self.reading.context, shares=False)
        found = [
            (
                task,
                likelihood_rows(task, questions, scorer, self.reading, self.batch_tokens, cut=cut),
            )
            for (task, questions), cut in zip(self.tasks, self._cut, strict=True)
        ]
        model.train(training)
        return found

    def read(self, model: HybridModel) -> list[Line]:
        """The figures of the model."""
        return [
            line for task, records in self.records(model) for line in summary(task.kind, records)
        ]


def named(lines: Sequence[Line]) -> dict[str, float]:
    """Figures by name, `task/metric` or `task/domain/metric`, as a log has them."""
    return {
        "/".join(filter(None, (line.task, line.domain, line.metric))): line.value for line in lines
    }


def last_mean(
    checkpoints: Mapping[int, Mapping[str, float]], last: int
) -> dict[str, tuple[float, float | None]]:
    """Each figure's mean over the last checkpoints, and their standard deviation (None for one).

    checkpoints: step -> figures by name. A figure that one of them lacks is left out.
    """
    steps = sorted(checkpoints)[-last:]
    found: dict[str, list[float]] = {}
    for step in steps:
        for name, value in checkpoints[step].items():
            found.setdefault(name, []).append(value)
    return {
        name: mean_and_deviation(values)
        for name, values in found.items()
        if len(values) == len(steps)
    }


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation, which one value does not have."""
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, None
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, math.sqrt(variance)
