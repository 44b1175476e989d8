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
from typing import Any, ClassVar, Self

from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.ablate.small_runs import SmallRuns, TaskFiles, tokens_of
from corpusmill.stages.contract import Account, Inputs, Pass, Passes
from pydantic import Field, NonNegativeInt, PositiveFloat, model_validator

ARM = "arm:"  # before the names of inputs
COMPARISON = 3  # of its rules: a new number compares the runs anew and trains none


class Ablate(SmallRuns):
    """Train a small model on each arm, and compare what they have learnt."""

    name: ClassVar[str] = "ablate"
    version: ClassVar[int] = 3
    account: ClassVar[Account] = Account.MANY_TO_ONE
    # Which runs there are is no setting of a run: a new arm or seed trains alone. What a run needs
    # of them is in its inputs and `shard_settings`.
    free_settings: ClassVar[tuple[str, ...]] = ("runs_per_gpu", "arms", "seeds", "baseline")

    arms: dict[str, str | tuple[str, ...]] = Field(min_length=2)
    """A name of your choice -> folders of pack."""
    baseline: str | None = None
    """The arm that all others are compared with. Null: the first."""
    seeds: tuple[NonNegativeInt, ...] = Field(default=(0, 1, 2), min_length=1)
    """Seeds of first weights and of the order of the data. Every arm trains with each."""
    max_epochs: PositiveFloat = 4.0
    """How often an arm's tokens may repeat, at most."""

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
        if len(set(self.seeds)) < len(self.seeds):
            raise RecipeError("seeds holds one seed twice", "give different seeds")
        return self

    @property
    def compared_with(self) -> str:
        """The baseline's name."""
        return self.baseline or next(iter(self.arms))

    def named_inputs(self) -> Mapping[str, tuple[str, ...]]:
        arms = {
            f"{ARM}{name}": (paths,) if isinstance(paths, str) else paths
            for name, paths in self.arms.items()
        }
        return {**arms, **self.task_inputs()}

    def counted_inputs(self, inputs: Inputs) -> tuple[Artifact, ...]:
        return tuple(file for arm in self.arms for file in inputs.named[f"{ARM}{arm}"])

    def passes(self, inputs: Inputs) -> Passes:
        shards: dict[str, tuple[Artifact, ...]] = {}
        facts: dict[str, dict[str, Any]] = {}
        for arm in self.arms:
            files = inputs.named[f"{ARM}{arm}"]
            epochs = self._epochs(arm, files)
            for seed in self.seeds:
                shards[f"{arm}-{seed}"] = files
                facts[f"{arm}-{seed}"] = {
                    "arm": arm,
                    "seed": seed,
                    "files": len(files),
                    "epochs": epochs,
                }
        work = partial(_train, self, self.task_files(inputs))
        trained = yield self.runs_pass("train", work, inputs, shards, facts)
        yield Pass(
            name=self.name,
            shards={"comparison": trained.outputs()},
            work=partial(_compare, self),
            depends_on=json.dumps(
                [list(self.arms), list(self.seeds), self.compared_with, COMPARISON]
            ),
            final=True,
        )

    def _epochs(self, arm: str, files: tuple[Artifact, ...]) -> float:
        """How often the arm's tokens repeat. Raises RecipeError if that is too often."""
        there = sum(map(tokens_of, files))
        wanted = self.tokens_of_a_run
        if wanted > self.max_epochs * there:
            raise RecipeError(
                f"the arm {arm} has {there:,} tokens; {wanted:,} are {wanted / there:.2f} epochs",
                f"train on at most {int(self.max_epochs * there):,}, or raise ablate.max_epochs",
            )
        return round(wanted / there, 3)


def _train(settings: Ablate, tasks: TaskFiles, shard: Shard) -> list[Counts]:
    from corpusmill.stages.ablate.runs import train_arm

    return train_arm(settings, tasks, shard)


def _compare(settings: Ablate, shard: Shard) -> list[Counts]:
    from corpusmill.stages.ablate.page import write_comparison

    write_comparison(settings, shard)
    return []
