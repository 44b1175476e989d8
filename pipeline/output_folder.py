"""Checks of a stage's output folder.

A stage replaces and removes files in its folder. So the folder must not be an input, hold an input
or lie in one. It also must not lie in another stage's folder or hold one, because a run is a folder
of stage folders.
"""

import os
from collections.abc import Iterable

from corpusmill.manifests import finding, storage
from corpusmill.manifests.errors import CorpusmillError, InputError, RecipeError, StorageError
from corpusmill.manifests.manifest import MANIFEST
from corpusmill.manifests.stage_folder import StageFolder, stage_folders

# Names that stages write. If a folder that is not ours holds one of them, it is not overwritten.
OWN = (
    MANIFEST,
    *("documents", "excluded", "tokenizer", "checkpoint", "models", "signatures"),
    *("plan.json", "config.json", "tokenizer.json", "model.safetensors"),
)


def named_folder(output: str) -> str:
    """The absolute path of the folder in --output. Raises RecipeError if it is empty."""
    if not output.strip():
        raise RecipeError("--output is empty", "name the folder to write")
    return storage.absolute(output)


def refuse_output(there: StageFolder, inputs: Iterable[str], replace: bool) -> None:
    """Raises CorpusmillError if a stage that reads `inputs` must not write into `there`.

    inputs: stage folders, files, globs. replace: whether files of another program may be
    overwritten. Only names in and above the folder are read.
    """
    folder = there.path
    refuse_unwritable(folder)
    for path in inputs:
        if not path.strip():
            raise InputError("an input is empty", "name a file, a folder or a glob")
        # `refuse_files` checks the files of a glob.
        if not finding.is_glob(path):
            _refuse_overlap(folder, path)
    refuse_inside(folder)
    inner = [storage.name_of(other.path) for other in stage_folders(folder)]
    if inner:
        more = ", ..." if inner[1:] else ""
        raise CorpusmillError(
            f"{folder} holds the folders of other stages ({inner[0]}{more})",
            "choose a folder for this stage alone, e.g. --output " + storage.join(folder, "NAME"),
        )
    if replace or there.is_ours:
        return
    for name in OWN:
        if storage.exists(storage.join(folder, name)):
            raise CorpusmillError(
                f"{folder} holds {name}, which no stage wrote",
                "choose another --output, or give --replace to write into it anyway",
            )


def refuse_files(folder: str, files: Iterable[str]) -> None:
    """Raises InputError if an input file lies in the output folder."""
    for path in files:
        if path.startswith(f"{folder}/"):
            raise InputError(
                f"{path} is read but lies in the folder that is written ({folder})",
                "choose another --output",
            )


def refuse_inside(folder: str) -> None:
    """Raises CorpusmillError if `folder` lies in a stage's folder."""
    above = folder.rsplit("/", 1)[0]
    if StageFolder(above).is_ours:
        raise CorpusmillError(
            f"{folder} lies in the folder of another stage",
            f"write beside it, e.g. --output {above}-{storage.name_of(folder)}",
        )


def refuse_unwritable(folder: str) -> None:
    """Raises StorageError if the folder cannot be made or written."""
    if folder.startswith(("http://", "https://")):
        raise StorageError(
            f"{folder} can be read only",
            "write to a folder or to an object store, e.g. s3://BUCKET/FOLDER",
        )
    if storage.is_remote(folder):
        return
    there = folder
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    if not os.path.isdir(there):
        raise StorageError(f"{there} is no folder", "choose another --output")
    if not os.access(there, os.W_OK | os.X_OK):
        raise StorageError(
            f"{there} cannot be written", "mend its permissions or choose another --output"
        )


def _refuse_overlap(folder: str, path: str) -> None:
    written, read = _real(folder), _real(path)
    if written == read:
        raise CorpusmillError(f"{folder} is read and written", "choose another --output")
    if read.startswith(f"{written}/"):
        raise CorpusmillError(
            f"{path} is read but lies in the folder that is written ({folder})",
            "choose another --output",
        )
    if written.startswith(f"{read}/"):
        raise CorpusmillError(
            f"{folder} lies in a folder that is read ({path})",
            "choose an --output beside it, because here it would be read too",
        )


def _real(path: str) -> str:
    return path.rstrip("/") if storage.is_remote(path) else os.path.realpath(storage.local(path))
