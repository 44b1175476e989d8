"""What stages that train many small models share: settings, and the pass that trains them.

`ablate` trains one for each data set and seed, `mix` one for each mixture. A run is a shard, so a
stopped stage goes on with the others, and runs go side by side as far as there is room.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Self

from corpusmill.manifests.errors import InputError, RecipeError
from corpusmill.manifests.parquet_files import footer_of
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.contract import GlobalStage, Inputs, Pass
from corpusmill.stages.evaluate.stage import Evaluate
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.token_shards import N_TOKENS
from pydantic import PositiveInt, model_validator

TASK = "task:"  # before the names of inputs
TaskFiles = Mapping[str, tuple[Artifact, ...]]  # what is measured, by the task's name


class SmallRuns(GlobalStage):
    """Settings of a stage that trains small models and measures them."""

    train: TrainConfig
    """The model and its training. `tokens` or `steps` sets the length; `seed` does not matter."""
    gauge: Evaluate
    """What is measured: tasks that are scored by log-likelihood, and held-out text. Needs the
    tokenizer.
    """
    readings: PositiveInt = 10
    """How often a model is measured while it trains."""
    last: PositiveInt = 3
    """Every figure is the mean of so many last readings."""
    runs_per_gpu: PositiveInt = 1
    """Models that share a GPU. Small ones leave most of it idle."""

    @model_validator(mode="after")
    def _runs_are_alike(self) -> Self:
        if self.train.epochs is not None:
            raise RecipeError(
                "train.epochs gives arms of different size different lengths",
                "set train.tokens or train.steps",
            )
        if self.last > self.readings:
            raise RecipeError(
                f"last is {self.last}, of {self.readings} readings", "lower it, or read more often"
            )
        return self

    @property
    def every(self) -> int:
        """Steps between readings."""
        return -(-self.train.step_count(0) // self.readings)

    @property
    def tokens_of_a_run(self) -> int:
        """Tokens that a run reads."""
        return self.train.step_count(0) * self.train.batch_size * self.train.sequence_length

    def depends_on(self) -> str:
        return self.gauge.gauge_depends_on()

    def task_inputs(self) -> Mapping[str, tuple[str, ...]]:
        """The files of what is measured, as named inputs."""
        return {f"{TASK}{name}": paths for name, paths in self.gauge.named_inputs().items()}

    def task_files(self, inputs: Inputs) -> TaskFiles:
        """The files of what is measured, by the task's name."""
        return {
            name.removeprefix(TASK): files
            for name, files in inputs.named.items()
            if name.startswith(TASK)
        }

    def runs_pass(
        self,
        name: str,
        work: Callable[[Shard], list[Counts]],
        inputs: Inputs,
        shards: Mapping[str, tuple[Artifact, ...]],
        facts: Mapping[str, Mapping[str, Any]],
    ) -> Pass:
        """The pass that trains. shards: run -> the files that it trains on. facts: what `work` must
        know of each run, as plain data.
        """
        tasks = [file for files in self.task_files(inputs).values() for file in files]
        return Pass(
            name=name,
            shards={run: (*files, *tasks) for run, files in shards.items()},
            work=work,
            holds_engine=True,
            cpus=self.train.num_workers * (self.train.threads or 1),
            gpus=0 if self.train.device == "cpu" else self.train.num_workers / self.runs_per_gpu,
            shard_settings={run: json.dumps(facts[run]) for run in shards},
        )


def tokens_of(file: Artifact) -> int:
    """How many tokens a shard of pack holds. Raises InputError if it is none."""
    try:
        found = (footer_of(file).metadata or {}).get(N_TOKENS)
    except InputError:
        found = None
    if found is None:
        raise InputError(f"{file.path} is no token shard", "give the output folder of pack")
    return int(found)
