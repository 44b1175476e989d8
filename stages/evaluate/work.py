"""What a worker of `evaluate` does: one task on one model, to rows and figures."""

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import torch
from corpusmill.evaluation.questions import Questions, build
from corpusmill.evaluation.results import BAD_ITEM, ITEMS, Record
from corpusmill.evaluation.run import generated_rows, likelihood_rows
from corpusmill.evaluation.summary import summary
from corpusmill.evaluation.task import AnswerTask, CodeTask, Task
from corpusmill.manifests.errors import EngineError
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.stages.evaluate.folders import model_folder
from corpusmill.stages.evaluate.rows import read_rows
from corpusmill.stages.evaluate.stage import ITEMS_FOLDER, SUMMARY, Evaluate
from corpusmill.stages.evaluate.writing import writer

CODE_NOT_RUN = "code_not_run"


def evaluate_task(settings: Evaluate, model: tuple[str, ...], shard: Shard) -> list[Counts]:
    """Write the rows and the figures of the shard's task. model: the paths of its files."""
    task = next(task for task in settings.chosen_tasks() if task.name == shard.name)
    files = [artifact for artifact in shard.inputs if artifact.path not in set(model)]
    rows = (row for artifact in files for row in read_rows(shard, artifact))
    questions = build(task, rows, settings.places(task)[1], settings.limit)
    if isinstance(task, CodeTask) and not settings.run_code:
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
    settings: Evaluate, task: Task, questions: Questions, folder: Path, shard: Shard
) -> list[Record]:
    if not questions.asked:
        return []
    torch.set_num_threads(settings.threads)
    tokenizer = settings.checked_tokenizer(str(folder))
    model = settings.model(folder, tokenizer)
    reading = settings.reading(tokenizer, model)

    def done(scored: int, total: int) -> None:
        shard.report(scored, total, "pieces")

    try:
        if isinstance(task, AnswerTask | CodeTask):
            write = writer(model, folder, tokenizer, settings.engine, settings.generate_batch)
            return generated_rows(task, questions, write, reading, settings.code)
        return likelihood_rows(task, questions, model, reading, settings.batch(), done)
    except torch.OutOfMemoryError as error:
        raise EngineError(
            f"the model ran out of GPU memory in {task.name}",
            "set a smaller evaluate.batch_tokens or evaluate.generate_batch",
        ) from error


def _first_unscored(records: Sequence[Record]) -> dict[str, str]:
    """Of each reason for no score, the first item with its facts."""
    found: dict[str, str] = {}
    for record in records:
        if record.get("reason"):
            found.setdefault(record["reason"], f"row {record['row']}: {record['detail']}")
    return found


def _account(shard: Shard, records: Sequence[Record], questions: Questions) -> Counts:
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
