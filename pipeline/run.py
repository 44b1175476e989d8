"""Run a recipe, or one stage alone: plan every group, check them all, then run them in order."""

import dataclasses
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpusmill.manifests import storage
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.listed import Listed, list_input
from corpusmill.manifests.manifest import Manifest, Parent
from corpusmill.manifests.schema import LINKED
from corpusmill.manifests.stage_folder import StageFolder
from corpusmill.manifests.storage import Artifact
from corpusmill.pipeline import display
from corpusmill.pipeline.catalogue import entry_of
from corpusmill.pipeline.claim import refuse_other
from corpusmill.pipeline.execute import Job, execute
from corpusmill.pipeline.fused import Fused
from corpusmill.pipeline.groups import FolderOf, Group, folders_beside, folders_of, groups_of
from corpusmill.pipeline.inputs import expand_inputs
from corpusmill.pipeline.kernels import VERBS, ensure_compiled
from corpusmill.pipeline.lease import refuse_held
from corpusmill.pipeline.output_folder import (
    named_folder,
    refuse_inside,
    refuse_output,
    refuse_unwritable,
)
from corpusmill.pipeline.recipe import (
    Recipe,
    Step,
    build_stage,
    check_references,
    named_steps,
    resolve_data,
    resolve_references,
    texts,
)
from corpusmill.pipeline.runner import Runner
from corpusmill.stages.columns.linked import refuse_to_edit_pairs
from corpusmill.stages.contract import Account, Inputs, MapStage


@dataclass(frozen=True)
class Planned:
    """A group that is ready to run.

    job: without its inputs. patterns: its main input. named: name -> patterns of a further input.
    listed: pattern -> what it names, for inputs that exist before the run.
    """

    group: Group
    job: Job
    patterns: tuple[str, ...]
    named: dict[str, tuple[str, ...]]
    folder_of: FolderOf
    listed: dict[str, Listed] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        return self.job.inputs.folder

    @property
    def reads(self) -> tuple[str, ...]:
        return (*self.patterns, *itertools.chain(*self.named.values()))


def run_recipe(
    recipe: Recipe,
    output: str,
    runner: Runner,
    on_done: Callable[[str, Manifest], None],
    replace: bool = False,
) -> list[Manifest]:
    """Run every step; each writes `<output>/<step>/`.

    All possible checks come before the first document is read. on_done: called with the folder and
    the manifest of each finished step. replace: as for run_step.
    """
    check_references(recipe)
    output = named_folder(output)
    refuse_unwritable(output)
    refuse_inside(storage.join(output, recipe.steps[0].name))
    groups = tuple(groups_of(recipe))
    folder_of = folders_of(groups, output)
    default = given = tuple(map(resolve_data, recipe.inputs))
    planned = []
    for group in groups:
        planned.append(_plan(group, default, storage.join(output, group.name), folder_of, replace))
        if entry_of(group.steps[-1].verb).passes_on:
            default = (planned[-1].folder,)
    if given and not any(given == item.patterns for item in planned):
        raise RecipeError(
            f"no step reads the recipe's input ({', '.join(given)}): each step has its own or "
            "needs none",
            "remove it, or remove the `input:` of the step that should read it",
        )
    _refuse_edited_pairs(planned)
    display.current().say(f"{recipe.name}: checking settings, models and inputs")
    for item in planned:
        _check(item, runner.here, [other.folder for other in planned])
    for before, item in itertools.permutations(planned, 2):
        if before.folder in item.patterns and not any(named_steps(before.group.steps[-1].settings)):
            doubt = item.job.stage.fused[0].doubt_after(before.job.stage.fused[-1])
            if doubt:
                display.current().say(f"{item.group.steps[0].name}: {doubt}")
    manifests = []
    for item in planned:
        manifests.append(_run(item, runner))
        on_done(item.folder, manifests[-1])
    return manifests


def run_step(
    step: Step, inputs: tuple[str, ...], output: str, runner: Runner, replace: bool = False
) -> Manifest:
    """Run one stage alone and write `output`.

    `step:NAME` in its settings means the folder NAME beside `output`. replace: whether finished
    work of other settings or inputs may be removed. Without it, such a folder is an error.
    """
    folder = named_folder(output)
    step = dataclasses.replace(step, inputs=inputs or step.inputs)
    planned = _plan(Group((step,)), (), folder, folders_beside(folder), replace)
    display.current().say(f"{step.name}: checking settings, models and inputs")
    _check(planned, runner.here)
    return _run(planned, runner)


def _plan(
    group: Group, default: tuple[str, ...], folder: str, folder_of: FolderOf, replace: bool
) -> Planned:
    """The group, ready to run. It reads its own inputs, or `default` if it has none.

    Raises RecipeError if settings cannot be used.
    """
    stages = tuple(build_stage(step, folder_of) for step in group.steps)
    names = tuple(step.name for step in group.steps)
    stage: Any = (
        Fused(stages=stages, names=names, keeps_batches=group.hands_on)
        if isinstance(stages[0], MapStage)
        else stages[0]
    )
    first, named = group.steps[0], dict(stage.named_inputs())
    patterns = tuple(resolve_references(path, folder_of) for path in first.inputs) or default
    if not entry_of(first.verb).reads_previous:
        if first.inputs:
            raise RecipeError(
                f"{first.name} has no main input",
                f"name its inputs in its settings: {', '.join(named)}",
            )
        patterns = ()
    elif not patterns:
        raise RecipeError(
            f"{first.name} has no input", "give --input, or `input:` or `inputs:` in the recipe"
        )
    job = Job(
        stage=stage,
        names=names,
        verbs=tuple(step.verb for step in group.steps),
        config={step.name: dict(step.settings) for step in group.steps},
        inputs=Inputs(folder),
        replace=replace,
    )
    return Planned(group, job, patterns, named, folder_of)


def _refuse_edited_pairs(planned: list[Planned]) -> None:
    """Raises RecipeError if a step would edit texts of the pairs that come from `link`."""
    folders: set[str] = set()
    for item in planned:
        pairs = not folders.isdisjoint(item.patterns)
        for step, stage in zip(item.group.steps, item.job.stage.fused, strict=True):
            if pairs:
                refuse_to_edit_pairs(stage, step.name)
            # Where a row ends once, it keeps its columns. A sample of labels has its own.
            keeps = stage.account is Account.ONE_TO_ONE and entry_of(step.verb).passes_on
            pairs = LINKED in stage.adds() or (pairs and keeps)
        if pairs:
            folders.add(item.folder)


def _check(planned: Planned, here: bool, made: list[str] | None = None) -> None:
    """Raises CorpusmillError if the group cannot run, or may not write its folder.

    It also lists the inputs that exist now. here: all its work is done on this machine. made: the
    folders that the run itself makes.
    """
    job, there = planned.job, StageFolder(planned.folder)
    refuse_output(there, planned.reads, job.replace)
    refuse_held(planned.folder)
    refuse_other(job.started(), there, job.replace)
    for path in planned.reads:
        place = storage.absolute(path)
        if not any(place == folder or place.startswith(f"{folder}/") for folder in made or ()):
            planned.listed[path] = list_input(path)
    for step, stage in zip(planned.group.steps, job.stage.fused, strict=True):
        # Finished work may have been done on a machine with other devices.
        stage.refuse_early(here and not _is_finished(there))
        if not any(named_steps(step.settings)):
            stage.depends_on()


def _run(planned: Planned, runner: Runner) -> Manifest:
    job, folder = planned.job, planned.folder
    expanded = expand_inputs(
        planned.patterns,
        folder,
        runner,
        job.stage.reads,
        planned.listed,
        _format(job.stage.fused[0]),
    )
    named: dict[str, tuple[Artifact, ...]] = {}
    all_parents: list[Parent] = list(expanded.parents)
    left_out = dict(expanded.left_out)
    for name, paths in planned.named.items():
        source = getattr(job.stage, "sources", {}).get(name, job.stage)
        more = expand_inputs(paths, folder, runner, listed=planned.listed, format=_format(source))
        named[name] = more.artifacts
        all_parents += [parent for parent in more.parents if parent not in all_parents]
        left_out |= more.left_out
    for step in planned.group.steps:
        settings = dict(step.settings)
        folders = [
            *map(planned.folder_of, sorted(set(named_steps(settings)))),
            *sorted(set(_stages_named(settings))),
        ]
        all_parents += [parent for parent in map(_parent, folders) if parent not in all_parents]
    shown = display.current()
    if shown.shows and not VERBS.isdisjoint(job.verbs):
        ensure_compiled(shown.say)
    return execute(
        dataclasses.replace(
            job,
            inputs=Inputs(folder, expanded.artifacts, named),
            parents=tuple(all_parents),
            left_out=left_out,
        ),
        runner,
    )


def _format(reads: Any) -> str:
    """The format that the settings of a stage, or of a blend's source, read their files in."""
    return str(getattr(getattr(reads, "reader", None), "format", "auto"))


def _stages_named(settings: Any) -> Iterator[str]:
    """The finished stage folders that hold a local file or folder named in the settings.

    E.g. `out/quality`, if the settings name `out/quality/models/fasttext.bin`.
    """
    for text in texts(settings):
        if "/" in text and os.path.exists(storage.local(text)):
            above = [storage.absolute(text), *map(str, Path(storage.absolute(text)).parents)]
            stages = (path for path in above if _is_finished(StageFolder(path)))
            yield from itertools.islice(stages, 1)


def _is_finished(folder: StageFolder) -> bool:
    return folder.has_manifest and folder.has_receipts


def _parent(folder: str) -> Parent:
    return Parent(folder, StageFolder(folder).manifest.digest)
