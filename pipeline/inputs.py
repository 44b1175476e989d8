"""From what the user names (stage folders, files, globs) to artifacts with digests, and the parents that the manifest will cite.

A stage's folder vouches for its shards: their digests come from its manifest. A raw file is hashed; the hashes are remembered in the
reading stage's folder by path, size and modification time, so that a resumed run does not read everything again.
"""

import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from manifests import storage
from manifests.errors import InputError
from manifests.manifest import Parent, has_manifest, read_manifest
from manifests.storage import Artifact

REMEMBERED = "work/inputs.json"


def expand_inputs(patterns: Iterable[str], folder: str) -> tuple[tuple[Artifact, ...], tuple[Parent, ...]]:
    """Artifacts to read and the parents they come from. Raises InputError where a pattern finds nothing."""
    artifacts: list[Artifact] = []
    parents: list[Parent] = []
    raw: list[str] = []
    for pattern in patterns:
        path = pattern.rstrip("/")
        if has_manifest(path):
            manifest = read_manifest(path)
            artifacts += manifest.documents() or manifest.outputs
            parents.append(Parent(absolute(path), manifest.digest))
            continue
        files = storage.expand([path])
        if any(name.endswith("/manifest.json") for name in files):
            raise InputError(f"{path} holds several stages", f"name one of them, e.g. {path}/filter")
        raw += files
    measured = _measure(sorted(set(raw)), folder)
    return tuple(artifacts + measured), (*parents, *(Parent(absolute(item.path), item.digest) for item in measured))


def absolute(path: str) -> str:
    return path if storage.is_remote(path) else os.path.abspath(storage.local(path))


def _measure(paths: list[str], folder: str) -> list[Artifact]:
    remembered = _remembered(folder)
    record: dict[str, list[object]] = {}

    def measure(path: str) -> Artifact:
        if storage.is_remote(path):
            return storage.artifact_of(path)
        stat = os.stat(storage.local(path))
        known = remembered.get(path)
        if known and known[:2] == [stat.st_size, stat.st_mtime_ns]:
            artifact = Artifact(path, str(known[2]), stat.st_size)
        else:
            artifact = storage.artifact_of(path)
        record[path] = [stat.st_size, stat.st_mtime_ns, artifact.digest]
        return artifact

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        artifacts = list(pool.map(measure, paths))
    if record and record != remembered:
        storage.write_bytes(
            storage.join(folder, REMEMBERED), (json.dumps({**remembered, **record}, sort_keys=True) + "\n").encode()
        )
    return artifacts


def _remembered(folder: str) -> dict[str, list[object]]:
    path = storage.join(folder, REMEMBERED)
    if not storage.exists(path):
        return {}
    try:
        return dict(json.loads(storage.read_bytes(path)))
    except ValueError:
        return {}  # only a shortcut: hash again
