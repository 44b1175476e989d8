"""What language models answered: the labels of `annotate`, and what asking took.

Both stand in the manifests of the stages that ask (`stages.annotate.labels`,
`stages.synthesize.usage`).
"""

from dataclasses import dataclass
from typing import Any

from corpusmill.report.reading.run import Run

_ASKING = ("synthesize", "annotate")


@dataclass(frozen=True)
class Labels:
    """The values of one property. values: (value, documents), in the order of the rubric.

    mean: of grades. None: the values are words.
    """

    stage: str
    name: str
    values: list[tuple[str, int]]
    mean: float | None

    @property
    def documents(self) -> int:
        return sum(number for _, number in self.values)


@dataclass(frozen=True)
class Usage:
    """What one stage took. prompts: (prompt, rows, kept rows, tokens in, tokens out).

    hours: in which the engine was at work. gpu_hours, speed: None if that is not known. speed:
    output tokens a second, of one GPU or of one engine without a GPU. rates: (of what, GPU hours
    per billion tokens).
    """

    stage: str
    prompts: list[tuple[str, int, int, int, int]]
    hours: float
    gpus: float
    gpu_hours: float | None
    speed: float | None
    rates: list[tuple[str, float]]


def labels(run: Run) -> list[Labels]:
    """Each property that `annotate` stages labelled with grades or words of a list."""
    return [
        _labels(stage.name, name, counts)
        for stage in run.of("annotate")
        for name, counts in stage.manifest.measures.get("labels", {}).items()
    ]


def usage(run: Run) -> list[Usage]:
    """What each stage took that asked a model."""
    found = [
        (stage.name, stage.manifest.measures["usage"])
        for stage in run.of(*_ASKING)
        if stage.manifest.measures.get("usage", {}).get("prompts")
    ]
    return [_usage(name, took) for name, took in found]


def _usage(name: str, took: dict[str, Any]) -> Usage:
    columns = ("rows", "kept", "prompt_tokens", "output_tokens")
    return Usage(
        name,
        [
            (prompt, *(counts.get(column, 0) for column in columns))
            for prompt, counts in took["prompts"].items()
        ],
        took["engine_hours"],
        took["gpus"],
        took["gpu_hours"],
        took["output_tokens_per_second"],
        [
            (what, hours)
            for what, hours in took["gpu_hours_per_billion_tokens"].items()
            if hours is not None
        ],
    )


def _labels(stage: str, name: str, counts: dict[str, int]) -> Labels:
    """JSON spells grades as text, and keeps words in the rubric's order."""
    try:
        grades = {int(value): number for value, number in counts.items()}
    except ValueError:
        return Labels(stage, name, [*counts.items()], None)
    documents = sum(grades.values())
    mean = sum(grade * number for grade, number in grades.items()) / max(documents, 1)
    return Labels(stage, name, [(str(grade), grades[grade]) for grade in sorted(grades)], mean)
