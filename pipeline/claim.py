"""Whether a run may write into a stage's folder that already holds work.

A folder may hold a week of work. The same command always resumes there, also with more input, or
with inputs and models that were made again. A run with other settings, other software or fewer
inputs would remove finished work. It is refused before it changes anything, unless `--replace` is
given.
"""

import os
from collections.abc import Iterator
from contextlib import suppress

from corpusmill.manifests import finding, storage
from corpusmill.manifests.dataset_card import write_card
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.manifest import MANIFEST, STARTED, Manifest, write_manifest
from corpusmill.manifests.stage_folder import StageFolder
from corpusmill.pipeline.lease import LEASE

SHOWN = 3


def refuse_other(today: Manifest, there: StageFolder, replace: bool) -> None:
    """Raises CorpusmillError if the folder holds another stage's output.

    Also raises it, unless `replace`, if the folder holds work that this run would remove.
    today: this run's manifest, without outputs. If its inputs are not known yet, it has no parents.
    """
    before = there.claimed(replace)
    if before is None:
        return
    foreign = before.stages[-1] != today.stages[-1]
    found = [] if foreign else list(_differences(before, today))
    if not (foreign or (found and not replace)) or not there.has_finished_work:
        return
    if foreign:
        raise CorpusmillError(
            f"{today.folder} holds the output of {before.stages[-1]}, not of {today.stages[-1]}",
            "choose another --output",
        )
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    raise CorpusmillError(
        f"{today.folder} was made with other settings or inputs: {'; '.join(found[:SHOWN])}{more}",
        "choose another --output, or give --replace to write it again",
    )


def claim(today: Manifest, replace: bool) -> None:
    """Write this run's started file into the folder. Raises as `refuse_other` does.

    A manifest of another plan or of other inputs is removed, because its shards will be replaced. A
    manifest of this plan stays until a shard is done again (see `pipeline.task`).
    """
    there = StageFolder(today.folder)
    refuse_other(today, there, replace)
    before = there.claimed(replace)
    write_manifest(today, today.folder, STARTED)
    if before is None or _identity(before) != _identity(today):
        storage.remove(storage.join(today.folder, MANIFEST))


def abandon(folder: str) -> None:
    """Remove what a failed run made: empty folders, and the started file if no other file is left.

    If there is one, the started file stays. It says whose work that is, so that the same command
    goes on with it.
    """
    if StageFolder(folder).has_finished_work:
        return
    if not storage.is_remote(folder):
        _remove_empty_folders(storage.local(folder))
    ours = {storage.join(folder, STARTED), storage.join(folder, LEASE)}
    if ours.issuperset(finding.files_below(folder)):
        storage.remove(storage.join(folder, STARTED))


def _remove_empty_folders(folder: str) -> None:
    for path, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):  # it is not empty
            os.rmdir(path)


def finish(manifest: Manifest) -> None:
    """Write the manifest of a complete folder, and remove its started file.

    Raises CorpusmillError if another run began in the folder meanwhile.
    """
    started = StageFolder(manifest.folder).started
    if started is not None and _identity(started) != _identity(manifest):
        raise CorpusmillError(
            f"another run with other settings or inputs began in {manifest.folder} meanwhile",
            "run the same command again when the other run has ended",
        )
    write_card(manifest)
    write_manifest(manifest, manifest.folder)
    storage.remove(storage.join(manifest.folder, STARTED))


def _identity(manifest: Manifest) -> tuple[str, list[str]]:
    return manifest.plan_hash, [parent.digest for parent in manifest.parents]


def _differences(there: Manifest, today: Manifest) -> Iterator[str]:
    if there.stages != today.stages:
        yield f"its steps were {', '.join(there.stages)}, now {', '.join(today.stages)}"
    for name in sorted(there.software.keys() & today.software.keys()):
        if there.software[name] != today.software[name]:
            yield f"{name} was {there.software[name]}, is {today.software[name]}"
    was, now = there.settings, today.settings
    for key in sorted(key for key in {*was, *now} if not today.is_free(key)):
        old, new = (settings.get(key, "not set") for settings in (was, now))
        if old != new:
            yield f"{key} was {_shown(old)}, is {_shown(new)}"
    known = {name for parent in today.parents for name in (parent.path, parent.digest)}
    gone = [parent.path for parent in there.parents if not known & {parent.path, parent.digest}]
    if gone and today.parents:
        yield f"{len(gone)} of its inputs are not read any more ({min(gone)})"


def _shown(value: object) -> str:
    return "null" if value is None else str(value)
