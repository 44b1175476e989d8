"""The same few tasks again and again, while a model trains.

Questions are made once. At a checkpoint the model is scored as it lies in memory: no folder is
written or read. A figure at one checkpoint is noisy, so `last_mean` gives the mean of the last
ones and their spread (Heineman et al. 2025, arXiv 2508.13144).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from corpusmill.evaluation.hybrid import HybridScorer
from corpusmill.evaluation.questions import Questions
from corpusmill.evaluation.results import Record
from corpusmill.evaluation.run import Reading, likelihood_rows
from corpusmill.evaluation.summary import Line, summary
from corpusmill.evaluation.task import Task
from corpusmill.trainer.model import HybridModel


@dataclass(frozen=True)
class Gauge:
    """Tasks that are scored by log-likelihood, and how texts become tokens."""

    tasks: Sequence[tuple[Task, Questions]]
    reading: Reading
    batch_tokens: int | None = None

    def read(self, model: HybridModel) -> list[Line]:
        """The figures of a model. It stays as it was, in its mode of training or not."""
        training = model.training
        model.eval()
        scorer = HybridScorer(model, self.reading.context)
        lines: list[Line] = []
        for task, questions in self.tasks:
            records: list[Record] = likelihood_rows(
                task, questions, scorer, self.reading, self.batch_tokens
            )
            lines += summary(task.kind, records)
        model.train(training)
        return lines


def last_mean(checkpoints: Mapping[int, Sequence[Line]], last: int) -> list[Line]:
    """Each figure's mean over the last checkpoints; `error` is their standard deviation.

    checkpoints: step -> figures. A figure that a checkpoint lacks is left out.
    """
    steps = sorted(checkpoints)[-last:]
    found: dict[tuple[str, str, str], list[Line]] = {}
    for step in steps:
        for line in checkpoints[step]:
            found.setdefault((line.task, line.domain, line.metric), []).append(line)
    return [_mean(lines) for lines in found.values() if len(lines) == len(steps)]


def _mean(lines: Sequence[Line]) -> Line:
    mean = math.fsum(line.value for line in lines) / len(lines)
    if len(lines) < 2:
        return replace(lines[0], value=mean, error=None)
    variance = math.fsum((line.value - mean) ** 2 for line in lines) / (len(lines) - 1)
    return replace(lines[0], value=mean, error=math.sqrt(variance))
