"""How fast compression works (`--speed`), and how fast its child decodes (`--decode`)."""

import dataclasses
import functools
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from corpusmill.benchmarks.compression_sizes import SIZES, shape_of
from corpusmill.compression.distillation import DistillationLoss
from corpusmill.compression.importance import measure_layers, measure_widths
from corpusmill.compression.memory import Serving, memory_of
from corpusmill.compression.targets import StoredTargets, StoredTargetsLoss, most_probable
from corpusmill.trainer import train as trainer
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.generation.generator import Generator, Prompt
from corpusmill.trainer.importing import read_shape
from corpusmill.trainer.loader import Batch
from corpusmill.trainer.loss import SummedLoss
from corpusmill.trainer.optim import Optimizer
from corpusmill.trainer.ranks import Ranks, compute_dtype

STORED = 64  # targets of a token, the default of the stage


def clock(function: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Seconds of one call, median. On a CPU, of processor time: other work does not count."""
    function()
    times = []
    for _ in range(repeats):
        if device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter if device.type == "cuda" else time.process_time
        started = now()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(now() - started)
    return statistics.median(times)


def speed(size: str, device: torch.device, compile_: bool, repeats: int) -> dict[str, Any]:
    """Importance over a plain forward; a distillation step over its parts."""
    settings = SIZES[size]["train"]
    config = TrainConfig(
        model=shape_of(size, 4096 if size == "tiny" else 32768),
        **{**settings, "compile": compile_},
        steps=10,
        warmup_steps=1,
        device=device.type,
    )
    ranks = Ranks(device)
    parent = trainer.build_model(config, ranks).requires_grad_(False).eval()
    rows = config.rows_in_memory
    tokens = torch.randint(
        0, config.model.vocab_size, (rows, config.sequence_length + 1), device=device
    )
    inputs = tokens[:, :-1]

    def forward() -> None:
        with torch.no_grad():
            parent.hidden(inputs)

    plain = clock(forward, device, repeats)
    widths = clock(lambda: measure_widths(parent, [inputs]), device, repeats)
    layers = clock(lambda: measure_layers(parent, [inputs], "mse"), device, 3)

    mask = torch.ones_like(inputs, dtype=torch.bool)
    batch = Batch(tokens, mask, torch.zeros_like(inputs, dtype=torch.int32), mask.sum().float())
    child = config.model.model_copy(update={"ffn_size": config.model.ffn_size * 2 // 3 // 16 * 16})
    student = trainer.build_model(config.model_copy(update={"model": child}), ranks)
    optimizer = Optimizer(student, config)

    def step(loss: SummedLoss) -> float:
        gradients = trainer.gradients_of(loss, config, ranks)

        def optimise() -> None:
            trainer.optimise(optimizer, 1e-4, loss, batch, ranks, gradients)

        return clock(optimise, device, repeats)

    ce = step(SummedLoss(student, config))
    kd = step(DistillationLoss(student, config, parent))
    with torch.no_grad():
        hidden = parent.hidden(inputs).flatten(0, 1)
        ids, logs = most_probable(hidden, parent.lm_head.weight, STORED)
    targets = (part.reshape(*inputs.shape, STORED) for part in (ids, logs.half()))
    batch = dataclasses.replace(batch, extras=StoredTargets(*targets))
    stored = step(StoredTargetsLoss(student, config))
    teacher = clock(forward, device, repeats)
    ratio = kd / (ce + teacher)
    rate = rows * config.sequence_length
    print(f"plain forward        {rate / plain:>12,.0f} tokens/s")
    print(f"width scores         {rate / widths:>12,.0f} tokens/s, {plain / widths:.2f} of it")
    print(f"layer scores         {rate / layers:>12,.0f} tokens/s, {layers / plain:.1f} forwards")
    print(f"cross-entropy step   {ce * 1e3:>12,.1f} ms")
    print(f"teacher's forward    {teacher * 1e3:>12,.1f} ms")
    print(f"distillation step    {kd * 1e3:>12,.1f} ms, {ratio:.2f} of the two together")
    print(f"with stored targets  {stored * 1e3:>12,.1f} ms, {stored / ce:.2f} cross-entropy steps")
    return {
        "importance_over_forward": round(plain / widths, 3),
        "layer_forwards": round(layers / plain, 2),
        "distillation_over_parts": round(ratio, 3),
        "stored_targets_over_ce": round(stored / ce, 3),
    }


def _answers(generator: Generator, prompts: list[Prompt]) -> int:
    return sum(1 for _ in generator.generate(prompts))


def decode(folders: list[Path], device: torch.device, slots: int, answer: int) -> dict[str, Any]:
    """Decoding speed of a parent and a child, measured and predicted."""
    dtype = compute_dtype("auto", device)
    serving = Serving(
        weights="bf16" if dtype == torch.bfloat16 else "fp32",
        cache="bf16" if dtype == torch.bfloat16 else "fp32",
        state="fp32",
        context=answer,
        batch=slots,
    )
    speeds, step_bytes = [], []
    for folder in folders:
        generator = Generator.load(folder, slots, device=str(device), dtype=dtype, guess=False)
        prompts = [Prompt((1, 2, 3), answer)] * slots
        seconds = clock(functools.partial(_answers, generator, prompts), device, 3)
        speeds.append(slots * answer / seconds)
        step_bytes.append(memory_of(read_shape(folder), serving).step_bytes)
        print(f"{folder}: {speeds[-1]:,.0f} tokens/s, {step_bytes[-1] / 1e6:,.1f} MB a step")
    measured, predicted = speeds[1] / speeds[0], step_bytes[0] / step_bytes[1]
    print(f"child over parent: measured {measured:.2f}, by bytes {predicted:.2f}")
    return {"measured": round(measured, 3), "by_bytes": round(predicted, 3)}
