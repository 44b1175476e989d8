"""What trainings did, from the log of each: losses, learning rate and speed by step."""

import json
import math
from dataclasses import dataclass
from typing import Any

from corpusmill.manifests import storage
from corpusmill.report.reading.run import Run

POINTS = 400  # of a line; each is a mean of steps
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Training:
    """loss, held_out: nats a token by step. rate: learning rate. speed: tokens a second. figures:
    bits per byte of whole tasks, by name, as a gauge read them.
    """

    name: str
    loss: Points
    held_out: Points
    rate: Points
    speed: Points
    figures: dict[str, Points]

    @property
    def last(self) -> float | None:
        return self.loss[-1][1] if self.loss else None

    @property
    def last_held_out(self) -> float | None:
        return self.held_out[-1][1] if self.held_out else None


def trainings(run: Run) -> list[Training]:
    """The trainings among a run's stages that left a log."""
    found = []
    for stage in run.stages:
        path = storage.join(stage.manifest.folder, "log.jsonl")
        if storage.exists(path):
            records = [
                json.loads(line)
                for line in storage.read_bytes(path).decode().splitlines()
                if line.strip()
            ]
            found.append(
                Training(
                    stage.name,
                    thinned(_points(records, "loss")),
                    _points(records, "held_out_loss"),
                    thinned(_points(records, "learning_rate")),
                    thinned(_points(records, "tokens_per_second")),
                    _figures(records),
                )
            )
    return found


def _figures(records: list[dict[str, Any]]) -> dict[str, Points]:
    """A line for each task's bits per byte. Domains and accuracies are in the log only."""
    read = [(record["step"], record["figures"]) for record in records if record.get("figures")]
    names = [name for name in (read[-1][1] if read else ()) if _is_whole_task(name)]
    return {
        name: _points([{"step": step, name: figures.get(name)} for step, figures in read], name)
        for name in names
    }


def _is_whole_task(name: str) -> bool:
    task, *rest = name.split("/")
    return bool(task) and len(rest) == 1 and rest[0].endswith("bits_per_byte")


def _points(records: list[dict[str, Any]], key: str) -> Points:
    return [
        (float(record["step"] or 0), float(value))
        for record in records
        if (value := record.get(key)) is not None and math.isfinite(value)
    ]


def thinned(points: Points, most: int = POINTS) -> Points:
    """At most `most` points, each the mean of its neighbours. The last one is kept as it is."""
    if len(points) <= most:
        return points
    parts = [
        points[place * len(points) // most : (place + 1) * len(points) // most]
        for place in range(most)
    ]
    means = [
        (sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in parts
    ]
    return [*means[:-1], points[-1]]
