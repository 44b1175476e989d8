"""The differences between the arms of ablations, from their `comparison.json`."""

import json
from dataclasses import dataclass
from typing import Any

from corpusmill.manifests import storage
from corpusmill.report.reading.run import Run

METRICS = ("bits_per_byte", "gold_bits_per_byte")


@dataclass(frozen=True)
class Ablation:
    """rows: a task's figure of an arm, as `comparison.json` has it. Whole tasks only."""

    name: str
    baseline: str
    tokens: int
    seeds: int
    rows: list[dict[str, Any]]


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
        rows.sort(key=lambda figure: figure["task"])
        found.append(
            Ablation(stage.name, facts["baseline"], facts["tokens"], len(facts["seeds"]), rows)
        )
    return found
