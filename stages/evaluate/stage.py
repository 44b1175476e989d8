"""Evaluate a model as a stage: one shard for each task, one row for each item.

The model is the main input, so its files are hashed and its stage is a parent. Each task's items
are a further input. `items/TASK.parquet` holds the scored items, `summary/TASK.json` the figures.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from corpusmill.evaluation import task as task_files
from corpusmill.evaluation.sandbox import CodeLimits
from corpusmill.manifests.errors import EngineError, ModelError, RecipeError
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.settings import build_settings
from corpusmill.manifests.shard import Shard
from corpusmill.stages.contract import Account, GlobalStage, Inputs, Pass, Passes, Reads
from corpusmill.stages.engines.local_model import refuse_absent
from corpusmill.stages.engines.transformers import TransformersEngine
from corpusmill.stages.engines.vllm import VLLMEngine, runs_on_cpu
from corpusmill.stages.evaluate.folders import model_folder, refuse_reader
from corpusmill.stages.tokenizer import loaded
from corpusmill.stages.tokenizer.loaded import LoadedTokenizer
from pydantic import JsonValue, PositiveInt, model_validator

if TYPE_CHECKING:
    from corpusmill.evaluation.run import Reading
    from corpusmill.evaluation.scoring import Model

ITEMS_FOLDER = "items"
SUMMARY = "summary"
_NOT_OF_VLLM = {  # settings of its engine that have their own place -> what to do
    "model": "leave it out: the model is the stage's input",
    "kind": "leave it out: evaluate.runtime says it",
    "context": "set evaluate.context instead",
    "dtype": "set evaluate.dtype instead",
}


class Evaluate(GlobalStage):
    """Measure a model on tasks and on held-out text."""

    name: ClassVar[str] = "evaluate"
    version: ClassVar[int] = 6
    reads: ClassVar[Reads] = Reads.CHECKPOINT
    account: ClassVar[Account] = Account.MANY_TO_ONE
    unit: ClassVar[str] = "items"
    # Which tasks there are is no setting of a task: a new one is scored alone. What a task needs of
    # them is in its inputs and `shard_settings`.
    free_settings: ClassVar[tuple[str, ...]] = ("code.parallel", "tasks", "held_out")

    tasks: tuple[str, ...] = ()
    """Shipped tasks by name, task files, or folders of task files."""
    items: str | None = None
    """The folder with the tasks' items. Null: the folder of each task file."""
    held_out: dict[str, tuple[str, ...]] = {}
    """Name -> files or stage folders with text, for bits per byte by source."""
    text_column: str = "text"
    """The column of held-out text."""
    domain_column: str = "source"
    """The column by whose values held-out text is told apart."""
    limit: PositiveInt | None = None
    """At most so many items of each task, the same ones in every run. Null: all."""
    tokenizer: str | None = None
    """The tokenizer's folder. Null: the model's folder."""
    runtime: Literal["auto", "trainer", "transformers", "vllm"] = "auto"
    """auto: the trainer's own model if it can read the folder, else transformers."""
    vllm: dict[str, JsonValue] = {}
    """With runtime vllm: settings of its engine, as `tensor_parallel_size`."""
    context: PositiveInt | None = None
    """Tokens that the model reads at most. Null: what the model declares."""
    begin: Literal["tokenizer", "bos", "eos", "nothing"] = "tokenizer"
    """What stands in front of a question: what the tokenizer puts there, or one token."""
    prefix: Literal["bos", "eos"] = "bos"
    """The token before the first one of a held-out text. eos: for models packed without bos."""
    batch_tokens: PositiveInt | None = None
    """Padded tokens that are scored together. Null: 8192 on a GPU, 512 on a CPU. vLLM sees to its
    batches itself.
    """
    generate_batch: PositiveInt = 16
    """Answers that are generated together."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: CUDA where there is a GPU, else the CPU. With vLLM: what its build is for."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of the computation. auto: bfloat16 on CUDA, float32 on the CPU; with vLLM, what the model
    declares.
    """
    threads: PositiveInt = 1
    """Threads on the CPU."""
    run_code: bool = False
    """Run generated programs, in a sandbox. Without it, code tasks are left out."""
    code: CodeLimits = CodeLimits()
    """Limits of a generated program."""

    @model_validator(mode="after")
    def _vllm_can_start(self) -> Self:
        if self.vllm and self.runtime != "vllm":
            raise RecipeError(
                f"vllm is set, and runtime is {self.runtime}",
                "set runtime to vllm, or leave it out",
            )
        if name := next((name for name in _NOT_OF_VLLM if name in self.vllm), None):
            raise RecipeError(f"vllm.{name} is set", _NOT_OF_VLLM[name])
        self._vllm_engine()  # refuses unknown settings
        return self

    def chosen_tasks(self) -> list[task_files.Task]:
        """All tasks, held-out text among them. Raises RecipeError if there are none."""
        if not self.tasks and not self.held_out:
            raise RecipeError(
                "evaluate.tasks is empty", "name a task, or text with evaluate.held_out"
            )
        found = task_files.load(self.tasks)
        found += [self._held_out_task(name, paths) for name, paths in self.held_out.items()]
        names = [task.name for task in found]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise RecipeError(f"two tasks are named {twice!r}", "name held-out text otherwise")
        return found

    def gauge_tasks(self) -> list[task_files.Task]:
        """All tasks, if they can be scored while a model trains. Raises RecipeError if not."""
        found = self.chosen_tasks()
        for task in found:
            if isinstance(task, task_files.GENERATED):
                raise RecipeError(
                    f"the task {task.name} generates its answers",
                    "in training, name tasks that are scored by log-likelihood",
                )
        return found

    def _held_out_task(self, name: str, paths: Sequence[str]) -> task_files.Task:
        domain = self.domain_column
        template = f"{{{{ {self.text_column} }}}}"
        of_domain = f"({domain} or '') if {domain} is defined else ''"
        return task_files.TextTask(
            name=name,
            files=tuple(task_files.ItemFile(path=path) for path in paths),
            text=template,
            domain=of_domain,
            digest=hashlib.sha256(f"{template}\n{of_domain}".encode()).hexdigest(),
        )

    def depends_on(self) -> str:
        """The digest of a tokenizer that is named."""
        return loaded.load(self.tokenizer).digest if self.tokenizer else ""

    def gauge_depends_on(self) -> str:
        """Digests of all tasks and of the tokenizer, for a stage that scores them in training."""
        digests = {task.name: task.digest for task in self.chosen_tasks()}
        return json.dumps([digests, self.depends_on()], sort_keys=True)

    def refuse_early(self, here: bool) -> None:
        if not here:
            return
        refuse_absent(self.device)
        if self.runtime == "vllm":
            self._vllm_engine().refuse_machine()
            if self.device == "cpu" and not runs_on_cpu():
                raise EngineError(
                    "evaluate.device is cpu, and this vLLM is for GPUs",
                    "set evaluate.device to auto, or install vLLM's CPU build",
                )

    def named_inputs(self) -> Mapping[str, tuple[str, ...]]:
        return {task.name: self.places(task)[0] for task in self.chosen_tasks()}

    def places(self, task: task_files.Task) -> tuple[tuple[str, ...], Mapping[str, str]]:
        """The paths of a task's rows, and their new columns: name -> expression."""
        if task.name in self.held_out:
            return self.held_out[task.name], {}
        file = task_files.items_path(task, self.items)
        return (file.path,), file.fields

    def passes(self, inputs: Inputs) -> Passes:
        model = tuple(artifact.path for artifact in inputs.documents)
        folder = model_folder(model)
        if self.runtime != "vllm":
            refuse_reader(folder)
        self.checked_tokenizer(str(folder))
        yield Pass(
            name=self.name,
            shards={
                name: (*inputs.documents, *artifacts) for name, artifacts in inputs.named.items()
            },
            work=partial(_evaluate, self, model),
            shard_settings={task.name: task.digest for task in self.chosen_tasks()},
            final=True,
            holds_engine=True,
            cpus=self.threads,
            gpus=self._gpus(),
        )

    def checked_tokenizer(self, folder: str) -> LoadedTokenizer:
        """The model's tokenizer. Raises ModelError if there is none, or it has no first token."""
        try:
            tokenizer = loaded.load(self.tokenizer or folder)
        except ModelError as error:
            if self.tokenizer:
                raise
            raise ModelError(
                error.what, "set evaluate.tokenizer to the folder of the model's tokenizer"
            ) from error
        if tokenizer.bos is None and tokenizer.eos is None:
            raise ModelError(
                f"the tokenizer {tokenizer.name} has neither bos nor eos",
                "name one of them in its tokenizer_config.json",
            )
        return tokenizer

    def reading(self, tokenizer: LoadedTokenizer, model: "Model") -> "Reading":
        """How texts become the model's tokens. Raises ModelError if the two do not fit."""
        from corpusmill.evaluation.run import Reading

        if tokenizer.vocabulary_size > model.vocabulary:
            raise ModelError(
                f"the tokenizer {tokenizer.name} has {tokenizer.vocabulary_size} tokens, "
                f"the model only {model.vocabulary}",
                "set evaluate.tokenizer to the tokenizer that the model was trained with",
            )
        if self.context and model.positions and self.context > model.positions:
            raise ModelError(
                f"evaluate.context is {self.context}, and the model can read "
                f"{model.positions} tokens at most",
                f"set it to {model.positions} or less",
            )
        bos = tokenizer.bos if tokenizer.bos is not None else tokenizer.eos
        eos = tokenizer.eos if tokenizer.eos is not None else tokenizer.bos
        assert bos is not None
        assert eos is not None
        start = {
            "tokenizer": tokenizer.begins_with(),
            "bos": (bos,),
            "eos": (eos,),
            "nothing": (),
        }[self.begin]
        prefix = bos if self.prefix == "bos" else eos
        return Reading(tokenizer, start, prefix, self.context or model.context)

    def model(self, folder: Path, tokenizer: LoadedTokenizer) -> "Model":
        """The model in a folder. Raises ModelError if there is none that the runtime can read."""
        if self.runtime == "vllm":
            from corpusmill.stages.evaluate import vllm

            return vllm.load(folder, tokenizer, json.dumps(self._of_vllm(), sort_keys=True))
        from corpusmill.evaluation.models import Place, load

        return load(folder, self.runtime, Place(self.device, self.dtype))

    def batch(self) -> int | None:
        """Padded tokens of a batch. None: what suits the device."""
        if self.runtime == "vllm":
            from corpusmill.stages.evaluate.vllm import BATCH_TOKENS

            return self.batch_tokens or BATCH_TOKENS
        return self.batch_tokens

    def _of_vllm(self) -> dict[str, JsonValue]:
        return {"dtype": self.dtype, "context": self.context, **self.vllm}

    def _vllm_engine(self) -> VLLMEngine:
        """With all settings but the model."""
        return build_settings(VLLMEngine, {"model": "", **self._of_vllm()}, "evaluate.vllm")

    def _gpus(self) -> float:
        if self.device == "cpu":
            return 0
        if self.runtime == "vllm":
            return self._vllm_engine().gpus
        return 1

    def engine(self, folder: str) -> TransformersEngine:
        return TransformersEngine(
            model=folder,
            context=self.context,
            batch_size=self.generate_batch,
            threads=self.threads,
            device=self.device,
            dtype=self.dtype,
        )


def _evaluate(settings: Evaluate, model: tuple[str, ...], shard: Shard) -> list[Counts]:
    from corpusmill.stages.evaluate.work import evaluate_task

    return evaluate_task(settings, model, shard)
