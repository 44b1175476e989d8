"""Choices inside the trainer that one GPU can settle, side by side in one run.

    python benchmarks/train_choices.py [--seconds 145]

Whole optimiser steps of the 1.11B shape, sequence 8192, micro-batch 2, 16 rows a step:

- `sums`: products add up a step's gradients, and weights are cast once a step
  (`trainer.gradient_sums`);
- `one pass`: a norm's backward adds the gradient that passed by it (`trainer.layers.ONE_PASS`).

First weights are drawn on the GPU. Tries that would begin in the last part of --seconds are left
out. `launched`: when the processor has launched a step, as a share of the step. The last line is
JSON.
"""

import argparse
import dataclasses
import gc
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT.parent))

import torch  # noqa: E402
from corpusmill.benchmarks.train_shapes import PEAK, random_batch, shape_config  # noqa: E402
from corpusmill.trainer import gradient_sums, layers  # noqa: E402
from corpusmill.trainer import train as trainer  # noqa: E402
from corpusmill.trainer.flops import flops_per_token  # noqa: E402
from corpusmill.trainer.loss import SummedLoss  # noqa: E402
from corpusmill.trainer.model import HybridModel  # noqa: E402
from corpusmill.trainer.optim import Optimizer  # noqa: E402
from corpusmill.trainer.parts import TEXT  # noqa: E402
from corpusmill.trainer.ranks import Ranks  # noqa: E402
from torch import Tensor  # noqa: E402

SHAPE = "1.11B"
NEEDED = 30  # seconds of a try that compiles


@dataclass(frozen=True)
class Choice:
    """One way to train."""

    precision: str = "plain"
    sums: bool = False
    one_pass: bool = False
    rows: int = 16

    @property
    def name(self) -> str:
        parts = {"sums": self.sums, "one pass": self.one_pass}
        chosen = [part for part, on in parts.items() if on] or ["as it is"]
        precision = "bf16" if self.precision == "plain" else self.precision
        return f"{precision}, {self.rows} rows: {', '.join(chosen)}"


CHOICES = [
    Choice(),
    Choice(sums=True, one_pass=True),
    Choice("fp8"),
    Choice("fp8", sums=True, one_pass=True),
    Choice(sums=True),
    Choice(one_pass=True),
]


@torch.no_grad()
def drawn_on_the_gpu(model: HybridModel, seed: int) -> None:
    """First weights of about the usual sizes."""
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if name.endswith("A_log"):
            parameter.uniform_(1, 16).log_()
        elif name.endswith("dt_bias"):
            parameter.uniform_(-6.9, -2.3)
        elif parameter.ndim == 1:
            parameter.fill_(0.0 if "conv1d" in name else 1.0)
        else:
            parameter.normal_(0, 0.02)


def make_step(choice: Choice, ranks: Ranks) -> Callable[[], Tensor]:
    """Compiles nothing yet. The step's loss stays on the GPU."""
    torch._dynamo.reset()
    gc.collect()  # a compiled layer holds itself
    torch.cuda.empty_cache()
    gradient_sums.IN_USE, layers.ONE_PASS = choice.sums, choice.one_pass
    config = shape_config(SHAPE, False, {"batch_size": choice.rows, "precision": choice.precision})
    model = trainer.build_model(
        config, ranks, dataclasses.replace(TEXT, initialise=drawn_on_the_gpu)
    )
    optimizer, summed_loss = Optimizer(model, config), SummedLoss(model, config)
    gradients = trainer.gradients_of(summed_loss, config, ranks)
    turns = itertools.cycle([random_batch(config, ranks, seed) for seed in range(2)])

    def step() -> Tensor:
        loss, _ = trainer.optimise(optimizer, 1e-4, summed_loss, next(turns), ranks, gradients)
        return loss

    return step


def timed(step: Callable[[], Tensor], count: int) -> Iterator[tuple[float, float, float]]:
    """Seconds until a step was launched, seconds until it was done, and its loss."""
    for _ in range(count):
        torch.cuda.synchronize()
        start = time.perf_counter()
        loss = step()
        launched = time.perf_counter() - start
        torch.cuda.synchronize()
        yield launched, time.perf_counter() - start, loss.item()


def measure(choice: Choice, step: Callable[[], Tensor], steps: int) -> dict[str, Any]:
    """One line of the table, from the median of the steps behind the first of this call."""
    first, *others = timed(step, steps + 1)
    config = shape_config(SHAPE, False, {})
    seconds = statistics.median(done for _, done, _ in others)
    speed = choice.rows * config.sequence_length / seconds
    return {
        "choice": choice.name,
        "tokens_s": round(speed),
        "mfu": round(speed * flops_per_token(config.model, config.sequence_length) / PEAK, 4),
        "memory_gb": round(torch.cuda.max_memory_allocated() / 1e9, 1),
        "launched": round(statistics.median(one / other for one, other, _ in others), 2),
        "first_step_s": round(first[1], 1),
        "losses": [round(loss, 4) for _, _, loss in (first, *others)],
    }


def main() -> None:
    begin = time.perf_counter()
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=145)
    arguments = parser.parse_args()
    ranks, rows, step = Ranks(torch.device("cuda")), [], None
    for choice in CHOICES:
        left = arguments.seconds - (time.perf_counter() - begin)
        if left < NEEDED:
            print(f"left out, {left:.0f} s left: {choice.name}")
            continue
        step = None  # frees the model
        step = make_step(choice, ranks)
        list(timed(step, 1))
        torch.cuda.reset_peak_memory_stats()
        rows.append(measure(choice, step, steps=3))
        print(f"{time.perf_counter() - begin:.0f} s:", rows[-1], flush=True)
    print("| choice | tokens/s | MFU | peak GB | launched |")
    print("|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['choice']} | {row['tokens_s']:,} | {row['mfu']:.1%} | {row['memory_gb']} | "
            f"{row['launched']:.0%} |"
        )
    results = {"torch": torch.__version__, "card": torch.cuda.get_device_name()}
    print(json.dumps(results | {"rows": rows}))


if __name__ == "__main__":
    main()
