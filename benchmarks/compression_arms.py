"""Children from pruning and distillation beside children from scratch (`--arms`)."""

import argparse
import functools
import json
import math
import statistics
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from corpusmill.benchmarks.compression_sizes import SIZES, shape_of
from corpusmill.compression.distillation import distillation_loss
from corpusmill.compression.memory import parameters_of
from corpusmill.compression.parent import load_model
from corpusmill.compression.space import AXES, Sizes
from corpusmill.manifests.storage import artifact_of
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.stages.compress.work import cut
from corpusmill.trainer import checkpoint
from corpusmill.trainer import train as trainer
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.export import write_model
from corpusmill.trainer.loss import SummedLoss
from corpusmill.trainer.parts import Parts
from corpusmill.trainer.shape import HybridConfig
from corpusmill.trainer.token_shards import find_shards
from scipy.stats import t


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
        return min(self.config.warmup(steps), steps // 10)

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
    return float(t.ppf(0.975, count - 1)) * spread


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
