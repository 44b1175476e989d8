"""The differences between the arms of ablations, from their `comparison.json`."""

import json
from dataclasses import dataclass
from typing import Any

from corpusmill.manifests import storage
from corpusmill.report.reading.run import Run
from corpusmill.stages.ablate.picture import picture_of

METRICS = ("bits_per_byte", "gold_bits_per_byte")
TEXT, MEAN = METRICS[0], "mean of texts"


@dataclass(frozen=True)
class Ablation:
    """rows: a task's figure of an arm, as `comparison.json` has it. Whole tasks only. picture: SVG
    of the differences.
    """

    name: str
    baseline: str
    tokens: int
    seeds: int
    rows: list[dict[str, Any]]
    picture: str


def ablations(run: Run) -> list[Ablation]:
    """The finished ablations of a run."""
    found = []
    for stage in run.of("ablate"):
        path = storage.join(stage.manifest.folder, "comparison.json")
        if not storage.exists(path):
            continue  # `verify` reports what is missing
        facts = json.loads(storage.read_bytes(path))
        rows = [
            figure
            for figure in facts["figures"]
            if figure["metric"] in METRICS and not figure["domain"]
        ]
        rows.sort(key=lambda one: (one["task"] != MEAN, one["metric"] != TEXT, one["task"]))
        found.append(
            Ablation(
                name=stage.name,
                baseline=facts["baseline"],
                tokens=facts["tokens"],
                seeds=len(facts["seeds"]),
                rows=rows,
                picture=picture_of(facts["figures"]),
            )
        )
    return found
