"""A training log's loss curve in one line of text."""

import json

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError

BARS = "▁▂▃▄▅▆▇█"


def read_losses(path: str) -> list[tuple[int, float]]:
    """(step, loss) of every step in a trainer's `log.jsonl`."""
    records = [json.loads(line) for line in storage.read_bytes(path).decode().splitlines() if line]
    return [
        (record["step"], record["loss"]) for record in records if record.get("loss") is not None
    ]


def sparkline(path: str, width: int = 48) -> str:
    """E.g. `6.31 █▆▅▃▂▁ 2.04 over 200 steps`. Raises InputError if the log holds no step."""
    losses = read_losses(path)
    if not losses:
        raise InputError(f"{path} holds no training step", "run train first")
    values = [loss for _, loss in losses]
    width = min(width, len(values))
    means = []
    for column in range(width):
        part = values[column * len(values) // width : (column + 1) * len(values) // width]
        means.append(sum(part) / len(part))
    low, high = min(means), max(means)
    bars = "".join(
        BARS[int((value - low) / ((high - low) or 1) * (len(BARS) - 1))] for value in means
    )
    return f"{means[0]:.2f} {bars} {means[-1]:.2f} over {losses[-1][0]:,} steps"
