"""Evaluate a model as a stage: one shard for each task, one row for each item.

The model is the main input, so its files are hashed and its stage is a parent. Each task's items
are a further input. `items/TASK.parquet` holds the scored items, `summary/TASK.json` the figures.
"""

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import pyarrow as pa
from corpusmill.evaluation import task as task_files
from corpusmill.evaluation.questions import Questions, build
from corpusmill.evaluation.sandbox import CodeLimits
from corpusmill.manifests import model_files, storage
from corpusmill.manifests.errors import EngineError, ModelError, RecipeError
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.stages.contract import Account, GlobalStage, Inputs, Pass, Passes, Reads
from corpusmill.stages.engines.local_model import refuse_absent
from corpusmill.stages.engines.transformers import TransformersEngine
from corpusmill.stages.evaluate.rows import read_rows
from corpusmill.stages.tokenizer import loaded
from corpusmill.stages.tokenizer.loaded import LoadedTokenizer
from pydantic import PositiveInt

if TYPE_CHECKING:
    from corpusmill.evaluation.models import Place
    from corpusmill.evaluation.results import Record
    from corpusmill.evaluation.run import Reading
    from corpusmill.evaluation.scoring import Model

ITEMS_FOLDER = "items"
SUMMARY = "summary"
MARKERS = ("config.json", "state.json")  # of a model folder, of a checkpoint
CODE_NOT_RUN = "code_not_run"


class Evaluate(GlobalStage):
    """Measure a model on tasks and on held-out text."""

    name: ClassVar[str] = "evaluate"
    version: ClassVar[int] = 5
    reads: ClassVar[Reads] = Reads.CHECKPOINT
    account: ClassVar[Account] = Account.MANY_TO_ONE
    unit: ClassVar[str] = "items"
    free_settings: ClassVar[tuple[str, ...]] = ("code.parallel",)

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
    runtime: Literal["auto", "trainer", "transformers"] = "auto"
    """auto: the trainer's own model if it can read the folder, else transformers."""
    context: PositiveInt | None = None
    """Tokens that the model reads at most. Null: what the model declares."""
    begin: Literal["tokenizer", "bos", "eos", "nothing"] = "tokenizer"
    """What stands in front of a question: what the tokenizer puts there, or one token."""
    prefix: Literal["bos", "eos"] = "bos"
    """The token before the first one of a held-out text. eos: for models packed without bos."""
    batch_tokens: PositiveInt | None = None
    """Padded tokens that are scored together. Null: 8192 on a GPU, 512 on a CPU."""
    generate_batch: PositiveInt = 16
    """Answers that are generated together."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: CUDA where there is a GPU, else the CPU."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of the computation. auto: bfloat16 on CUDA, float32 on the CPU."""
    threads: PositiveInt = 1
    """Threads on the CPU."""
    run_code: bool = False
    """Run generated programs, in a sandbox. Without it, code tasks are left out."""
    code: CodeLimits = CodeLimits()
    """Limits of a generated program."""

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
        """Digests of the tasks and of a tokenizer that is named."""
        digests = {task.name: task.digest for task in self.chosen_tasks()}
        tokenizer = loaded.load(self.tokenizer).digest if self.tokenizer else ""
        return json.dumps([digests, tokenizer], sort_keys=True)

    def refuse_early(self, here: bool) -> None:
        if here:
            refuse_absent(self.device)

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
        self.checked_tokenizer(str(model_folder(model)))
        yield Pass(
            name=self.name,
            shards={
                name: (*inputs.documents, *artifacts) for name, artifacts in inputs.named.items()
            },
            work=partial(_evaluate, self, model),
            final=True,
            holds_engine=True,
            cpus=self.threads,
            gpus=0 if self.device == "cpu" else 1,
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
                f"evaluate.context is {self.context}, the model has {model.positions} positions",
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

    def place(self) -> "Place":
        """Where and how the model computes."""
        from corpusmill.evaluation.models import Place

        return Place(self.device, self.dtype)

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
    from corpusmill.evaluation.results import BAD_ITEM, ITEMS
    from corpusmill.evaluation.summary import summary

    task = next(task for task in settings.chosen_tasks() if task.name == shard.name)
    files = [artifact for artifact in shard.inputs if artifact.path not in set(model)]
    rows = (row for artifact in files for row in read_rows(shard, artifact))
    questions = build(task, rows, settings.places(task)[1], settings.limit)
    if isinstance(task, task_files.CodeTask) and not settings.run_code:
        questions.unused[CODE_NOT_RUN] = len(questions.asked)
        questions.asked = []
    records = _scored(settings, task, questions, model_folder(model), shard)
    records += [
        {"task": task.name, "row": row, "id": name, "reason": BAD_ITEM, "detail": why}
        for row, name, why in questions.bad
    ]
    records.sort(key=lambda record: record["row"])
    with shard.parquet(ITEMS_FOLDER, ITEMS) as output:
        output.write(pa.Table.from_pylist(records, schema=ITEMS))
    account = _account(shard, records, questions)
    figures = {
        "task": task.name,
        "kind": task.kind,
        "lines": [line.as_json() for line in summary(task.kind, records)],
        "unscored": {**account.excluded, **account.failures},
        "first_unscored": _first_unscored(records),
        "unused": questions.unused,
    }
    shard.file(SUMMARY, f"{task.name}.json", json.dumps(figures, indent=1).encode() + b"\n")
    return [account]


def _scored(
    settings: Evaluate, task: task_files.Task, questions: Questions, folder: Path, shard: Shard
) -> "list[Record]":
    import torch
    from corpusmill.evaluation.models import load
    from corpusmill.evaluation.run import generated_rows, likelihood_rows
    from corpusmill.stages.evaluate.writing import writer

    if not questions.asked:
        return []
    torch.set_num_threads(settings.threads)
    tokenizer = settings.checked_tokenizer(str(folder))
    model = load(folder, settings.runtime, settings.place())
    reading = settings.reading(tokenizer, model)

    def done(scored: int, total: int) -> None:
        shard.report(scored, total, "pieces")

    try:
        if isinstance(task, task_files.AnswerTask | task_files.CodeTask):
            write = writer(model, folder, tokenizer, settings.engine, settings.generate_batch)
            return generated_rows(task, questions, write, reading, settings.code)
        return likelihood_rows(task, questions, model, reading, settings.batch_tokens, done)
    except torch.OutOfMemoryError as error:
        raise EngineError(
            f"the model ran out of GPU memory in {task.name}",
            "set a smaller evaluate.batch_tokens or evaluate.generate_batch",
        ) from error


def _first_unscored(records: "Sequence[Record]") -> dict[str, str]:
    """Of each reason for no score, the first item with its facts."""
    found: dict[str, str] = {}
    for record in records:
        if record.get("reason"):
            found.setdefault(record["reason"], f"row {record['row']}: {record['detail']}")
    return found


def _account(shard: Shard, records: "Sequence[Record]", questions: Questions) -> Counts:
    account = Counts(Evaluate.name, rows_in=shard.rows_read)
    for record in records:
        reason: str | None = record.get("reason")
        if reason is None:
            account.kept += 1
        elif reason.startswith("error_"):
            account.failed += 1
            account.failures[reason] = account.failures.get(reason, 0) + 1
        else:
            account.excluded[reason] = account.excluded.get(reason, 0) + 1
    for reason, rows in questions.unused.items():
        account.leave_out(reason, rows)
    return account


@functools.lru_cache(maxsize=2)
def model_folder(paths: tuple[str, ...]) -> Path:
    """A local folder with the model whose files are given. Remote files are fetched once a process.

    Raises ModelError if they are no model, or several.
    """
    found = {path.rpartition("/")[0] for path in paths if storage.name_of(path) in MARKERS}
    # Published models have further forms of themselves in folders below, as for ONNX.
    least = min((folder.count("/") for folder in found), default=0)
    folders = {folder for folder in found if folder.count("/") == least}
    if len(folders) != 1:
        raise ModelError(
            f"the input holds {len(folders) or 'no'} {'models' if folders else 'model'} "
            f"(no folder, or several, with {' or '.join(MARKERS)})",
            "name one folder: of train, of export, one checkpoint, or one of save_pretrained",
        )
    (folder,) = folders
    if not storage.is_remote(folder):
        return Path(storage.local(folder))
    return Path(model_files.folder(folder, _FILES))


_FILES = model_files.Kind("model", ("*",), "check the URL")
