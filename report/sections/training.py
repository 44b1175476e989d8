"""What trainings did, from the log of each: losses, learning rate and speed by step."""

import json
import math
from dataclasses import dataclass

from corpusmill.manifests import storage
from corpusmill.report.reading.run import Run

POINTS = 400  # of a line; each is a mean of steps
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Training:
    """loss, held_out: nats a token by step. rate: learning rate. speed: tokens a second."""

    name: str
    loss: Points
    held_out: Points
    rate: Points
    speed: Points

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
                )
            )
    return found


def _points(records: list[dict[str, float | None]], key: str) -> Points:
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
