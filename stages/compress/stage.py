"""Make a trained hybrid smaller, as a stage.

Its passes, each with receipts of its own:

1. `sample` draws held-out sequences.
2. `widths` compares the parent with children of which one width is smaller.
3. `clock` measures layers of every width, if the budget limits the time of a step.
4. The search finds the largest children that fit the budget. `score` cuts the most promising ones
   out of the parent, and compares them with it. Nothing is trained.
5. `rows` writes the training sequences, and `targets` what the parent predicts in them, if the
   settings say so.
6. `distil` trains the best rated ones for a short time.
7. `compress` chooses by held-out loss, trains the winner on, and writes it:

    config.json, model.safetensors, tokenizer files    as of export
    candidates.parquet            every child with all that was measured
    memory.svg, speed.svg         their losses over memory and speed
    summary.txt                   the same as a table, which the command prints

Source: MiniPuzzle, Nemotron-H (arXiv 2504.03624), section 3. Minitron-SSM (arXiv 2504.11409) for
Mamba heads, the short distillation, and the choice by loss.
"""

import json
from collections.abc import Generator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from corpusmill.compression.ranking import LayerScore
from corpusmill.compression.search import Budget, Found, Harm, most_promising, search
from corpusmill.compression.space import Sizes, Space, widths_alone
from corpusmill.compression.step_times import StepTimes
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError, ModelError
from corpusmill.manifests.model_files import TOKENIZER_FILES, folder_digest
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.compress import teacher, work
from corpusmill.stages.compress.candidates import (
    PARENT,
    Candidate,
    harm_of,
    rated,
    read_importance,
    winner,
)
from corpusmill.stages.compress.distil import Distillation
from corpusmill.stages.compress.importance import MEASURED, RECORD
from corpusmill.stages.compress.sample import OnParent
from corpusmill.stages.contract import Inputs, Pass, Passes, PassResult
from corpusmill.stages.engines.model_folder import local_folder
from pydantic import PositiveInt


class Compress(OnParent):
    """Make a trained hybrid smaller: search, prune, distil."""

    name: ClassVar[str] = "compress"
    version: ClassVar[int] = 3
    free_settings: ClassVar[tuple[str, ...]] = (
        *OnParent.free_settings,
        "importance",  # paths: the digests of their files count
        "tokenizer",
    )

    importance: str
    """The output folder of the stage importance, measured on the same parent."""
    budget: Budget
    """What the child may take."""
    space: Space = Space()
    """The sizes that are tried."""
    candidates: PositiveInt = 32
    """Children that are measured: those of least predicted harm."""
    validation_sequences: PositiveInt = 128
    """Held-out sequences on which children are compared with the parent."""
    distillation: Distillation | None = Distillation()
    """How children are trained. Null: the best rated one is pruned and not trained."""
    tokenizer: str | None = None
    """A folder of the tokenizer. Null: the parent's folder."""
    export_dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Of the weights that are written."""

    def depends_on(self) -> str:
        """Raises CorpusmillError if the settings, the parent or its tokenizer cannot be used."""
        from corpusmill.trainer.export import read_facts

        parent = super().depends_on()
        shape = self.parent_shape()
        choices = self.space.choices(shape)
        if self.budget.step_ms is None:  # else it must be measured
            search(shape, choices, self.budget)
        read_facts(self.tokenizer_folder)
        if self.distillation:
            self.distillation.refuse(self, shape, choices["hidden_size"])
        names = [name for name in TOKENIZER_FILES if (self.tokenizer_folder / name).exists()]
        return f"{parent} {folder_digest(str(self.tokenizer_folder), names)}"

    @property
    def tokenizer_folder(self) -> Path:
        return Path(local_folder(self.parent) if self.tokenizer is None else self.tokenizer)

    def named_inputs(self) -> Mapping[str, tuple[str, ...]]:
        return {"importance": (self.importance,)}

    def passes(self, inputs: Inputs) -> Passes:
        importance, score = _measured(inputs.named["importance"], super().depends_on())
        shape = self.parent_shape()
        whole, choices = Sizes.of(shape), self.space.choices(shape)
        drawn = yield Pass("sample", {"rows": inputs.documents}, partial(work.sample, self))
        known = (importance, *drawn.outputs())

        alone = {PARENT: whole, **widths_alone(choices, shape)}
        widths = _candidates((yield self._comparing("widths", alone, known)))
        scores = read_importance(storage.read_bytes(importance.path), shape)
        harm = harm_of(scores, shape, score, widths)
        times: StepTimes | None = None
        if self.budget.step_ms is not None:
            clocked = yield self._clocking()
            (output,) = clocked.outputs()
            times = json.loads(storage.read_bytes(output.path))
        found = search(shape, choices, self.budget, times)
        promising = most_promising(found.sizes, harm, self.candidates)
        chosen = {sizes.name(whole): sizes for sizes in promising}
        candidates = rated(_candidates((yield self._comparing("score", chosen, known))))

        learnt_from, trained = inputs.documents, tuple[Artifact, ...]()
        if self.distillation:
            if self.distillation.targets:
                stored = yield from self._storing(self.distillation, inputs.documents)
                learnt_from = (*learnt_from, *stored)
            finalists = candidates[: self.distillation.finalists]
            result = yield self._training(
                "distil",
                {item.name: (*known, *learnt_from) for item in finalists},
                {item.name: json.dumps(item.as_json(), sort_keys=True) for item in finalists},
            )
            by_name = {item.name: item for item in _candidates(result)}
            candidates = [by_name.get(item.name, item) for item in candidates]
            best = winner(candidates, self.budget.serving, times)
            trained = result.outputs(f"distil/{best.name}")
        parent = next(item for item in widths if item.name == PARENT)
        yield self._training(
            "compress",
            {"model": (*known, *trained, *learnt_from)},
            {"model": self._plan(parent, candidates, harm, found, times)},
        )

    def _comparing(
        self, name: str, children: Mapping[str, Sizes], known: tuple[Artifact, ...]
    ) -> Pass:
        """A pass that compares children with the parent, one a shard."""
        return Pass(
            name,
            dict.fromkeys(children, known),
            partial(work.compare_child, self, f"work/{name}"),
            holds_engine=True,
            cpus=self.threads or 1,
            gpus=self.gpus,
            shard_settings={child: json.dumps(asdict(sizes)) for child, sizes in children.items()},
        )

    def _clocking(self) -> Pass:
        """The pass that measures layers. Nothing else may run on its device: it has one shard."""
        return Pass(
            "clock",
            {"steps": ()},
            partial(work.clock, self),
            holds_engine=True,
            cpus=self.threads or 1,
            gpus=self.gpus,
        )

    def _storing(
        self, distillation: Distillation, documents: tuple[Artifact, ...]
    ) -> Generator[Pass, PassResult, tuple[Artifact, ...]]:
        """The passes in which the parent reads the training sequences; what it stored."""
        assert distillation.targets is not None
        count, size = distillation.rows(self.sequence_length), distillation.targets.sequences
        pieces = {
            f"rows-{start:010d}": (start, min(start + size, count))
            for start in range(0, count, size)
        }
        rows = yield Pass(
            "rows",
            {"rows": documents},
            partial(teacher.write_rows, self),
            shard_settings={"rows": json.dumps(pieces)},
        )
        stored = yield Pass(
            "targets",
            {artifact.stem: (artifact,) for artifact in rows.outputs()},
            partial(teacher.store_targets, self),
            holds_engine=True,
            cpus=self.threads or 1,
            gpus=self.gpus,
        )
        return stored.outputs()

    def _training(
        self, name: str, shards: Mapping[str, tuple[Artifact, ...]], settings: Mapping[str, str]
    ) -> Pass:
        """A pass that may train: the finalists, or the winner."""
        workers = self.distillation.num_workers if self.distillation else 1
        return Pass(
            name,
            shards,
            partial(work.finish if name == self.name else work.distil_finalist, self),
            final=name == self.name,
            holds_engine=True,
            cpus=(self.threads or 1) * workers,
            gpus=self.gpus * workers,
            shard_settings=settings,
        )

    def _plan(
        self,
        parent: Candidate,
        candidates: list[Candidate],
        harm: Harm,
        found: Found,
        times: StepTimes | None,
    ) -> str:
        """What the last pass needs to know of the search, as JSON."""
        plan = {
            "winner": winner(candidates, self.budget.serving, times).name,
            "parent": parent.as_json(),
            "candidates": [item.as_json() for item in candidates],
            "harm": {item.name: harm.of(item.sizes) for item in candidates},
            "tried": found.tried,
            "fitting": found.fitting,
            "largest": len(found.sizes),
            "times": times,
        }
        return json.dumps(plan, sort_keys=True)


def _measured(inputs: tuple[Artifact, ...], parent: str) -> tuple[Artifact, LayerScore]:
    """The scores and their kind. Raises CorpusmillError if they are of another parent."""
    by_name = {artifact.name: artifact for artifact in inputs}
    if RECORD not in by_name or MEASURED not in by_name:
        raise InputError(
            f"the input importance holds no {RECORD}",
            "name the output folder of `corpusmill importance`",
        )
    record = json.loads(storage.read_bytes(by_name[RECORD].path))
    if record["parent"] != parent:
        raise ModelError(
            "the importance was measured on another parent",
            "run `corpusmill importance` on this parent, and name its folder",
        )
    return by_name[MEASURED], record["layer_score"]


def _candidates(result: PassResult) -> list[Candidate]:
    """What a pass wrote about its children."""
    return [
        Candidate.from_json(json.loads(storage.read_bytes(output.path)))
        for receipt in result.receipts.values()
        for output in receipt.outputs
        if output.name == work.RECORD
    ]
