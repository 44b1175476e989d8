"""Whole optimiser steps of the trainer on a GPU: tokens a second, MFU and peak memory by shape.

Random tokens, forward, backward, clip and optimiser, with and without document resets. MFU: by the
formula of `trainer/flops.py`, against 989 TFLOP/s, the dense bf16 peak of an H100 or H200, a GPU.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from corpusmill.trainer import train as trainer
from corpusmill.trainer.__main__ import read_config
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.flops import flops_per_token
from corpusmill.trainer.loader import Batch
from corpusmill.trainer.loss import SummedLoss
from corpusmill.trainer.optim import Optimizer
from corpusmill.trainer.presets import NEMOTRON_H_8B
from corpusmill.trainer.ranks import Ranks
from corpusmill.trainer.shape import HybridConfig
from corpusmill.trainer.step_graph import COMPARED_STEPS, PLAIN_STEPS
from torch import Tensor

PEAK = 989e12  # FLOP/s
DOCUMENT_LENGTH = 600  # mean tokens of a document where documents are reset
SMALL = Path(__file__).resolve().parent.parent / "trainer" / "configs" / "small-12m.yaml"

SHAPES: dict[str, dict[str, Any]] = {
    "1.11B": {  # recipes/nemotron_cc.yaml
        "model": HybridConfig(
            pattern="M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-",
            hidden_size=1536,
            ffn_size=6144,
            attention_heads=12,
            key_value_heads=4,
            mamba_heads=48,
        ),
        "sequence_length": 8192,
        "batch_size": 64,
        "micro_batch_size": 2,
    },
    "162M": {
        "model": HybridConfig(
            pattern="M-M-M-M*-M-M-M-M*-M-M-M-",
            hidden_size=768,
            ffn_size=3072,
            attention_heads=6,
            key_value_heads=2,
            mamba_heads=24,
            vocab_size=32768,
        ),
        "sequence_length": 2048,
        "batch_size": 64,
        "micro_batch_size": 16,
    },
    "12M": {
        "model": read_config(SMALL).model,
        "sequence_length": 1024,
        "batch_size": 16,
    },
    "8.10B": {  # the published one
        "model": NEMOTRON_H_8B,
        "sequence_length": 8192,
        "batch_size": 8,
        "micro_batch_size": 1,
    },
}


def random_batch(config: TrainConfig, ranks: Ranks, seed: int) -> Batch:
    """Random tokens, documents of random lengths: one rank's share."""
    generator = torch.Generator().manual_seed(seed + ranks.rank)
    size = (config.batch_size // ranks.count, config.sequence_length)
    starts = torch.rand(size, generator=generator) < 1 / DOCUMENT_LENGTH
    tokens = torch.randint(0, config.model.vocab_size, (size[0], size[1] + 1), generator=generator)
    mask = torch.ones(size, dtype=torch.bool)
    return Batch(tokens, mask, starts.cumsum(1).int(), mask.sum().float()).to(ranks.device)


def training_step(config: TrainConfig, ranks: Ranks, batches: int = 1) -> Callable[[], Tensor]:
    """One optimiser step, as the trainer makes it, on each of some batches in turn: its loss."""
    model = trainer.build_model(config, ranks)
    optimizer = Optimizer(model, config)
    summed_loss = SummedLoss(model, config)
    gradients = trainer.gradients_of(summed_loss, config, ranks)
    turns = itertools.cycle([random_batch(config, ranks, seed) for seed in range(batches)])

    def step() -> Tensor:
        loss, _ = trainer.optimise(optimizer, 1e-5, summed_loss, next(turns), ranks, gradients)
        return loss

    return step


def shape_config(name: str, documents: bool, changes: dict[str, Any]) -> TrainConfig:
    """The settings of a shape, with changes."""
    return TrainConfig(
        **{
            **SHAPES[name],
            "steps": 1,
            "warmup_steps": 0,
            "compile": True,
            "reset_at_documents": documents,
            **changes,
        }
    )


@dataclass(frozen=True)
class Timed:
    """Optimiser steps in a row. memory_gb: the peak a GPU."""

    config: TrainConfig
    losses: list[float]
    seconds: list[float]
    memory_gb: float

    def tokens_s(self, left_out: int) -> float:
        """By the median step behind so many first ones."""
        size = self.config.batch_size * self.config.sequence_length
        return size / statistics.median(self.seconds[left_out:])


def timed(config: TrainConfig, steps: int, ranks: Ranks, batches: int = 1) -> Timed:
    """Make steps on some batches in turn."""
    torch._dynamo.reset()  # else all shapes share one count of compilations, which has a limit
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    step = training_step(config, ranks, batches)
    losses, seconds = [], []
    for _ in range(steps):
        torch.cuda.synchronize()
        start = time.perf_counter()
        losses.append(step().item())
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return Timed(config, losses, seconds, round(torch.cuda.max_memory_allocated() / 1e9, 1))


def measure_shape(config: TrainConfig, steps: int, ranks: Ranks) -> dict[str, float]:
    """Tokens a second, MFU and peak memory (GB) a GPU; the median step of `steps` after two."""
    made = timed(config, steps + 2, ranks)
    speed = made.tokens_s(left_out=2)
    return {
        "tokens_s": round(speed),
        "mfu": round(
            speed * flops_per_token(config.model, config.sequence_length) / (PEAK * ranks.count),
            4,
        ),
        "memory_gb": made.memory_gb,
        "first_step_s": round(made.seconds[0], 1),
    }


def measure_shapes(
    names: Iterable[str],
    resets: Iterable[bool],
    steps: int,
    changes: dict[str, Any],
    ranks: Ranks,
) -> dict[str, float]:
    """Shapes with and without document resets; a row is printed for each."""
    results: dict[str, float] = {}
    if ranks.first:
        print("| shape | documents reset | tokens/s | MFU | peak GB | first step s |")
        print("|---|---|---|---|---|---|")
    for name, documents in itertools.product(names, resets):
        row = measure_shape(shape_config(name, documents, changes), steps, ranks)
        if ranks.first:
            print(
                f"| {name} | {'yes' if documents else 'no'} | {row['tokens_s']:,} | "
                f"{row['mfu']:.1%} | {row['memory_gb']} | {row['first_step_s']} |",
                flush=True,
            )
        key = f"{name}{'.documents' if documents else ''}"
        results |= {f"{measure}.{key}": value for measure, value in row.items()}
    return results


def measure_graphs(
    names: Iterable[str], steps: int, changes: dict[str, Any], ranks: Ranks
) -> dict[str, float]:
    """Steps with and without a CUDA graph; a row is printed for each shape.

    A step is one forward pass over as many rows as the shape has in memory. The losses of both are
    compared step by step, on four batches in turn.
    """
    results: dict[str, float] = {}
    if ranks.first:
        print("| shape | plain tokens/s | graph tokens/s | plain GB | graph GB | losses differ |")
        print("|---|---|---|---|---|---|")
    not_replayed = PLAIN_STEPS + COMPARED_STEPS
    for name in names:
        rows = SHAPES[name].get("micro_batch_size") or SHAPES[name]["batch_size"]
        whole = {"batch_size": rows * ranks.count, "micro_batch_size": None, **changes}
        plain, graph = (
            timed(
                shape_config(name, False, {**whole, "cuda_graph": on}),
                not_replayed + steps,
                ranks,
                batches=4,
            )
            for on in (False, True)
        )
        row: dict[str, float] = {
            "tokens_s": round(plain.tokens_s(not_replayed)),
            "graph_tokens_s": round(graph.tokens_s(not_replayed)),
            "memory_gb": plain.memory_gb,
            "graph_memory_gb": graph.memory_gb,
            "graph_loss_difference": max(
                abs(one / other - 1) for one, other in zip(graph.losses, plain.losses, strict=True)
            ),
        }
        if ranks.first:
            print(f"| {name} | " + " | ".join(f"{value:,}" for value in row.values()) + " |")
        results |= {f"{measure}.{name}": value for measure, value in row.items()}
    return results
