"""How good the trained scorers are on labelled documents that they did not learn from."""

import json
from dataclasses import dataclass

from corpusmill.manifests import storage
from corpusmill.report.reading.run import Run

FIGURES = ("accuracy", "precision", "recall", "f1", "auc")


@dataclass(frozen=True)
class Scorer:
    """figures: in the order of `FIGURES`. weights: of a scorer that has few, the largest first."""

    stage: str
    name: str
    documents: int
    figures: list[float | None]
    weights: list[tuple[str, float]]


def scorers(run: Run) -> list[Scorer]:
    """The scorers of all `classify-train` stages of a run."""
    found = []
    for stage in run.of("classify-train"):
        path = storage.join(stage.manifest.folder, "models", "report.json")
        if not storage.exists(path):
            continue
        for name, model in json.loads(storage.read_bytes(path)).get("models", {}).items():
            held_out = model.get("held_out", {})
            weights = sorted(model.get("weights", {}).items(), key=lambda item: -abs(item[1]))
            found.append(
                Scorer(
                    stage.name,
                    name,
                    held_out.get("documents", 0),
                    [held_out.get(figure) for figure in FIGURES],
                    weights,
                )
            )
    return found
