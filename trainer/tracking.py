"""What a run tells besides its log: TensorBoard and Weights & Biases, and a picture of the loss.

Both services are off unless the settings name them (`track`), and need their package. TensorBoard's
files lie in `tensorboard/` beside the log. Weights & Biases reads its own settings from the
environment (`WANDB_PROJECT`, `WANDB_MODE=offline`, ...). A resumed run goes on in the same place.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from corpusmill.manifests.looking.charts import line_chart
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.ranks import Ranks
from corpusmill.trainer.records import OnStep, StepRecord

POINTS = 600  # of the picture's line; each is a mean of steps


@contextmanager
def watchers(config: TrainConfig, folder: Path, first: int, ranks: Ranks) -> Iterator[list[OnStep]]:
    """Functions that take every record of a run that goes on after `first` steps.

    There are none but on the first rank. Raises CorpusmillError if a package is missing.
    """
    config.refuse_missing_packages()
    with ExitStack() as stack:
        found: list[OnStep] = []
        if not ranks.first:
            yield found
            return
        if "tensorboard" in config.track:
            found.append(stack.enter_context(_tensorboard(folder, first)))
        if "wandb" in config.track:
            found.append(stack.enter_context(_wandb(config, folder)))
        yield found


@contextmanager
def _tensorboard(folder: Path, first: int) -> Iterator[OnStep]:
    from torch.utils.tensorboard import SummaryWriter

    def tell(record: StepRecord) -> None:
        for name, value in _numbers(record).items():
            writer.add_scalar(name, value, record.step)

    with SummaryWriter(folder / "tensorboard", purge_step=first + 1) as writer:
        yield tell


@contextmanager
def _wandb(config: TrainConfig, folder: Path) -> Iterator[OnStep]:
    import wandb

    identity = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    settings = config.model_dump(mode="json")
    with wandb.init(id=identity, resume="allow", dir=folder, config=settings) as run:
        yield lambda record: run.log(_numbers(record), step=record.step)


def _numbers(record: StepRecord) -> dict[str, float]:
    """The record but for its step, without what was not measured. Figures stand beside the rest."""
    numbers = {**asdict(record), **(record.figures or {})}
    return {
        name: value
        for name, value in numbers.items()
        if name not in ("step", "steps", "figures", "note") and value is not None
    }


def draw_loss(records: Sequence[StepRecord], path: Path) -> None:
    """Write an SVG: the training loss by step as a line, held-out losses as dots."""
    size = -(-len(records) // POINTS)
    pieces = [records[start : start + size] for start in range(0, len(records), size)]
    trained = [(piece[-1].step, sum(r.loss for r in piece) / len(piece)) for piece in pieces]
    held_out = [(r.step, r.held_out_loss) for r in records if r.held_out_loss is not None]
    chart = line_chart([*trained[:1], *held_out, *trained[1:]])  # both on one scale
    if chart is None:
        return
    dots = chart.points[1 : 1 + len(held_out)]
    line = [chart.points[0], *chart.points[1 + len(held_out) :]]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in line)
    marks = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#c2410c"/>' for x, y in dots)
    left, right, floor, bottom = chart.left, chart.width - 10, chart.floor, chart.height - 6
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {chart.width} {chart.height}" '
        f'font-family="sans-serif" font-size="12">'
        f"<title>Loss in nats a token by step. Dots: held-out.</title>"
        f'<rect width="{chart.width}" height="{chart.height}" fill="white"/>'
        f'<polyline points="{points}" fill="none" stroke="#1d4ed8" stroke-width="1.6"/>{marks}'
        f'<text x="{left - 6}" y="16" text-anchor="end">{chart.high}</text>'
        f'<text x="{left - 6}" y="{floor}" text-anchor="end">{chart.low}</text>'
        f'<text x="{left}" y="{bottom}">{chart.first:,}</text>'
        f'<text x="{right}" y="{bottom}" text-anchor="end">{chart.last:,}</text></svg>\n',
        encoding="utf-8",
    )
