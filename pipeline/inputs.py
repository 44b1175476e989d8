"""From what the user names (stage folders, files, globs) to artifacts with digests, and the parents that the manifest will cite.

A stage's folder vouches for its shards: their digests come from its manifest. A raw file is hashed; the hashes are remembered in the
reading stage's folder by path, size and modification time, so that a resumed run does not read everything again.

A folder without a manifest is a folder of raw files, even one with `documents/` in it: documents copied from somewhere are as good as any
others. One that holds what a stage dropped, too, is refused: that would come in again.
"""

import json
import os
from collections.abc import Iterable

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.manifest import STARTED, Parent, has_manifest, read_manifest
from corpusmill.manifests.storage import Artifact
from corpusmill.pipeline.output_folder import refuse_files
from corpusmill.pipeline.runner import Runner

REMEMBERED = "work/inputs.json"
_FORMATS = {"warc": "a WARC file", "arc": "an ARC file", "jsonl": "JSON lines", "text": "text"}
_MENDS = {
    "documents": "run `corpusmill extract` on it first and give its output folder",
    "tokens": "give the output folder of pack",
}


def expand_inputs(
    patterns: Iterable[str], folder: str, runner: Runner, reads: str = "records"
) -> tuple[tuple[Artifact, ...], tuple[Parent, ...]]:
    """Artifacts to read and the parents they come from. Raw files are hashed where the runner's workers are.

    reads: as in `stages.contract`. Raises InputError where a pattern finds nothing, or what is not read so, before any file is hashed.
    """
    artifacts: list[Artifact] = []
    parents: list[Parent] = []
    raw: list[str] = []
    for pattern in patterns:
        path = pattern.rstrip("/")
        if has_manifest(path):
            manifest = read_manifest(path)
            artifacts += manifest.documents() or manifest.outputs
            parents.append(Parent(storage.absolute(path), manifest.digest))
            continue
        files = storage.expand([path])
        if any(name.endswith("/manifest.json") for name in files):
            raise InputError(
                f"{path} holds several stages", f"name one of them, e.g. {path}/filter"
            )
        if any(
            "/receipts/" in name.removeprefix(path) or name == storage.join(path, STARTED)
            for name in files
        ):
            raise InputError(
                f"{path} is not finished: it has no manifest yet", "run its command again first"
            )
        if {"documents", "excluded"} <= {
            name.removeprefix(path).lstrip("/").split("/")[0] for name in files
        }:
            raise InputError(
                f"{path} looks like a stage's output but has no manifest.json and no receipts",
                f"copy them too, or name what is to be read: {path}/documents",
            )
        raw += map(
            storage.absolute, files
        )  # ids come from paths: however a file is named, it is the same
    refuse_files(folder, raw)
    if reads in _MENDS:
        _refuse_raw(raw, reads)
    measured = _measure(sorted(set(raw)), folder, runner)
    return tuple(artifacts + measured), (
        *parents,
        *(Parent(storage.absolute(item.path), item.digest) for item in measured),
    )


def _refuse_raw(paths: list[str], reads: str) -> None:
    """Raises InputError for a file that is no Parquet. What a name promises is not looked into: damage costs one shard, not the run."""
    from corpusmill.stages.readers import format_of

    for path in paths:
        if path.endswith(".parquet"):
            continue
        try:
            found = format_of(path)
        except InputError:
            found = "auto"
        if found != "parquet":
            raise InputError(
                f"{path} is {_FORMATS.get(found, 'something else')}, not Parquet", _MENDS[reads]
            )


def _measure(paths: list[str], folder: str, runner: Runner) -> list[Artifact]:
    """The files as artifacts. Only those that are new or have changed since they were last hashed are read."""
    remembered = _remembered(folder)
    stats = {path: os.stat(storage.local(path)) for path in paths if not storage.is_remote(path)}
    found = {
        path: Artifact(path, str(known[2]), stat.st_size)
        for path, stat in stats.items()
        if (known := remembered.get(path)) and known[:2] == [stat.st_size, stat.st_mtime_ns]
    }
    unknown = [path for path in paths if path not in found]
    found.update(zip(unknown, runner.map(storage.artifact_of, unknown), strict=True))
    record: dict[str, list[object]] = {
        path: [stat.st_size, stat.st_mtime_ns, found[path].digest] for path, stat in stats.items()
    }
    if record and record != remembered:
        storage.write_bytes(
            storage.join(folder, REMEMBERED),
            (json.dumps({**remembered, **record}, sort_keys=True) + "\n").encode(),
        )
    return [found[path] for path in paths]


def _remembered(folder: str) -> dict[str, list[object]]:
    path = storage.join(folder, REMEMBERED)
    if not storage.exists(path):
        return {}
    try:
        return dict(json.loads(storage.read_bytes(path)))
    except ValueError:
        return {}  # only a shortcut: hash again
