"""What a stage's folder was begun for, and whether today's run may go on in it.

What lies in a folder can be a week of work. The same command always goes on in it: with more input, with input or models made anew, on
another day. A run that would throw finished work away, because its settings, its software or its inputs are others, is refused before
anything is touched, unless it was told to replace.
"""

from collections.abc import Iterator

from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError, InputError
from corpusmill.manifests.manifest import (
    MANIFEST,
    STARTED,
    Manifest,
    OtherVersion,
    has_manifest,
    read_manifest,
    write_manifest,
)
from corpusmill.manifests.receipt import has_done

SHOWN = 3


def refuse_other(today: Manifest, replace: bool) -> None:
    """Raises CorpusmillError if the folder holds another stage's output; or, unless `replace`, work that today's run would throw away.

    today: without outputs yet; where its inputs are not known yet, without parents.
    """
    there = _read(today.folder, replace)
    if there is None:
        return
    foreign = there.stages[-1] != today.stages[-1]
    found = [] if foreign else list(_differences(there, today))
    if not (foreign or (found and not replace)) or not (
        has_manifest(today.folder) or has_done(today.folder)
    ):
        return
    if foreign:
        raise CorpusmillError(
            f"{today.folder} holds the output of {there.stages[-1]}, not of {today.stages[-1]}",
            "choose another --output",
        )
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    raise CorpusmillError(
        f"{today.folder} was made otherwise: {'; '.join(found[:SHOWN])}{more}",
        "choose another --output, or give --replace to make it anew",
    )


def claim(today: Manifest, replace: bool) -> None:
    """Make the folder today's, or raise as `refuse_other` does. A manifest of another plan or of other inputs goes: while shards are
    replaced it must vouch for none of them. (One of this plan goes when the first shard is made anew, see `pipeline.task`.)"""
    refuse_other(today, replace)
    there = _read(today.folder, replace)
    write_manifest(today, today.folder, STARTED)
    if there is None or _identity(there) != _identity(today):
        storage.remove(storage.join(today.folder, MANIFEST))


def abandon(folder: str) -> None:
    """Nothing came of a stage that was begun: where no shard is done, its folder is no stage's folder."""
    if not has_manifest(folder) and not has_done(folder):
        storage.remove(storage.join(folder, STARTED))


def finish(manifest: Manifest) -> None:
    """The folder is complete, and says so from now on. Raises CorpusmillError if another run has begun it anew meanwhile."""
    started = storage.join(manifest.folder, STARTED)
    if storage.exists(started) and _identity(read_manifest(manifest.folder, STARTED)) != _identity(
        manifest
    ):
        raise CorpusmillError(
            f"another run with other settings or inputs began in {manifest.folder} meanwhile",
            "let one of the two run alone: run the same command again when the other has ended",
        )
    write_manifest(manifest, manifest.folder)
    storage.remove(started)


def _identity(manifest: Manifest) -> tuple[str, list[str]]:
    return manifest.plan_hash, [parent.digest for parent in manifest.parents]


def _read(folder: str, replace: bool) -> Manifest | None:
    """What the folder's manifest says, or what it was begun for. One that is damaged vouches for nothing.

    Raises OtherVersion where another version of corpusmill wrote it, unless `replace`.
    """
    for name in (MANIFEST, STARTED):
        if storage.exists(storage.join(folder, name)):
            try:
                return read_manifest(folder, name)
            except OtherVersion:
                if not replace:
                    raise
            except InputError:
                continue
    return None


def _differences(there: Manifest, today: Manifest) -> Iterator[str]:
    if there.stages != today.stages:
        yield f"its steps were {', '.join(there.stages)}, now {', '.join(today.stages)}"
    for name in sorted(there.software.keys() & today.software.keys()):
        if there.software[name] != today.software[name]:
            yield f"{name} was {there.software[name]}, is {today.software[name]}"
    was, now = there.settings, today.settings
    for key in sorted({*was, *now} - {*today.free}):
        old, new = (settings.get(key, "not set") for settings in (was, now))
        if old != new:
            yield f"{key} was {_shown(old)}, is {_shown(new)}"
    known = {name for parent in today.parents for name in (parent.path, parent.digest)}
    gone = [parent.path for parent in there.parents if not known & {parent.path, parent.digest}]
    if gone and today.parents:
        yield f"{len(gone)} of its inputs are not read any more ({min(gone)})"


def _shown(value: object) -> str:
    return "null" if value is None else str(value)
