"""Run recipes and stages from a program: `corpusmill.run`, `run_stage` and `documents`."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from corpusmill.manifests.manifest import Manifest, read_manifest
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.pipeline.catalogue import default_name
from corpusmill.pipeline.placement import Placement, open_runner
from corpusmill.pipeline.recipe import Recipe, Step, prepared
from corpusmill.pipeline.run import run_recipe, run_step

Path = str | os.PathLike[str]  # or a URL, as text
Paths = Path | Iterable[Path]


def run(
    recipe: Recipe | Path,
    output: Path,
    *,
    inputs: Paths = (),
    assignments: str | Iterable[str] = (),
    runner: str = "auto",
    ray_address: str | None = None,
    workers: int | None = None,
    ray_gpus: int = 0,
    replace: bool = False,
    on_done: Callable[[str, Manifest], None] | None = None,
) -> list[Manifest]:
    """Run a whole recipe below the folder `output`. The same call resumes an interrupted run.

    recipe: a loaded recipe, or its path.
    inputs: stage folders, files, globs. They replace the recipe's inputs.
    assignments: as after `--set`, e.g. `filter.families=[c4]`.
    runner: `auto`, `inline` (in this process) or `ray`.
    ray_address, workers, ray_gpus: as on the command line.
    replace: whether finished work of other settings may be removed.
    on_done: called with the folder and the manifest of each finished step.

    Returns one manifest for each group of steps that ran as one. Failed shards are in
    `Manifest.quarantined`. Raises CorpusmillError.
    """
    output = os.fspath(output)
    recipe = recipe if isinstance(recipe, Recipe) else os.fspath(recipe)
    changes = [assignments] if isinstance(assignments, str) else list(assignments)
    found = prepared(recipe, changes, _patterns(inputs))
    with open_runner(output, Placement(runner, ray_address, workers, ray_gpus)) as work:
        return run_recipe(
            found, output, work, on_done or (lambda _folder, _manifest: None), replace
        )


def run_stage(
    verb: str,
    output: Path,
    *,
    inputs: Paths = (),
    settings: Mapping[str, Any] | None = None,
    runner: str = "auto",
    ray_address: str | None = None,
    workers: int | None = None,
    ray_gpus: int = 0,
    replace: bool = False,
) -> Manifest:
    """Run one stage alone and write the folder `output`.

    verb: a shipped stage, or `module:Class` of your own. settings: as in a recipe, e.g.
    {"families": ["c4"]}. The others are as for `run`.
    """
    output = os.fspath(output)
    step = Step(verb, default_name(verb), (), dict(settings or {}))
    with open_runner(output, Placement(runner, ray_address, workers, ray_gpus)) as work:
        return run_step(step, _patterns(inputs), output, work, replace)


def documents(
    folder: Path, columns: Sequence[str] | None = None, *, excluded: bool = False
) -> Iterator[pa.Table]:
    """A finished stage's documents as Arrow tables, one for each row group, in the order of shards.

    columns: names of columns to read. None means all. excluded: read the excluded documents, which
    also have `stage`, `reason` and `detail`. Raises InputError if the folder holds no finished
    stage or a column is missing.
    """
    manifest = read_manifest(folder)
    for artifact in manifest.documents("excluded") if excluded else manifest.documents():
        yield from read_parquet(artifact, list(columns) if columns is not None else None)


def _patterns(inputs: Paths) -> tuple[str, ...]:
    several = (inputs,) if isinstance(inputs, str | os.PathLike) else inputs
    return tuple(os.fspath(path) for path in several)
