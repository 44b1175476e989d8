"""Where a stage may write: a folder of its own, apart from what it reads and from other stages.

A stage replaces and removes files in its folder. So that folder may be no input of it, hold none and
lie in none. People look at a run as a folder of stage folders, so none of these lies in another.
"""

import os
from collections.abc import Iterable

from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError, InputError, RecipeError, StorageError
from corpusmill.manifests.manifest import MANIFEST
from corpusmill.manifests.stage_folder import StageFolder, stage_folders

# What a stage writes that somebody else's folder may hold, too.
OWN = (MANIFEST, "documents", "excluded")


def named_folder(output: str) -> str:
    """The one name of the folder that --output names. Raises RecipeError if that is nothing."""
    if not output.strip():
        raise RecipeError("--output is empty", "name the folder to write")
    return storage.absolute(output)


def refuse_output(there: StageFolder, inputs: Iterable[str], replace: bool) -> None:
    """Raises CorpusmillError unless a stage that reads `inputs` may write into the folder `there`.

    inputs: stage folders, files, globs. replace: whether what somebody else put there may be
    overwritten. Nothing is read but the names of what lies in and above the folder.
    """
    folder = there.path
    refuse_unwritable(folder)
    for path in inputs:
        # The files of a glob are looked at one by one, see `refuse_files`.
        if not any(sign in path for sign in "*?["):
            _refuse_overlap(folder, path)
    refuse_inside(folder)
    inner = [storage.name_of(other.path) for other in stage_folders(folder)]
    if inner:
        raise CorpusmillError(
            f"{folder} holds the folders of other stages ({inner[0]}{', ...' if inner[1:] else ''})",
            "name one for this stage alone, e.g. --output " + storage.join(folder, "NAME"),
        )
    if replace or there.is_ours:
        return
    for name in OWN:
        if storage.exists(storage.join(folder, name)):
            raise CorpusmillError(
                f"{folder} holds a {name} that no stage wrote",
                "choose another --output, or give --replace to write into it all the same",
            )


def refuse_files(folder: str, files: Iterable[str]) -> None:
    """Raises InputError for an input file in the folder that is written."""
    for path in files:
        if path.startswith(f"{folder}/"):
            raise InputError(
                f"{path} is read but lies in the folder that is written ({folder})",
                "choose another --output",
            )


def refuse_inside(folder: str) -> None:
    """Raises CorpusmillError if `folder` lies in a stage's: nobody would find there what it holds."""
    above = folder.rsplit("/", 1)[0]
    if StageFolder(above).is_ours:
        raise CorpusmillError(
            f"{folder} lies in the folder of another stage",
            f"write beside it, e.g. --output {above}-{storage.name_of(folder)}",
        )


def refuse_unwritable(folder: str) -> None:
    """Raises StorageError if it shows already that the folder cannot be made or written."""
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
            f"{there} may not be written", "mend its permissions or choose another --output"
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
            "choose an --output beside it: here it would be read, too",
        )


def _real(path: str) -> str:
    return path.rstrip("/") if storage.is_remote(path) else os.path.realpath(storage.local(path))
