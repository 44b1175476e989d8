"""Recipes: one YAML file that names all stages, from WARC to checkpoint.

    name: example
    inputs: [crawl/*.warc.gz]
    stages:
      - extract: {extractor: main_content}
      - filter: {}
      - dedup: {verify_threshold: 0.8}

Every key is checked against the settings class of its stage. Keys of any stage:
- `input:` what the stage reads. Without it, the stage reads the one before.
- `name:` the step's name, so that a stage can appear twice.
- `keep_documents:` whether the step writes its documents, if the next step could take them from
  memory.

Strings with a meaning:
- `step:NAME` the folder of an earlier step.
- `package:FOLDER/PATH` data that comes with corpusmill.
- `python:PACKAGE/PATH` a file in an installed Python package.
"""

import importlib.util
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from corpusmill.manifests import storage
from corpusmill.manifests.assignments import assigned, read_assignment
from corpusmill.manifests.errors import RecipeError, nearest, short
from corpusmill.manifests.package_data import DATA_FOLDERS, package_file
from corpusmill.manifests.settings import build_settings
from corpusmill.manifests.yaml_text import parse_yaml
from corpusmill.pipeline.catalogue import default_name, stage_class

KEYS = ("name", "description", "inputs", "stages")


@dataclass(frozen=True)
class Step:
    """One stage of a recipe.

    inputs: patterns or references. If empty, the step reads the step before, or the recipe's
    inputs. keep_documents: whether the step writes its documents if the next step could take them
    from memory. None means the stage's default.
    """

    verb: str
    name: str
    inputs: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    keep_documents: bool | None = None


@dataclass(frozen=True)
class Recipe:
    name: str
    inputs: tuple[str, ...]
    steps: tuple[Step, ...]

    def step(self, verb: str, name: str | None = None) -> Step:
        """The step of a stage. name: the step's name, needed if there are several.

        Raises RecipeError if there is no such step, or several.
        """
        found = [step for step in self.steps if step.verb == verb and name in (None, step.name)]
        names = ", ".join(step.name for step in self.steps if step.verb == verb)
        if not names:
            raise RecipeError(
                f"the recipe has no {verb} stage",
                "leave out --config, or name a recipe that has one",
            )
        if not found:
            raise RecipeError(
                f"the recipe has no {verb} stage {name!r}", f"its {verb} stages are {names}"
            )
        if len(found) > 1:
            raise RecipeError(
                f"the recipe has several {verb} stages", f"choose one with --step: {names}"
            )
        return found[0]


def load_recipe(path: str | os.PathLike[str]) -> Recipe:
    """Read a recipe and check its shape. `build_stage` checks the settings of stages.

    Raises RecipeError, which names the file, the key and what to do.
    """
    path = resolve_data(os.fspath(path))
    try:
        document = parse_yaml(storage.read_bytes(path).decode())
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{path} is not a recipe: it is not text",
            "give the recipe first, and its inputs with --input",
        ) from error
    except ValueError as error:
        raise RecipeError(f"{path} is not readable YAML ({error})", "mend the file") from error
    try:
        recipe = _recipe(document)
        check_references(recipe)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error.what}", error.mend) from error
    return recipe


def _recipe(document: Any) -> Recipe:
    if not isinstance(document, dict):
        raise RecipeError(
            "this is not a recipe", "write a mapping with name, inputs and a list of stages"
        )
    for key in document:
        if key not in KEYS:
            raise RecipeError(f"unknown key {key!r}", nearest(str(key), KEYS, "known keys"))
    items = document.get("stages")
    if not isinstance(items, list) or not items:
        raise RecipeError("the recipe has no stages", "give `stages:`, a list of stages")
    steps: list[Step] = []
    for number, item in enumerate(items, start=1):
        step = _step(number, item)
        if step.name in {earlier.name for earlier in steps}:
            raise RecipeError(
                f"two steps are named {step.name!r}", "give one of them another `name:`"
            )
        steps.append(step)
    return Recipe(
        str(document.get("name", "recipe")), _paths(document.get("inputs"), "inputs"), tuple(steps)
    )


def _step(number: int, item: Any) -> Step:
    verb, settings = (
        next(iter(item.items())) if isinstance(item, dict) and len(item) == 1 else (item, None)
    )
    if not isinstance(verb, str) or not isinstance(settings, dict | None):
        raise RecipeError(
            f"stage {number} must be one `verb: settings` pair, not {short(item)}",
            "write each stage as `- verb: {key: value}`",
        )
    settings = dict(settings or {})
    name = settings.pop("name", default_name(verb))
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w-]*", name):
        raise RecipeError(
            f"stage {number} has the name {short(name)}",
            "a name becomes a folder: take letters, digits, _ and -",
        )
    inputs = _paths(settings.pop("input", None), f"{name}.input")
    keep = _keep(settings.pop("keep_documents", None), name)
    return Step(verb, name, inputs, settings, keep)


def check_references(recipe: Recipe) -> None:
    """Raises RecipeError if a step reads itself or a later step.

    An unknown name is no error here. If a stage runs alone, the name is a folder beside its own. A
    run of the whole recipe refuses it.
    """
    names = [step.name for step in recipe.steps]
    for place, step in enumerate(recipe.steps):
        for name in (*named_steps(step.inputs), *named_steps(step.settings)):
            if name in names[place:]:
                which = "itself" if name == step.name else f"the later step {name}"
                raise RecipeError(f"{step.name} reads {which}", "name a step that comes before it")


def named_steps(settings: Any) -> Iterator[str]:
    """The names of steps in settings, from strings `step:NAME/...`."""
    return (
        text.removeprefix("step:").partition("/")[0]
        for text in texts(settings)
        if text.startswith("step:")
    )


def texts(settings: Any) -> Iterator[str]:
    """All strings among the values of settings, nested values too."""
    if isinstance(settings, Mapping):
        settings = list(settings.values())
    if isinstance(settings, (list, tuple)):
        for item in settings:
            yield from texts(item)
    elif isinstance(settings, str):
        yield settings


def prepared(recipe: Recipe | str, assignments: list[str], inputs: tuple[str, ...]) -> Recipe:
    """The recipe, or the one at this path, with `--set` applied. inputs: in place of its own.

    Raises RecipeError.
    """
    found = override(load_recipe(recipe) if isinstance(recipe, str) else recipe, assignments)
    return replace(found, inputs=inputs or found.inputs)


def override(recipe: Recipe, assignments: list[str]) -> Recipe:
    """The recipe with each `--set step.key=value` applied. Dots join nested keys. Values are YAML.

    Raises RecipeError for an unknown step.
    """
    steps = {step.name: step for step in recipe.steps}
    for assignment in assignments:
        (name, *keys), value = read_assignment(assignment, "step.key=value")
        if name not in steps:
            raise RecipeError(
                f"--set {assignment}: there is no step {name!r}", nearest(name, steps)
            )
        step = steps[name]
        if keys == ["input"]:
            steps[name] = replace(step, inputs=_paths(value, f"{name}.input"))
        elif keys == ["keep_documents"]:
            steps[name] = replace(step, keep_documents=_keep(value, name))
        else:
            steps[name] = replace(step, settings=assigned(step.settings, keys, value))
    return Recipe(recipe.name, recipe.inputs, tuple(steps.values()))


def step_alone(
    verb: str, path: str | None, assignments: list[str], name: str | None = None
) -> Step:
    """The step of a verb that runs alone, with `--set` applied.

    path: a recipe with the step's settings. name: the step's name, needed if the recipe has several
    steps of the verb. An assignment may begin with the verb, as `--help` shows it, in place of the
    step's name, unless another step has that name.
    """
    if name and not path:
        raise RecipeError("--step chooses a step of a recipe", "name the recipe with --config")
    step = Step(verb, verb)
    if path:
        recipe = load_recipe(path)
        step = recipe.step(verb, name)
        if verb not in {each.name for each in recipe.steps}:
            assignments = [
                step.name + text.removeprefix(verb) if text.startswith(f"{verb}.") else text
                for text in assignments
            ]
    return override(Recipe(verb, (), (step,)), assignments).steps[0]


def build_stage(step: Step, folder_of: Callable[[str], str]) -> Any:
    """The step's settings object. folder_of: name of an earlier step -> its folder.

    Raises RecipeError for unknown keys and wrong values. It names the step, the key and what to do.
    """
    resolved = resolve_references(dict(step.settings), folder_of)
    return build_settings(stage_class(step.verb), resolved, step.name)


def resolve_references(value: Any, folder_of: Callable[[str], str]) -> Any:
    """`value` with every `step:`, `package:` and `python:` string replaced by a path."""
    if isinstance(value, dict):
        return {key: resolve_references(item, folder_of) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [resolve_references(item, folder_of) for item in value]
    if not isinstance(value, str):
        return value
    if value.startswith("step:"):
        name, _, inner = value.removeprefix("step:").partition("/")
        return storage.join(folder_of(name), inner)
    return resolve_data(value)


def resolve_data(path: str) -> str:
    """The path of data in corpusmill (`package:`) or in an installed package (`python:`).

    Other paths stay as they are.
    """
    if path.startswith("package:"):
        folder, _, inner = path.removeprefix("package:").partition("/")
        if folder not in DATA_FOLDERS:
            raise RecipeError(
                f"{path}: corpusmill has no data folder {folder!r}",
                f"use {', '.join(DATA_FOLDERS)}",
            )
        return str(package_file(folder, inner))
    if path.startswith("python:"):
        package, _, inner = path.removeprefix("python:").partition("/")
        try:
            spec = importlib.util.find_spec(package)
        except (ModuleNotFoundError, ValueError):
            spec = None
        if spec is None or not spec.submodule_search_locations:
            raise RecipeError(
                f"{path}: the Python package {package} is not installed",
                f"pip install {package.replace('_', '-')}",
            )
        return os.path.join(next(iter(spec.submodule_search_locations)), inner)
    return path


def _keep(value: Any, name: str) -> bool | None:
    if not isinstance(value, bool | None):
        raise RecipeError(f"{name}.keep_documents is {short(value)}", "write true or false")
    return value


def _paths(value: Any, key: str) -> tuple[str, ...]:
    """The paths under `key`. Empty for null.

    Raises RecipeError unless `value` is a path or a list of paths.
    """
    items = [value] if isinstance(value, str) else value or ()
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise RecipeError(f"{key} is {short(value)}", "wanted: a path, a glob or a list of them")
    return tuple(items)
