"""Compression: the search on paper, the speed of its passes, and pruned children against scratch.

    python benchmarks/compression.py --paper
    python benchmarks/compression.py --speed [--size tiny|56M|160M] [--device cpu|cuda] [--compile]
    python benchmarks/compression.py --decode PARENT CHILD [--slots 16] [--answer 256]
    python benchmarks/compression.py --arms PACK [--size tiny|56M|160M] [--seeds 3] [--long-seeds 3]
        [--work FOLDER] [--parent-tokens N] [--child-tokens N] [--short-tokens N] [--candidates N]
        [--share 0.75] [--pruned-rate 0.3]

--paper: Nemotron-H-56B under 31.7 GiB at 1M tokens, on the meta device. --speed: the importance
pass over the plain forward, a distillation step over a cross-entropy step and a forward of the
teacher, and a step with stored targets. --decode: tokens a second that our generator makes with two
model folders, beside the ratio that the bytes of a step predict. --arms: a parent is trained on
PACK (the output of the pack stage), compressed by the two stages, and the winner's shape is trained
in five ways with equal student tokens: pruned or from scratch, by KL or by cross-entropy, and from
scratch with the parent's tokens too (--long-seeds).
Held-out loss is cross-entropy in all of them. A stopped run goes on if --work names its folder.
On a GPU, for example: --size 56M --parent-tokens 60000000 --child-tokens 15000000
--short-tokens 2000000 --long-seeds 1: 300 million tokens in all.

The last line is JSON.
"""

import argparse
import dataclasses
import functools
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT.parent))

import pyarrow.parquet as pq  # noqa: E402
import torch  # noqa: E402
from corpusmill.compression.distillation import DistillationLoss, distillation_loss  # noqa: E402
from corpusmill.compression.importance import (  # noqa: E402
    measure_layers,
    measure_widths,
)
from corpusmill.compression.memory import GIB, Serving, memory_of, parameters_of  # noqa: E402
from corpusmill.compression.parent import load_model  # noqa: E402
from corpusmill.compression.search import Budget, search  # noqa: E402
from corpusmill.compression.space import AXES, Sizes, Space  # noqa: E402
from corpusmill.compression.targets import (  # noqa: E402
    StoredTargets,
    StoredTargetsLoss,
    most_probable,
)
from corpusmill.manifests.storage import artifact_of  # noqa: E402
from corpusmill.pipeline.recipe import Step  # noqa: E402
from corpusmill.pipeline.run import run_step  # noqa: E402
from corpusmill.pipeline.runner import InlineRunner  # noqa: E402
from corpusmill.stages.compress.work import cut  # noqa: E402
from corpusmill.trainer import checkpoint  # noqa: E402
from corpusmill.trainer import train as trainer  # noqa: E402
from corpusmill.trainer.config import TrainConfig  # noqa: E402
from corpusmill.trainer.export import write_model  # noqa: E402
from corpusmill.trainer.generation.generator import Generator, Prompt  # noqa: E402
from corpusmill.trainer.importing import read_shape  # noqa: E402
from corpusmill.trainer.loader import Batch  # noqa: E402
from corpusmill.trainer.loss import SummedLoss  # noqa: E402
from corpusmill.trainer.optim import Optimizer  # noqa: E402
from corpusmill.trainer.parts import Parts  # noqa: E402
from corpusmill.trainer.presets import NEMOTRON_H_56B  # noqa: E402
from corpusmill.trainer.ranks import Ranks, compute_dtype, find_device  # noqa: E402
from corpusmill.trainer.shape import HybridConfig  # noqa: E402
from corpusmill.trainer.token_shards import find_shards  # noqa: E402

STORED = 64  # targets of a token, the default of the stage
T_95 = {2: 12.71, 3: 4.303, 4: 3.182, 5: 2.776}  # Student's, two sides, by number of seeds
SIZES: dict[str, dict[str, Any]] = {
    "tiny": {
        "model": {
            "pattern": "M-M*-M-M-",
            "hidden_size": 96,
            "ffn_size": 384,
            "attention_heads": 4,
            "key_value_heads": 2,
            "head_dim": 24,
            "mamba_heads": 8,
            "mamba_head_dim": 24,
            "mamba_groups": 2,
            "mamba_state": 32,
            "chunk_size": 64,
        },
        "train": {"sequence_length": 256, "batch_size": 8, "learning_rate": 5e-3},
        "space": {"mamba_layers": [2, 3, 4], "ffn_layers": [2, 3, 4]},
        "sequences": 64,
    },
    "56M": {
        "model": {
            "pattern": "M-M-M*-M-M-M*-M-M-",
            "hidden_size": 512,
            "ffn_size": 2048,
            "attention_heads": 8,
            "key_value_heads": 4,
            "head_dim": 64,
            "mamba_heads": 16,
        },
        "train": {
            "sequence_length": 1024,
            "batch_size": 64,
            "micro_batch_size": 32,
            "learning_rate": 3e-3,
            "compile": True,
        },
        "space": {
            "mamba_layers": [5, 6, 7, 8],
            "ffn_layers": [5, 6, 7, 8],
            "ffn_size": [1024, 1280, 1536, 1792, 2048],
        },
        "sequences": 256,
    },
    "160M": {
        "model": {
            "pattern": "M-M-M-M*-M-M-M-M*-M-M-M-M-",
            "hidden_size": 768,
            "ffn_size": 3328,
            "attention_heads": 12,
            "key_value_heads": 4,
            "head_dim": 64,
            "mamba_heads": 24,
        },
        "train": {
            "sequence_length": 2048,
            "batch_size": 32,
            "micro_batch_size": 16,
            "learning_rate": 2e-3,
            "compile": True,
        },
        "space": {
            "mamba_layers": list(range(8, 13)),
            "ffn_layers": list(range(9, 13)),
            "ffn_size": [1664, 2048, 2304, 2560, 2816, 3072, 3328],
        },
        "sequences": 256,
    },
}


def on_paper() -> dict[str, Any]:
    """The published case: which children fit 31.7 GiB at 1M tokens in 4 bits."""
    serving = Serving(weights="fp4", cache="fp4", context=1 << 20)
    budget = Budget(memory_gib=31.7, reserve_gib=1.0, serving=serving)
    started = time.perf_counter()
    found = search(NEMOTRON_H_56B, Space().choices(NEMOTRON_H_56B), budget)
    seconds = time.perf_counter() - started
    print(
        f"{found.tried:,} sizes tried, {found.fitting:,} fit, {len(found.sizes)} cannot grow, "
        f"{seconds:.4f} s"
    )
    whole = Sizes.of(NEMOTRON_H_56B)
    print(f"{'parameters':>15} {'GiB':>6}  sizes")
    rows = []
    for sizes in found.sizes:
        pattern = "M" * sizes.mamba_layers + "*" * sizes.attention_layers + "-" * sizes.ffn_layers
        shape = sizes.shape(NEMOTRON_H_56B, pattern)
        gib = memory_of(shape, serving).total / GIB
        rows.append((parameters_of(shape), gib, sizes.name(whole)))
    for parameters, gib, name in sorted(rows, reverse=True):
        print(f"{parameters:>15,} {gib:>6.2f}  {name}")
    published = "mamba_layers-44_attention_layers-5_ffn_layers-49_ffn_size-30720"
    return {
        "sizes": found.tried,
        "fit": found.fitting,
        "largest": len(found.sizes),
        "has_published": published in {name for _, _, name in rows},
        "seconds": round(seconds, 4),
    }


def shape_of(size: str, vocabulary: int) -> HybridConfig:
    return HybridConfig(**SIZES[size]["model"], vocab_size=vocabulary)


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


class Arms:
    """The comparison of compressed children with children that were trained from scratch."""

    def __init__(self, options: argparse.Namespace, work: Path) -> None:
        self.options, self.work = options, work
        self.packed = Path(options.arms)
        self.shards = find_shards(self.packed)
        self.tokenizer = self.packed / "tokenizer"
        vocabulary = json.loads((self.tokenizer / "tokenizer.json").read_text())["model"]["vocab"]
        multiple = 128
        shape = shape_of(options.size, -(-(len(vocabulary) + 16) // multiple) * multiple)
        self.config = TrainConfig(
            model=shape,
            **SIZES[options.size]["train"],
            tokens=options.parent_tokens,
            warmup_steps=10 if options.size == "tiny" else 100,
            eval_fraction=0.02,
            eval_sequences=64 if options.size == "tiny" else 512,
            device=options.device,
            threads=1 if options.size == "tiny" else None,
            checkpoint_every=100,
        )
        self.shared = {
            "sequence_length": self.config.sequence_length,
            "eval_fraction": 0.02,
            "device": options.device,
            "threads": self.config.threads,
            "batch_size": self.config.rows_in_memory,
        }

    def train(self, name: str, make_loss: Any = SummedLoss, **changes: Any) -> tuple[Path, float]:
        """(checkpoint, held-out loss) of a run with other settings."""
        result = trainer.train(
            self.config.model_copy(update=changes),
            self.shards,
            self.work / "runs" / name,
            parts=Parts(make_loss=make_loss),
        )
        assert result.last is not None
        assert result.last.held_out_loss is not None
        print(f"{name:<28} held-out {result.last.held_out_loss:.4f}", flush=True)
        return result.checkpoint, result.last.held_out_loss

    def warmup(self, tokens: int) -> int:
        """The steps of the warm-up: a tenth of a short run."""
        steps = tokens // (self.config.batch_size * self.config.sequence_length)
        return min(self.config.warmup_steps, steps // 10)

    def stage(self, verb: str, **settings: Any) -> Path:
        folder = self.work / verb
        step = Step(verb, verb, (), {**self.shared, **settings})
        run_step(step, (str(self.packed),), str(folder), InlineRunner())
        print((folder / "summary.txt").read_text())
        return folder

    def run(self) -> dict[str, Any]:
        options = self.options
        made, parent_loss = self.train("parent")
        model, _ = checkpoint.load_model(made)
        parent = write_model(
            model, self.tokenizer, self.work / "parent", "float32", self.config.sequence_length
        )
        sequences = SIZES[options.size]["sequences"]
        importance = self.stage(
            "importance",
            parent=str(parent),
            sequences=sequences,
            layer_sequences=sequences // 4,
        )
        rate = self.config.learning_rate
        small = self.stage(
            "compress",
            parent=str(parent),
            importance=str(importance),
            budget={"parameters": int(options.share * parameters_of(self.config.model))},
            space=SIZES[options.size]["space"],
            candidates=options.candidates,
            validation_sequences=sequences // 2,
            distillation={
                "finalists": options.candidates,
                "tokens": options.short_tokens,
                "final_tokens": 0,
                "batch_size": self.config.batch_size,
                "micro_batch_size": self.config.micro_batch_size,
                "compile": self.config.compile,
                "learning_rate": rate * options.pruned_rate,
                "warmup_steps": 4,
            },
        )
        rows = pq.read_table(small / "candidates.parquet").to_pylist()
        chosen = Sizes(**{axis: rows[-1][axis] for axis in AXES})
        measured = artifact_of(str(importance / "importance.parquet"))
        whole = load_model(parent, torch.device("cpu"), torch.float32)
        child, _ = cut(whole, measured, chosen)
        start = write_model(
            child, self.tokenizer, self.work / "start", "float32", self.config.sequence_length
        )
        losses = self.arms(child.config, start, functools.partial(distillation_loss, parent))
        return {
            "size": options.size,
            "parent_parameters": parameters_of(self.config.model),
            "child_parameters": parameters_of(child.config),
            "parent_loss": round(parent_loss, 4),
            "arms": {name: [round(loss, 4) for loss in found] for name, found in losses.items()},
            "candidates": len(rows) - 2,
            **table(losses),
        }

    def arms(self, shape: HybridConfig, start: Path, teacher: Any) -> dict[str, list[float]]:
        """Held-out losses by arm, one a seed. Arms share seeds, so data order and first weights."""
        options = self.options
        rate = self.config.learning_rate
        pruned = {"init_from": str(start), "learning_rate": rate * options.pruned_rate}
        both = options.parent_tokens + options.child_tokens
        arms: dict[str, tuple[Any, dict[str, Any]]] = {
            "pruned + KD": (teacher, pruned),
            "pruned + CE": (SummedLoss, pruned),
            "scratch + KD": (teacher, {}),
            "scratch + CE": (SummedLoss, {}),
            "scratch + CE, all tokens": (SummedLoss, {"tokens": both}),
        }
        found: dict[str, list[float]] = {name: [] for name in arms}
        for seed in range(1, options.seeds + 1):
            for name, (loss, changes) in arms.items():
                if "tokens" in changes and seed > options.long_seeds:
                    continue
                settings = {"model": shape, "tokens": options.child_tokens, "seed": seed, **changes}
                settings["warmup_steps"] = self.warmup(settings["tokens"])
                _, held_out = self.train(f"{name}, seed {seed}", loss, **settings)
                found[name].append(held_out)
        return found


def interval(differences: list[float]) -> float:
    """Half the width of the 95 % interval of a mean, by Student's t. Infinite for one value."""
    count = len(differences)
    if count < 2:
        return math.inf
    spread = statistics.stdev(differences) / math.sqrt(count)
    return T_95.get(count, 2.0) * spread


def table(losses: dict[str, list[float]]) -> dict[str, Any]:
    """Print means and paired differences. Returns the differences."""
    pairs = {
        "whole gain": ("scratch + CE", "pruned + KD"),
        "of pruning, with CE": ("scratch + CE", "pruned + CE"),
        "of KD, pruned": ("pruned + CE", "pruned + KD"),
        "of KD, from scratch": ("scratch + CE", "scratch + KD"),
        "against all tokens": ("scratch + CE, all tokens", "pruned + KD"),
    }
    losses = {name: found for name, found in losses.items() if found}
    for name, found in losses.items():
        print(f"{name:<28} {statistics.mean(found):.4f}")
    gains = {}
    for words, (before, after) in pairs.items():
        if before not in losses:
            continue
        differences = [a - b for a, b in zip(losses[before], losses[after], strict=False)]
        mean, half = statistics.mean(differences), interval(differences)
        print(f"{words:<28} {mean:+.4f} ± {half:.4f}")
        gains[words] = [round(mean, 4), None if math.isinf(half) else round(half, 4)]
    return {"gains": gains}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--paper", action="store_true")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--decode", nargs=2, type=Path, metavar=("PARENT", "CHILD"))
    parser.add_argument("--arms", metavar="PACK")
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--answer", type=int, default=256)
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--long-seeds", type=int, default=3, help="of the arm with all tokens")
    parser.add_argument("--parent-tokens", type=int, default=600_000)
    parser.add_argument("--child-tokens", type=int, default=200_000)
    parser.add_argument("--short-tokens", type=int, default=40_000)
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--share", type=float, default=0.75, help="child's share of parameters")
    parser.add_argument("--pruned-rate", type=float, default=0.3, help="share of the peak rate")
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    results: dict[str, Any] = {}
    if options.paper:
        results["paper"] = on_paper()
    if options.speed:
        device = find_device(options.device)
        results["speed"] = speed(options.size, device, options.compile, options.repeats)
    if options.decode:
        device = find_device(options.device)
        results["decode"] = decode(options.decode, device, options.slots, options.answer)
    if options.arms:
        with tempfile.TemporaryDirectory() as temporary:
            results["arms"] = Arms(options, options.work or Path(temporary)).run()
    if not results:
        parser.error("give --paper, --speed, --decode or --arms")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
