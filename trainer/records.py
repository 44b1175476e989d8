"""The log of a run: one record a step, in `log.jsonl` and for whoever watches."""

import io
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.flops import peak_flops
from corpusmill.trainer.ranks import Ranks
from torch import Tensor


@dataclass(frozen=True)
class StepRecord:
    """One line of `log.jsonl`.

    step: finished steps of `steps`. loss: nats per counted target. tokens_per_second: of all ranks,
    mean since the last write. mfu: of the first rank's GPU, see `trainer.flops`; None if its peak
    is unknown. memory_gb: largest use of that GPU so far; None on a CPU. seconds_left: until the
    run ends, at this speed. figures: what a gauge read at this step, by name; None at most steps.
    note: what to tell the user, once.
    """

    step: int
    steps: int
    loss: float
    learning_rate: float
    gradient_norm: float  # before clipping
    tokens_per_second: float
    held_out_loss: float | None = None
    mfu: float | None = None
    memory_gb: float | None = None
    seconds_left: float | None = None
    figures: dict[str, float] | None = None
    note: str | None = None


OnStep = Callable[[StepRecord], None]


class Records:
    """The log. It collects steps, with numbers still on the device, and writes them together.

    tell: called with every record that is written, by the first rank only. notes: what the user
    should know; the next record takes it from there.
    """

    def __init__(
        self,
        path: Path,
        first: int,
        steps: int,
        config: TrainConfig,
        tell: Sequence[OnStep],
        ranks: Ranks,
        notes: list[str] | None = None,
    ) -> None:
        self.path = path
        self.ranks = ranks  # only the first writes; all see a loss that is not finite
        self._peak = peak_flops(ranks.device)
        self._flops = 0.0  # of this rank since the last write
        self.steps = steps
        self.tokens_per_step = config.batch_size * config.sequence_length
        self.tell = tell
        self.last: StepRecord | None = None
        self._waiting: list[tuple[int, float, Tensor]] = []
        self._notes = [] if notes is None else notes
        self._since = time.perf_counter()
        if not ranks.first:
            return
        kept = []
        if path.exists():
            kept = [
                line
                for line in path.read_text(encoding="utf-8").splitlines()
                if _step_of(line) <= first
            ]
        rewritten = path.with_suffix(".rewritten")
        rewritten.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        rewritten.replace(path)
        if kept:
            self.last = StepRecord(**json.loads(kept[-1]))

    def add(self, step: int, rate: float, loss: Tensor, norm: Tensor, flops: float) -> None:
        """Collect a finished step. flops: of this rank's part of it."""
        self._waiting.append((step, rate, torch.stack([loss, norm])))
        self._flops += flops

    def write(
        self, held_out_loss: float | None = None, figures: dict[str, float] | None = None
    ) -> None:
        """Wait for the device and append the waiting records. The last one gets what is given.

        Raises CorpusmillError if a loss is not finite.
        """
        values = torch.stack([pair for _, _, pair in self._waiting]).tolist()
        now = time.perf_counter()
        seconds = now - self._since
        speed = len(values) * self.tokens_per_step / seconds
        mfu = round(self._flops / seconds / self._peak, 4) if self._peak else None
        memory = _peak_memory(self.ranks.device)
        with self.path.open("a", encoding="utf-8") if self.ranks.first else io.StringIO() as file:
            for (step, rate, _), (loss, norm) in zip(self._waiting, values, strict=True):
                if not (math.isfinite(loss) and math.isfinite(norm)):
                    raise CorpusmillError(
                        f"step {step}: loss {loss}, gradient norm {norm}",
                        "lower learning_rate or lengthen warmup_steps and start in another output "
                        "folder; "
                        "the checkpoints up to here are good",
                    )
                last = step == self._waiting[-1][0]
                self.last = StepRecord(
                    step,
                    self.steps,
                    loss,
                    rate,
                    norm,
                    speed,
                    held_out_loss if last else None,
                    mfu,
                    memory,
                    round((self.steps - step) * self.tokens_per_step / speed, 1),
                    figures if last else None,
                    "; ".join(self._notes) or None,
                )
                self._notes.clear()
                file.write(json.dumps(asdict(self.last)) + "\n")
                for on_step in self.tell if self.ranks.first else ():
                    on_step(self.last)
        self._waiting.clear()
        self._flops = 0.0
        self._since = time.perf_counter()


def _peak_memory(device: torch.device) -> float | None:
    if device.type != "cuda":
        return None
    return round(torch.cuda.max_memory_allocated(device) / 1e9, 1)


def read_records(path: Path) -> list[StepRecord]:
    """All lines of a log."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [StepRecord(**json.loads(line)) for line in lines]


def _step_of(line: str) -> float:
    """The step of a log line. It is infinite if an interruption cut the line.

    Such a line is dropped, and so are those after it.
    """
    try:
        return json.loads(line)["step"]
    except json.JSONDecodeError:
        return math.inf
