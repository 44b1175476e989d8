"""Inputs: from what the user names (stage folders, files, globs) to artifacts and parents.

The digests of a stage's shards come from its manifest. A raw file is hashed. The folder of the
stage that reads it stores the hashes by path, size and modification time. So a resumed run does not
hash everything again.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from corpusmill.manifests import finding, storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.listed import Listed, list_input
from corpusmill.manifests.looking.tables import size_text
from corpusmill.manifests.manifest import Parent
from corpusmill.manifests.stage_folder import StageFolder
from corpusmill.manifests.storage import Artifact
from corpusmill.pipeline import display
from corpusmill.pipeline.output_folder import refuse_files
from corpusmill.pipeline.runner import Runner

REMEMBERED = "work/inputs.json"
_FORMATS = {"warc": "a WARC file", "arc": "an ARC file", "jsonl": "JSON lines", "text": "text"}
_MENDS = {
    "documents": "run `corpusmill extract` on it first and give its output folder",
    "tokens": "give the output folder of pack",
}

_READ_FROM_FOLDERS = ("records", "documents", "any")


class Expanded(NamedTuple):
    """What inputs stand for. left_out: path -> why the file is no data."""

    artifacts: tuple[Artifact, ...]
    parents: tuple[Parent, ...]
    left_out: dict[str, str]


def expand_inputs(
    patterns: Iterable[str],
    folder: str,
    runner: Runner,
    reads: str = "records",
    listed: Mapping[str, Listed] | None = None,
    format: str = "auto",
) -> Expanded:
    """The artifacts to read, their parents, and the files that are left out, each with the reason.

    The runner's workers hash raw files. reads: as in `stages.contract`. listed: pattern -> what it
    names, if known already. format: of the reader's settings. If it is `auto`, a folder stands for
    those of its files that are data. Raises InputError if a pattern finds nothing, or finds files
    that the stage does not read. The error comes before any file is hashed.
    """
    artifacts: list[Artifact] = []
    parents: list[Parent] = []
    raw: set[str] = set()
    left_out: dict[str, str] = {}
    for pattern in patterns:
        found = (listed or {}).get(pattern) or list_input(pattern)
        if isinstance(found, StageFolder):
            artifacts += found.manifest.documents() or found.manifest.outputs
            parents.append(Parent(storage.absolute(found.path), found.manifest.digest))
        elif format == "auto" and reads in _READ_FROM_FOLDERS:
            data, others = data_of(pattern, found)
            raw.update(data)
            left_out |= others
        else:
            raw.update(found)
    refuse_files(folder, raw)
    if reads in _MENDS:
        refuse_raw(sorted(raw), reads)
    measured = _measure(sorted(raw), folder, runner)
    return Expanded(
        tuple(artifacts + measured),
        (*parents, *(Parent(item.path, item.digest) for item in measured)),
        {path: reason for path, reason in left_out.items() if path not in raw},
    )


def data_of(pattern: str, files: list[str]) -> tuple[list[str], dict[str, str]]:
    """(the files that are data, the others with the reason: path -> reason).

    This sorts the files of a folder, or of a glob that names no suffix, by their names. The display
    names the others. A file that the user names is always data. The display says so if its name
    shows no known format. Raises InputError if no file is data.
    """
    from corpusmill.stages.readers.data_files import SCAN, names_of, sorted_out, why_left_out

    shown = display.current()
    path = storage.absolute(pattern.rstrip("/"))
    if path in files or (finding.is_glob(pattern) and _names_suffix(pattern)):
        odd = [file for file in files if path in files and why_left_out(file)]
        if odd:
            shown.say(f"{names_of(odd)} is none of the known formats by name: read as it is")
        return files, {}
    data, others = sorted_out(files)
    scans = [file for file, reason in others.items() if reason == SCAN]
    if not data:
        read = "; `corpusmill ocr` reads PDF files and pictures" if scans else ""
        raise InputError(
            f"{pattern} holds no file of data, only {names_of(others)}",
            f"name the files themselves, or set the reader's `format`{read}",
        )
    if others:
        number = f"{len(others):,} {'file' if len(others) == 1 else 'files'}"
        shown.say(f"{pattern}: left out {number} that are no data: {names_of(others)}")
        if scans:
            shown.say(f"{pattern}: `corpusmill ocr` reads PDF files and pictures ({len(scans):,})")
    return data, others


def _names_suffix(pattern: str) -> bool:
    """Whether a glob says how its files' names end, as in `*.md`."""
    end = re.split(r"[*?\]]", pattern)[-1]
    return "." in end and "/" not in end


def refuse_raw(paths: list[str], reads: str) -> None:
    """Raises InputError if a file is not Parquet.

    A file named `.parquet` is not read here. If it is damaged, only its shard fails.
    """
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
    """The files as artifacts. Only new and changed files are hashed."""
    remembered = _remembered(folder)
    stats = {path: _stat(path) for path in paths if not storage.is_remote(path)}
    found = {
        path: Artifact(path, str(known[2]), stat.st_size)
        for path, stat in stats.items()
        if (known := remembered.get(path)) and known[:2] == [stat.st_size, stat.st_mtime_ns]
    }
    unknown = [path for path in paths if path not in found]
    if unknown:
        size = sum(stats[path].st_size for path in unknown if path in stats)
        sizes = f", {size_text(size)}" if size else ""  # of remote files it is not known yet
        files = "file" if len(unknown) == 1 else "files"
        display.current().say(f"hashing {len(unknown):,} input {files}{sizes}")
    found.update(zip(unknown, runner.map(_hashed, unknown), strict=True))
    record: dict[str, list[object]] = {
        path: [stat.st_size, stat.st_mtime_ns, found[path].digest] for path, stat in stats.items()
    }
    if record and record != remembered:
        storage.write_bytes(
            storage.join(folder, REMEMBERED),
            (json.dumps({**remembered, **record}, sort_keys=True) + "\n").encode(),
        )
    return [found[path] for path in paths]


def _stat(path: str) -> os.stat_result:
    try:
        return os.stat(storage.local(path))
    except FileNotFoundError as error:
        gone = "is a link to a file that is gone" if os.path.islink(path) else "is gone"
        raise InputError(
            f"{path} {gone}", "restore the file, or remove it from the input"
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _hashed(path: str) -> Artifact:
    try:
        return storage.artifact_of(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> InputError:
    return InputError(
        f"{path} cannot be read ({error.strerror or error})",
        "check the file and the disk or network it lies on, then run the same command again",
    )


def _remembered(folder: str) -> dict[str, list[object]]:
    path = storage.join(folder, REMEMBERED)
    if not storage.exists(path):
        return {}
    try:
        return dict(json.loads(storage.read_bytes(path)))
    except ValueError:
        return {}  # damaged, so hash again
