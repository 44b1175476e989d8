"""Whole optimiser steps of the trainer on a GPU: tokens a second, MFU and peak memory by shape.

Random tokens, forward, backward, clip and optimiser, with and without document resets. MFU: by the
formula of `trainer/flops.py`, against 989 TFLOP/s, the dense bf16 peak of an H100 or H200, a GPU.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from corpusmill.trainer import train as trainer
from corpusmill.trainer.config import HybridConfig, TrainConfig
from corpusmill.trainer.flops import flops_per_token
from corpusmill.trainer.loader import Batch
from corpusmill.trainer.loss import SummedLoss
from corpusmill.trainer.optim import Optimizer
from corpusmill.trainer.presets import NEMOTRON_H_8B
from corpusmill.trainer.ranks import Ranks

PEAK = 989e12  # FLOP/s
DOCUMENT_LENGTH = 600  # mean tokens of a document where documents are reset

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


def training_step(config: TrainConfig, ranks: Ranks) -> Callable[[], None]:
    """One optimiser step, as the trainer makes it, on the same batch each time."""
    model = trainer.build_model(config, ranks)
    optimizer = Optimizer(model, config)
    summed_loss = SummedLoss(model, config)
    gradients = trainer.gradients_of(summed_loss, config, ranks)
    batch = random_batch(config, ranks, 0)

    def step() -> None:
        trainer.optimise(optimizer, 1e-5, summed_loss, batch, ranks, gradients)

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


def measure_shape(config: TrainConfig, steps: int, ranks: Ranks) -> dict[str, float]:
    """Tokens a second, MFU and peak memory (GB) a GPU; the median step of `steps` after two."""
    torch._dynamo.reset()  # else all shapes share one count of compilations, which has a limit
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    step = training_step(config, ranks)
    times = []
    for _ in range(steps + 2):
        torch.cuda.synchronize()
        start = time.perf_counter()
        step()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times[2:])
    speed = config.batch_size * config.sequence_length / seconds
    return {
        "tokens_s": round(speed),
        "mfu": round(
            speed * flops_per_token(config.model, config.sequence_length) / (PEAK * ranks.count),
            4,
        ),
        "memory_gb": round(torch.cuda.max_memory_allocated() / 1e9, 1),
        "first_step_s": round(times[0], 1),
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
