"""Task files: YAML that says how rows of data become questions, and how answers are scored.

    name: openbook_qa
    kind: multiple_choice
    files:
      - path: openbook_qa.jsonl.zst
    context: "{{ query }}"
    choices: choices
    gold: gold

A task is data, like a prompt. Texts (`context`, `continuation`, `text`, `program`) are Jinja
templates over the columns of a row. Values (`choices`, `gold`, `answer`, `where`, `domain`) are
Jinja expressions. `files` names where the rows lie: the first that exists is read. A path is
looked up in the folder of items, then beside the task file. A URL, as `hf://datasets/...`, is
taken as it is. `fields` of a file give its columns the names that the templates use.

The kinds are those of lm-evaluation-harness: multiple choice, log-likelihood of a continuation,
rolling log-likelihood of a text, and generation until a stop.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from corpusmill.evaluation.templates import check_expression, check_pattern, check_template
from corpusmill.manifests import finding, storage
from corpusmill.manifests.errors import InputError, RecipeError, nearest
from corpusmill.manifests.package_data import package_file
from corpusmill.manifests.settings import Settings, build_settings
from corpusmill.manifests.yaml_text import parse_yaml
from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt, model_validator

SUFFIX = ".yaml"


def _check_name(text: str) -> str:
    if not re.fullmatch(r"[\w.+-]+", text):
        mend = "it becomes a file's name: take letters, digits, _ . + and -"
        raise RecipeError(f"{text!r} cannot name a task", mend)
    return text


TaskName = Annotated[str, AfterValidator(_check_name)]
Template = Annotated[str, AfterValidator(check_template)]
Expression = Annotated[str, AfterValidator(check_expression)]
Pattern = Annotated[str, AfterValidator(check_pattern)]
StopText = Annotated[str, Field(min_length=1)]


class ItemFile(Settings):
    """One place where a task's rows may lie."""

    path: str
    """A file or glob below the folder of items, beside the task file, or a URL."""
    fields: dict[str, Expression] = {}
    """New column -> expression over the columns of this file."""


class Shots(Settings):
    """Solved examples in front of a question."""

    count: NonNegativeInt = 0
    """How many. The first ones of the file are taken."""
    where: Expression = "true"
    """Which rows may be examples. They are not scored."""
    same: Expression = "''"
    """An item's examples have the same value of this, as `subject`."""
    separator: str = "\n\n"
    """Between two examples, and before the question."""


class Task(Settings):
    """What all kinds of task have."""

    name: TaskName
    """Names the task's results."""
    kind: str
    """multiple_choice, last_word, text, answer or code."""
    purpose: str = ""
    """What the task measures."""
    source: str = ""
    """Where the items and the wording come from."""
    files: tuple[ItemFile, ...] = Field(min_length=1)
    """Where the rows may lie. The first that exists is read."""
    where: Expression = "true"
    """Which rows are items. The others are counted as not used."""
    domain: Expression = "''"
    """Results are also given for each value of this, as `subject`."""
    preamble: Template = ""
    """In front of the examples."""
    shots: Shots = Shots()
    """Solved examples."""
    digest: str = ""
    """SHA-256 of the task file."""
    folder: str = ""
    """Where the task file lies."""


class ChoiceTask(Task):
    """Which of several continuations the model finds likeliest."""

    kind: Literal["multiple_choice"] = "multiple_choice"
    context: Template = ""
    """The text before the choices."""
    choices: Expression = ""
    """A list of texts."""
    contexts: Expression = ""
    """In place of `context`: a list of texts, each followed by `continuation` (Winograd schemas).
    """
    continuation: Template = ""
    """With `contexts`: the text that is scored after each."""
    delimiter: str = " "
    """Between context and continuation."""
    gold: Expression
    """The number of the right choice, from 0."""

    @model_validator(mode="after")
    def _one_form(self) -> "ChoiceTask":
        if bool(self.choices) == bool(self.contexts):
            raise RecipeError("choices is missing", "give `choices`, or `contexts` in place of it")
        if bool(self.contexts) != bool(self.continuation):
            raise RecipeError("continuation is missing", "`contexts` want a `continuation`")
        return self


class LastWordTask(Task):
    """Whether the likeliest next tokens are the given continuation (LAMBADA)."""

    kind: Literal["last_word"] = "last_word"
    context: Template
    """The text before the word."""
    continuation: Template
    """The word, with the space before it."""


class TextTask(Task):
    """How many bits the model needs for each byte of a text."""

    kind: Literal["text"] = "text"
    text: Template = "{{ text }}"
    """The text."""


class AnswerTask(Task):
    """Whether a generated answer equals the right one."""

    kind: Literal["answer"] = "answer"
    context: Template
    """The question, as the model reads it."""
    solution: Template = ""
    """The right answer with its reasoning, as the examples show it. Empty: the first answer."""
    answer: Expression
    """The right answer, or a list of spellings that are right."""
    delimiter: str = " "
    """Between question and answer in the examples."""
    stop: tuple[StopText, ...] = ("\n\n",)
    """Texts at which the answer ends."""
    max_tokens: PositiveInt = 256
    """The longest answer."""
    patterns: tuple[Pattern, ...] = ()
    """Regular expressions for the final answer, tried in order; the last match counts. `boxed` is
    LaTeX's box. Empty: the whole answer.
    """
    compare: Literal["text", "number", "math", "begins"] = "text"
    """text: equal but for case, articles and punctuation. number: equal numbers. math: equal LaTeX
    after normalisation. begins: the answer begins with a right one.
    """


class CodeTask(Task):
    """Whether a generated program passes its tests."""

    kind: Literal["code"] = "code"
    context: Template
    """What the model goes on from."""
    solution: Template = ""
    """The right program, as the examples show it."""
    delimiter: str = ""
    """Between context and solution in the examples."""
    program: Template
    """The program that is run. `completion` is what the model wrote."""
    stop: tuple[StopText, ...] = ("\nclass", "\ndef", "\n#", "\nif", "\nprint", "\n```")
    """Texts at which the program ends."""
    max_tokens: PositiveInt = 512
    """The longest program."""


KINDS: Mapping[str, type[Task]] = {
    "multiple_choice": ChoiceTask,
    "last_word": LastWordTask,
    "text": TextTask,
    "answer": AnswerTask,
    "code": CodeTask,
}
GENERATED: tuple[type[Task], ...] = (AnswerTask, CodeTask)


class _Head(Settings):
    """Only the kind, to choose the class."""

    model_config: ClassVar[Any] = {**Settings.model_config, "extra": "ignore"}
    kind: Literal["multiple_choice", "last_word", "text", "answer", "code"]


def shipped() -> list[str]:
    """Names of the tasks that come with corpusmill."""
    entries = package_file("evaluation", "tasks").iterdir()
    return sorted(path.stem for path in entries if path.suffix == SUFFIX)


def load(names: Iterator[str] | tuple[str, ...]) -> list[Task]:
    """The tasks of the given names: of a shipped task, of a task file, or of a folder of them.

    Raises RecipeError, which names the file and the key.
    """
    tasks = [task for name in names for task in _named(name)]
    seen: set[str] = set()
    for task in tasks:
        if task.name in seen:
            raise RecipeError(f"two tasks are named {task.name!r}", "name each once")
        seen.add(task.name)
    return tasks


def _named(name: str) -> Iterator[Task]:
    if name in shipped():
        name = str(package_file("evaluation", "tasks", f"{name}{SUFFIX}"))
    elif not storage.exists(name):
        if "/" in name or name.endswith(SUFFIX):
            raise RecipeError(f"there is no task file {name}", "check the path")
        mend = nearest(name, shipped(), "give a path, or one of the shipped tasks")
        raise RecipeError(f"there is no task {name!r}", mend)
    if storage.is_folder(name):
        found = [path for path in finding.files_below(name, SUFFIX) if path.endswith(SUFFIX)]
        if not found:
            raise RecipeError(f"{name} holds no task file", f"task files end in {SUFFIX}")
        for path in sorted(found):
            yield parse(storage.read_bytes(path), path)
        return
    yield parse(storage.read_bytes(name), name)


def parse(data: bytes, path: str) -> Task:
    """The task in the bytes of a task file. Raises RecipeError."""
    try:
        settings = parse_yaml(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is not UTF-8 ({error.reason})", "save it as UTF-8") from error
    except ValueError as error:
        raise RecipeError(f"{path} is not readable YAML ({error})", "mend the file") from error
    if not isinstance(settings, Mapping):
        raise RecipeError(f"{path} is not a mapping", "write `key: value` lines")
    try:
        kind = build_settings(_Head, settings).kind
        task = build_settings(KINDS[kind], settings)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error.what}", error.mend) from error
    folder = storage.absolute(path).rpartition("/")[0]
    return task.model_copy(update={"digest": hashlib.sha256(data).hexdigest(), "folder": folder})


def items_path(task: Task, items: str | None) -> ItemFile:
    """The first of the task's files that is there. items: the folder of items, if one is named.

    Raises InputError if none is there, or if there is no such folder.
    """
    if items and not storage.is_folder(items):
        raise InputError(
            f"evaluate.items is {items}, and there is no such folder", "check the path"
        )
    folders = [folder for folder in (items, task.folder) if folder]
    tried = []
    for file in task.files:
        if storage.is_remote(file.path):
            return file
        for folder in folders:
            path = file.path if file.path.startswith("/") else storage.join(folder, file.path)
            tried.append(path)
            if _is_there(path):
                return file.model_copy(update={"path": path})
    raise InputError(
        f"the items of task {task.name} are not there ({', '.join(tried)})",
        "name their folder with evaluate.items",
    )


def _is_there(path: str) -> bool:
    try:
        return bool(finding.expand([path]))
    except InputError:
        return False
