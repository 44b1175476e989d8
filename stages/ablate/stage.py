"""Ablate: what steps of curation are worth. One small model for each arm and seed, compared.

An arm is a way through the pipeline that ends in token shards of `pack`: raw text, filtered text, a
level, a blend. All arms train the same model on equally many tokens, with the same seeds, and are
scored on the same held-out text and tasks while they train. Tokens repeat if an arm has fewer, up
to `max_epochs` times (Muennighoff et al., arXiv 2305.16264: up to 4 cost little).

    train    each arm and seed: a model, and its figures at `readings` steps
    ablate   the comparison (`evaluation.comparison`)

    curves/ARM-SEED.json      every figure at every reading
    items/ARM-SEED.parquet    each item's share of the figures, means over the last readings
    comparison.json           every arm's figures, and their differences to the baseline's
    summary.txt, ablation.svg the same for people

An arm and a seed are a shard: a stopped run goes on with the others, and a new arm or seed trains
alone. The manifest names the folders of the arms as its parents. From there `trace` leads back to
the documents.
"""

import json
import re
from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Self

import pyarrow as pa
import pyarrow.parquet as pq
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError, RecipeError
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.contract import Account, GlobalStage, Inputs, Pass, Passes
from corpusmill.stages.evaluate.stage import Evaluate
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.token_shards import N_TOKENS
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

ARM, TASK = "arm:", "task:"  # before the names of inputs


class Ablate(GlobalStage):
    """Train a small model on each arm, and compare what they have learnt."""

    name: ClassVar[str] = "ablate"
    version: ClassVar[int] = 1
    account: ClassVar[Account] = Account.MANY_TO_ONE
    # Which runs there are is no setting of a run: a new arm or seed trains alone. What a run needs
    # of them is in its inputs and `shard_settings`.
    free_settings: ClassVar[tuple[str, ...]] = ("runs_per_gpu", "arms", "seeds", "baseline")

    arms: dict[str, str | tuple[str, ...]] = Field(min_length=2)
    """A name of your choice -> folders of pack."""
    train: TrainConfig
    """The model and its training. `tokens` or `steps` sets the length; `seed` does not matter."""
    gauge: Evaluate
    """What is measured: tasks that are scored by log-likelihood, and held-out text. Needs the
    tokenizer.
    """
    baseline: str | None = None
    """The arm that all others are compared with. Null: the first."""
    seeds: tuple[NonNegativeInt, ...] = Field(default=(0, 1, 2), min_length=1)
    """Seeds of first weights and of the order of the data. Every arm trains with each."""
    readings: PositiveInt = 10
    """How often a model is measured while it trains."""
    last: PositiveInt = 3
    """Every figure is the mean of so many last readings."""
    max_epochs: PositiveFloat = 4.0
    """How often an arm's tokens may repeat, at most."""
    runs_per_gpu: PositiveInt = 1
    """Models that share a GPU. Small ones leave most of it idle."""

    @model_validator(mode="after")
    def _can_compare(self) -> Self:
        for arm in self.arms:
            if not re.fullmatch(r"\w[\w-]*", arm):
                raise RecipeError(
                    f"arms holds {arm!r}", "a name becomes a file: take letters, digits, _ and -"
                )
        if self.baseline is not None and self.baseline not in self.arms:
            raise RecipeError(
                f"baseline is {self.baseline!r}", f"the arms are {', '.join(self.arms)}"
            )
        if self.train.epochs is not None:
            raise RecipeError(
                "train.epochs gives arms of different size different lengths",
                "set train.tokens or train.steps",
            )
        if len(set(self.seeds)) < len(self.seeds):
            raise RecipeError("seeds holds one seed twice", "give different seeds")
        if self.last > self.readings:
            raise RecipeError(
                f"last is {self.last}, of {self.readings} readings", "lower it, or read more often"
            )
        return self

    @property
    def compared_with(self) -> str:
        """The baseline's name."""
        return self.baseline or next(iter(self.arms))

    @property
    def every(self) -> int:
        """Steps between readings."""
        return -(-self.train.step_count(0) // self.readings)

    def depends_on(self) -> str:
        return self.gauge.depends_on()

    def named_inputs(self) -> Mapping[str, tuple[str, ...]]:
        arms = {
            f"{ARM}{name}": (paths,) if isinstance(paths, str) else paths
            for name, paths in self.arms.items()
        }
        return arms | {f"{TASK}{name}": paths for name, paths in self.gauge.named_inputs().items()}

    def passes(self, inputs: Inputs) -> Passes:
        tasks = [
            file for name, files in inputs.named.items() if name.startswith(TASK) for file in files
        ]
        shards: dict[str, tuple[Artifact, ...]] = {}
        facts: dict[str, str] = {}
        for arm in self.arms:
            files = inputs.named[f"{ARM}{arm}"]
            epochs = self._epochs(arm, files)
            for seed in self.seeds:
                shards[f"{arm}-{seed}"] = (*files, *tasks)
                facts[f"{arm}-{seed}"] = json.dumps(
                    {"arm": arm, "seed": seed, "files": len(files), "epochs": epochs}
                )
        trained = yield Pass(
            name="train",
            shards=shards,
            work=partial(_train, self),
            holds_engine=True,
            cpus=self.train.num_workers * (self.train.threads or 1),
            gpus=0 if self.train.device == "cpu" else self.train.num_workers / self.runs_per_gpu,
            shard_settings=facts,
        )
        yield Pass(
            name=self.name,
            shards={"comparison": trained.outputs()},
            work=partial(_compare, self),
            depends_on=json.dumps([list(self.arms), list(self.seeds), self.compared_with]),
            final=True,
        )

    def _epochs(self, arm: str, files: tuple[Artifact, ...]) -> float:
        """How often the arm's tokens repeat. Raises RecipeError if that is too often."""
        there = sum(map(_tokens, files))
        wanted = self.train.step_count(0) * self.train.batch_size * self.train.sequence_length
        if wanted > self.max_epochs * there:
            raise RecipeError(
                f"the arm {arm} has {there:,} tokens; {wanted:,} are {wanted / there:.2f} epochs",
                f"train on at most {int(self.max_epochs * there):,}, or raise ablate.max_epochs",
            )
        return round(wanted / there, 3)


def _tokens(file: Artifact) -> int:
    """How many tokens a shard of pack holds. Raises InputError if it is none."""
    with storage.open_read(file.path) as stream:
        try:
            found = (pq.read_metadata(stream).metadata or {}).get(N_TOKENS)
        except pa.ArrowInvalid:
            found = None
    if found is None:
        raise InputError(f"{file.path} is no token shard", "give the output folder of pack")
    return int(found)


def _train(settings: Ablate, shard: Shard) -> list[Counts]:
    from corpusmill.stages.ablate.runs import train_arm

    return train_arm(settings, shard)


def _compare(settings: Ablate, shard: Shard) -> list[Counts]:
    from corpusmill.stages.ablate.page import write_comparison

    write_comparison(settings, shard)
    return []
