"""Stage manifests: one `manifest.json` for each stage. It names the manifests that the stage read.

A manifest holds the stage's config and versions, the shards that it wrote, its counts, and its
parents. A parent is what the stage read: a path and a digest. The parents lead from a trainer's
checkpoint back to the WARC files. Times (`timing`, `date`) are no part of the digest. So two runs
with the same result have the same manifest digest.
"""

import hashlib
import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.storage import Artifact

MANIFEST = "manifest.json"
# A manifest without outputs: the plan of an unfinished stage.
STARTED = "work/started.json"


class OtherVersion(InputError):
    """Another version of corpusmill wrote the manifest, with keys that this one does not know."""


@dataclass
class Parent:
    """What a stage read.

    path: another stage's folder, or a raw file. digest: of the folder's manifest, or of the file.
    """

    path: str
    digest: str


@dataclass
class Work:
    """What one run did for a stage.

    made, reused: numbers of shards over all passes. seconds: worker time for the shards made.
    """

    made: int = 0
    reused: int = 0
    seconds: float = 0.0


@dataclass
class Manifest:
    """What a stage's folder holds, and from what it was made.

    stages: names of the steps. There are several if map stages ran as one task.
    verbs: the verb of each step.
    software: name -> version of the software that decides the output bytes.
    account: what becomes of a row (`stages.contract.Account`).
    unit: what the accounts count.
    left_out: the files of input folders that were no data: for each reason, how many, and the paths
    of some. They are no part of the digest.
    measures: what the stage measured of its output, by name, such as `diversity`. It is no part of
    the digest.
    free: the settings that decide no output byte, as step.key. Their values are no part of the
    digest.
    date, command: when the run that wrote the manifest began (ISO 8601, UTC), and its command line,
    which is empty if another program ran it. They are no part of the digest.
    folder: where the manifest is read or written. It is no part of the file.
    """

    stages: list[str]
    software: dict[str, str]
    config: dict[str, Any]
    plan_hash: str
    parents: list[Parent] = field(default_factory=list)
    outputs: list[Artifact] = field(default_factory=list)
    totals: list[Counts] = field(default_factory=list)
    shards: int = 0
    quarantined: list[dict[str, str]] = field(default_factory=list)
    account: str = "one_to_one"
    unit: str = "documents"
    timing: dict[str, float] = field(default_factory=dict)
    verbs: list[str] = field(default_factory=list)
    free: list[str] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)
    measures: dict[str, Any] = field(default_factory=dict)
    date: str = field(default="", compare=False)
    command: str = field(default="", compare=False)
    folder: str = ""
    work: Work = field(default_factory=Work, compare=False)  # never written

    @property
    def conserved(self) -> bool:
        """Whether every row that the stage read is accounted for."""
        return all(counts.complete for counts in self.totals)

    @property
    def settings(self) -> dict[str, Any]:
        """step.key -> value of each setting that decides the output. Dots join nested keys."""
        return {key: value for key, value in _flat(self.config) if not self.is_free(key)}

    def is_free(self, key: str) -> bool:
        """Whether a setting, or one that it lies in, is among `free`."""
        return any(key == free or key.startswith(f"{free}.") for free in self.free)

    @property
    def digest(self) -> str:
        record = asdict(self)
        record["config"] = self.settings
        del record["measures"]
        del record["timing"], record["folder"], record["free"], record["work"], record["left_out"]
        del record["date"], record["command"]
        for counts in record["totals"]:
            del counts["seconds"]
        for artifact in record["outputs"]:
            artifact.pop("path")
        for parent in record["parents"]:
            parent.pop("path")
        return hashlib.sha256(
            json.dumps(record, sort_keys=True, ensure_ascii=False).encode()
        ).hexdigest()

    def documents(self, prefix: str = "documents") -> list[Artifact]:
        """The outputs below `<folder>/<prefix>/`. The next stage reads those of `documents`."""
        below = storage.join(self.folder, prefix) + "/"
        return [output for output in self.outputs if output.path.startswith(below)]


_FIELDS = {item.name for item in fields(Manifest)} - {"folder", "work"}
MOST_NAMED = 20  # files that are left out, for each reason
_REQUIRED = {"stages", "software", "config", "digest"}


def begun_now() -> tuple[str, str]:
    """The date now, and the command line of this process; empty if it is not ours."""
    name = os.path.basename(sys.argv[0])
    ours = name in ("corpusmill", "cli.py")
    command = shlex.join(["corpusmill", *sys.argv[1:]]) if ours else ""
    return datetime.now(UTC).isoformat(timespec="milliseconds"), command


def write_manifest(manifest: Manifest, folder: str, name: str = MANIFEST) -> Artifact:
    record = asdict(manifest)
    del record["folder"], record["work"]
    for artifact in record["outputs"]:
        artifact["path"] = artifact["path"].removeprefix(folder.rstrip("/") + "/")
    for parent in record["parents"]:
        parent["path"] = _relative_to(parent["path"], folder)
    record["digest"] = manifest.digest
    data = (json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
    return storage.write_bytes(storage.join(folder, name), data)


def summed_up(left_out: Mapping[str, str]) -> list[dict[str, Any]]:
    """Files that are left out, as the manifest names them. left_out: path -> reason."""
    paths: dict[str, list[str]] = {}
    for path, reason in sorted(left_out.items()):
        paths.setdefault(reason, []).append(path)
    return [
        {"reason": reason, "files": len(found), "paths": found[:MOST_NAMED]}
        for reason, found in paths.items()
    ]


def has_manifest(folder: str) -> bool:
    return storage.exists(storage.join(folder, MANIFEST))


def read_manifest(folder: str | os.PathLike[str], name: str = MANIFEST) -> Manifest:
    """The manifest `name` of a folder.

    Raises InputError if there is none or it is damaged. Raises OtherVersion if another version of
    corpusmill wrote it in another form.
    """
    folder = os.fspath(folder)
    path = storage.join(folder, name)
    if not storage.exists(path):
        raise InputError(
            f"{folder} is not the folder of a finished stage (it has no {MANIFEST})",
            "run the stage that writes it first",
        )
    try:
        record = json.loads(storage.read_bytes(path))
        _refuse_other_version(record, folder)
        record.pop("digest")
        record.setdefault("verbs", record["stages"])
        record["outputs"] = [
            Artifact(**{**item, "path": storage.join(folder, item["path"])})
            for item in record["outputs"]
        ]
        record["parents"] = [
            Parent(_absolute_from(item["path"], folder), item["digest"])
            for item in record["parents"]
        ]
        record["totals"] = [Counts(**item) for item in record["totals"]]
        return Manifest(**record, folder=folder)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is damaged ({error})", "run the stage again; finished shards are kept"
        ) from error


def _refuse_other_version(record: Any, folder: str) -> None:
    if not isinstance(record, dict) or "plan_hash" not in record:
        raise ValueError("it is not a stage's manifest")
    odd = sorted((_REQUIRED - record.keys()) | (record.keys() - _FIELDS - {"digest"}))
    if odd:
        raise OtherVersion(
            f"another version of corpusmill wrote {folder} "
            f"(its manifest differs in {', '.join(odd)})",
            "read it with that version, or run the stage again with --replace",
        )


def claimed_digest(folder: str) -> str:
    """The digest that stands in the manifest file."""
    return str(json.loads(storage.read_bytes(storage.join(folder, MANIFEST))).get("digest"))


def _flat(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping) and (value or not above):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield above + str(key), value


def _relative_to(path: str, folder: str) -> str:
    if storage.is_remote(path) or storage.is_remote(folder) or not os.path.isabs(path):
        return path
    return os.path.relpath(path, os.path.abspath(folder)) if _siblings(path, folder) else path


def _siblings(path: str, folder: str) -> bool:
    return os.path.dirname(os.path.abspath(folder)) == os.path.dirname(path.rstrip("/"))


def _absolute_from(path: str, folder: str) -> str:
    if path.startswith("../"):
        return os.path.normpath(os.path.join(os.path.abspath(storage.local(folder)), path))
    return path
