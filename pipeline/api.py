"""Running recipes and stages from a program, with the words of the command line: what `corpusmill.run` and its like are."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from corpusmill.manifests.manifest import Manifest, read_manifest
from corpusmill.manifests.shard import read_parquet
from corpusmill.pipeline.placement import Placement, open_runner
from corpusmill.pipeline.recipe import Recipe, Step, load_recipe, override
from corpusmill.pipeline.run import run_recipe, run_step


def run(
    recipe: Recipe | str,
    output: str,
    *,
    inputs: Iterable[str] = (),
    assignments: Iterable[str] = (),
    runner: str = "auto",
    ray_address: str | None = None,
    workers: int | None = None,
    replace: bool = False,
    on_done: Callable[[str, Manifest], None] | None = None,
) -> list[Manifest]:
    """Run a whole recipe below the folder `output`; the same call resumes an interrupted run. Returns a manifest for each step.

    recipe: as loaded, or its path. inputs: in place of the recipe's own: stage folders, files, globs. assignments: as after `--set`, e.g.
    `filter.families=[c4]`. runner: `auto`, `inline` (in this process) or `ray`. ray_address, workers: as on the command line.
    replace: whether finished work of other settings may go. on_done: told each folder and manifest as it is finished.

    Raises CorpusmillError. Shards that failed are in `Manifest.quarantined`.
    """
    found = load_recipe(recipe) if isinstance(recipe, str) else recipe
    found = override(found, list(assignments))
    found = dataclasses.replace(found, inputs=_patterns(inputs) or found.inputs)
    with open_runner(output, Placement(runner, ray_address, workers)) as work:
        return run_recipe(
            found, output, work, on_done or (lambda _folder, _manifest: None), replace
        )


def run_stage(
    verb: str,
    output: str,
    *,
    inputs: Iterable[str] = (),
    settings: Mapping[str, Any] | None = None,
    runner: str = "auto",
    ray_address: str | None = None,
    workers: int | None = None,
    replace: bool = False,
) -> Manifest:
    """Run one stage by itself into the folder `output`. settings: as in a recipe, e.g. {"families": ["c4"]}; the rest is as for `run`."""
    step = Step(verb, verb, (), dict(settings or {}))
    with open_runner(output, Placement(runner, ray_address, workers)) as work:
        return run_step(step, _patterns(inputs), output, work, replace)


def documents(
    folder: str, columns: Sequence[str] | None = None, *, excluded: bool = False
) -> Iterator[pa.Table]:
    """A finished stage's documents as Arrow tables, one for each row group, in the order of its shards.

    columns: which of them; None is all. excluded: what the stage dropped, with `stage`, `reason` and `detail`, in place of what it kept.
    Raises InputError if the folder holds no finished stage, or a column is not there.
    """
    manifest = read_manifest(folder)
    for artifact in manifest.documents("excluded") if excluded else manifest.documents():
        yield from read_parquet(artifact, list(columns) if columns is not None else None)


def _patterns(inputs: Iterable[str]) -> tuple[str, ...]:
    return (inputs,) if isinstance(inputs, str) else tuple(inputs)
