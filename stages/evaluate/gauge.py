"""The gauge of a training run (`evaluation.gauge`), from the settings of an evaluation."""

from collections.abc import Sequence

from corpusmill.evaluation.gauge import Gauge
from corpusmill.evaluation.questions import Questions, build
from corpusmill.evaluation.task import Task
from corpusmill.manifests import finding, storage
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.shard import Shard
from corpusmill.stages.evaluate.rows import read_rows
from corpusmill.stages.evaluate.stage import Evaluate
from corpusmill.trainer.model import HybridModel


def gauge_for(model: HybridModel, settings: Evaluate, context: int) -> Gauge:
    """What reads the tasks of `settings` from a model that trains on rows of `context` tokens.

    settings: with `tokenizer`, since the model has no folder yet. Raises RecipeError for tasks
    whose answers are generated or that have no item, and without a tokenizer.
    """
    if settings.tokenizer is None:
        raise RecipeError("gauge.tokenizer is missing", "name the folder of the tokenizer")
    from corpusmill.evaluation.hybrid import HybridScorer

    tokenizer = settings.checked_tokenizer(settings.tokenizer)
    reading = settings.reading(tokenizer, HybridScorer(model, context))
    prepared = []
    for task in settings.gauge_tasks():
        paths, _ = settings.places(task)
        prepared.append((task, questions_of(settings, task, finding.expand(paths))))
    return Gauge(prepared, reading, settings.batch_tokens)


def questions_of(settings: Evaluate, task: Task, files: Sequence[str]) -> Questions:
    """What a task of the gauge asks. files: with its rows, which are not counted.

    Raises RecipeError if there is nothing to ask.
    """
    rows = (
        row
        for path in files
        for row in read_rows(Shard("gauge", (), ""), storage.artifact_of(path))
    )
    questions = build(task, rows, settings.places(task)[1], settings.limit)
    if not questions.asked:
        why = f" (row {questions.bad[0][0]}: {questions.bad[0][2]})" if questions.bad else ""
        raise RecipeError(
            f"the gauge's task {task.name} has no item to ask{why}",
            f"look at {', '.join(files)}, or leave the task out",
        )
    return questions
