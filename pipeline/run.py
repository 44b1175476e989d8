"""Run a recipe, or one of its steps alone: the same path for both.

Consecutive map stages of a recipe become one fused step whose folder bears the last one's name.
"""

import dataclasses
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests import storage
from manifests.errors import RecipeError, StorageError, nearest
from manifests.manifest import Manifest, Parent, has_manifest, read_manifest
from manifests.storage import Artifact
from pipeline.catalogue import STAGES, stage_class
from pipeline.claim import refuse_other
from pipeline.execute import Job, execute
from pipeline.fused import Fused
from pipeline.inputs import expand_inputs
from pipeline.recipe import Recipe, Step, build_stage, check_references, named_steps, resolve_data, texts
from pipeline.runner import Runner
from stages.contract import Inputs, MapStage


@dataclass(frozen=True)
class Group:
    """Steps that run as one: a single global stage, or consecutive map stages."""

    steps: tuple[Step, ...]

    @property
    def name(self) -> str:
        return self.steps[-1].name


def run_recipe(
    recipe: Recipe, output: str, runner: Runner, on_done: Callable[[str, Manifest], None], replace: bool = False
) -> list[Manifest]:
    """Run every step into `<output>/<step>/`. on_done is told each folder and manifest as it is finished. replace: as for run_step.

    Everything that can be checked is checked before the first document is read.
    """
    check_references(recipe)
    output = storage.absolute(output)
    _refuse_unwritable(output)
    folder_of = _folder_of(recipe, output)
    groups = list(_groups(recipe))
    for step in recipe.steps:
        stage = build_stage(step, folder_of)
        named = {} if isinstance(stage, MapStage) else stage.named_inputs()
        for path in (*(_resolve(path, folder_of) for path in step.inputs), *itertools.chain(*named.values())):
            if not storage.absolute(path).startswith(f"{output}/"):  # what this run makes is not there yet
                storage.expand([path])
        if not any(named_steps(step.settings)):
            stage.depends_on()
    for group in groups:
        job = _job(group, storage.join(output, group.name), folder_of, replace)
        refuse_other(job.begun(), replace)
    manifests = []
    previous: str | None = None
    for group in groups:
        folder = storage.join(output, group.name)
        default = (previous,) if previous else tuple(resolve_data(path) for path in recipe.inputs)
        manifest = run_group(group, default, folder, folder_of, runner, replace)
        on_done(folder, manifest)
        manifests.append(manifest)
        if STAGES[group.steps[-1].verb].passes_on:
            previous = folder
    return manifests


def run_group(
    group: Group,
    default_inputs: tuple[str, ...],
    folder: str,
    folder_of: Callable[[str], str],
    runner: Runner,
    replace: bool,
) -> Manifest:
    """Run one group into `folder`, reading its own inputs or else `default_inputs`."""
    job = _job(group, folder, folder_of, replace)
    refuse_other(job.begun(), replace)
    first = group.steps[0]
    patterns = tuple(_resolve(path, folder_of) for path in first.inputs) or default_inputs
    named_patterns = job.stage.named_inputs()
    if not STAGES[first.verb].reads_previous:
        if first.inputs:
            raise RecipeError(
                f"{first.name} has no main input", f"name its inputs in its settings: {', '.join(named_patterns)}"
            )
        patterns = ()
    elif not patterns:
        raise RecipeError(f"{first.name} has no input", "give --input, or `input:` or `inputs:` in the recipe")
    documents, parents = expand_inputs(patterns, folder, runner, getattr(job.stage, "reads", "records"))
    named: dict[str, tuple[Artifact, ...]] = {}
    all_parents: list[Parent] = list(parents)
    for name, paths in named_patterns.items():
        named[name], more = expand_inputs(paths, folder, runner)
        all_parents += [parent for parent in more if parent not in all_parents]
    for step in group.steps:
        settings = dict(step.settings)
        folders = [*map(folder_of, sorted(set(named_steps(settings)))), *sorted(set(_stages_named(settings)))]
        all_parents += [parent for parent in map(_parent, folders) if parent not in all_parents]
    job = dataclasses.replace(job, inputs=Inputs(folder, documents, named), parents=tuple(all_parents))
    return execute(job, runner)


def _job(group: Group, folder: str, folder_of: Callable[[str], str], replace: bool) -> Job:
    """The group's job, without its inputs."""
    stages = tuple(build_stage(step, folder_of) for step in group.steps)
    names = tuple(step.name for step in group.steps)
    stage: Any = Fused(stages, names) if isinstance(stages[0], MapStage) else stages[0]
    return Job(
        stage=stage,
        names=names,
        verbs=tuple(step.verb for step in group.steps),
        config={step.name: dict(step.settings) for step in group.steps},
        inputs=Inputs(folder),
        replace=replace,
    )


def run_step(step: Step, inputs: tuple[str, ...], output: str, runner: Runner, replace: bool = False) -> Manifest:
    """Run one stage by itself into `output`; `step:NAME` in its settings means the folder NAME beside `output`.

    replace: whether finished work of other settings or inputs may go; without it such a folder is refused.
    """
    folder = storage.absolute(output)
    _refuse_unwritable(folder)
    beside = folder.rsplit("/", 1)[0]
    step = Step(step.verb, step.name, inputs or step.inputs, step.settings)
    return run_group(Group((step,)), (), folder, lambda name: storage.join(beside, name), runner, replace)


def _stages_named(settings: Any) -> Iterator[str]:
    """The finished stage folders that settings name a local file or folder of, e.g. `out/quality` by `out/quality/models/fasttext.bin`."""
    for text in texts(settings):
        if "/" in text and os.path.exists(storage.local(text)):
            above = [storage.absolute(text), *map(str, Path(storage.absolute(text)).parents)]
            stages = (folder for folder in above if has_manifest(folder) and storage.exists(f"{folder}/receipts"))
            yield from itertools.islice(stages, 1)


def _refuse_unwritable(folder: str) -> None:
    """Raises StorageError if a local folder cannot be made or written: nothing has been read yet."""
    if storage.is_remote(folder):
        return
    there = folder
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    if not os.path.isdir(there):
        raise StorageError(f"{there} is no folder", "choose another --output")
    if not os.access(there, os.W_OK | os.X_OK):
        raise StorageError(f"{there} may not be written", "mend its permissions or choose another --output")


def _parent(folder: str) -> Parent:
    return Parent(folder, read_manifest(folder).digest)


def _groups(recipe: Recipe) -> Iterator[Group]:
    """Map stages that follow each other are one group, which ends where another step refers to: that folder has to be there."""
    referred = {name for step in recipe.steps for name in (*named_steps(step.settings), *named_steps(step.inputs))}
    waiting: list[Step] = []
    for step in recipe.steps:
        fits = hasattr(stage_class(step.verb), "apply")
        if waiting and (not fits or step.inputs):
            yield Group(tuple(waiting))
            waiting = []
        if fits:
            waiting.append(step)
        else:
            yield Group((step,))
        if waiting and step.name in referred:
            yield Group(tuple(waiting))
            waiting = []
    if waiting:
        yield Group(tuple(waiting))


def _folder_of(recipe: Recipe, output: str) -> Callable[[str], str]:
    grouped = {step.name: group.name for group in _groups(recipe) for step in group.steps}

    def folder_of(name: str) -> str:
        if name not in grouped:
            raise RecipeError(f"step:{name} names no step of the recipe", nearest(name, grouped, "the steps are"))
        return storage.join(output, grouped[name])

    return folder_of


def _resolve(path: str, folder_of: Callable[[str], str]) -> str:
    if path.startswith("step:"):
        name, _, inner = path.removeprefix("step:").partition("/")
        return storage.join(folder_of(name), inner)
    return resolve_data(path)
