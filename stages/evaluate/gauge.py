"""The gauge of a training run (`evaluation.gauge`), from the settings of an evaluation."""

from collections.abc import Mapping, Sequence

from corpusmill.evaluation.gauge import Gauge
from corpusmill.evaluation.questions import Questions, build
from corpusmill.evaluation.task import Task
from corpusmill.manifests import storage
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.listed import list_input
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.stage_folder import StageFolder
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.evaluate.rows import read_rows
from corpusmill.stages.evaluate.stage import Evaluate
from corpusmill.stages.readers.data_files import sorted_out
from corpusmill.trainer.model import HybridModel


def gauge_for(
    model: HybridModel,
    settings: Evaluate,
    context: int,
    files: Mapping[str, Sequence[Artifact]] | None = None,
) -> Gauge:
    """What reads the tasks of `settings` from a model that trains on rows of `context` tokens.

    settings: with `tokenizer`, since the model has no folder yet. files: the rows of each task, by
    its name. None: those that the settings name. Raises RecipeError for tasks whose answers are
    generated or that have no item, and without a tokenizer.
    """
    if settings.tokenizer is None:
        raise RecipeError("gauge.tokenizer is missing", "name the folder of the tokenizer")
    from corpusmill.evaluation.hybrid import HybridScorer

    tokenizer = settings.checked_tokenizer(settings.tokenizer)
    reading = settings.reading(tokenizer, HybridScorer(model, context))
    prepared = []
    for task in settings.gauge_tasks():
        found = files_at(settings.places(task)[0]) if files is None else files[task.name]
        prepared.append((task, questions_of(settings, task, found)))
    return Gauge(prepared, reading, settings.batch_tokens)


def files_at(paths: Sequence[str]) -> list[Artifact]:
    """The files that hold rows. A stage's folder stands for its documents, as in `evaluate`.

    Raises InputError if a path names nothing, several stages, or an unfinished stage.
    """
    of_stages: list[Artifact] = []
    raw: set[str] = set()
    for path in paths:
        found = list_input(path)
        if isinstance(found, StageFolder):
            of_stages += found.manifest.documents() or found.manifest.outputs
        else:
            raw.update(sorted_out(found).data if storage.is_folder(path) else found)
    return [*of_stages, *map(storage.artifact_of, sorted(raw))]


def questions_of(settings: Evaluate, task: Task, files: Sequence[Artifact]) -> Questions:
    """What a task of the gauge asks. files: with its rows, which are not counted.

    Raises RecipeError if there is nothing to ask.
    """
    rows = (row for file in files for row in read_rows(Shard("gauge", (), ""), file))
    questions = build(task, rows, settings.places(task)[1], settings.limit)
    if not questions.asked:
        why = f" (row {questions.bad[0][0]}: {questions.bad[0][2]})" if questions.bad else ""
        raise RecipeError(
            f"the gauge's task {task.name} has no item to ask{why}",
            f"look at {', '.join(file.path for file in files)}, or leave the task out",
        )
    return questions
