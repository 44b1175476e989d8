"""The figures of finished evaluations."""

from dataclasses import dataclass

from corpusmill.manifests.errors import CorpusmillError
from corpusmill.report.reading.run import Run
from corpusmill.stages.evaluate.report import read_figures


@dataclass(frozen=True)
class Figure:
    """One figure of a task. error: standard error."""

    stage: str
    task: str
    metric: str
    value: float
    error: float | None
    items: int


def evaluations(run: Run) -> list[Figure]:
    """The whole tasks, without their domains."""
    found = []
    for stage in run.of("evaluate"):
        try:
            figures = read_figures(stage.manifest.folder)
        except CorpusmillError:
            continue  # `verify` reports what is missing
        found += [
            Figure(
                stage.name,
                line["task"],
                line["metric"],
                line["value"],
                line.get("error"),
                line.get("items", 0),
            )
            for item in figures
            for line in item["lines"]
            if not line.get("domain")
        ]
    return found
