"""Where a stage may write: a folder that is its own, apart from what it reads and from other stages' folders.

A stage replaces and removes files in its folder. So that folder may be no input of it, hold none and lie in none; and since people look
at a run as a folder of stage folders, none of these lies in another.
"""

import os
from collections.abc import Iterable

from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError, InputError, RecipeError, StorageError
from corpusmill.manifests.looking.find import folders_in, is_stage
from corpusmill.manifests.manifest import MANIFEST, OtherVersion, has_manifest, read_manifest

OWN = (
    MANIFEST,
    "documents",
    "excluded",
)  # what a stage writes that somebody else's folder may hold, too


def named_folder(output: str) -> str:
    """The one name of the folder that --output names. Raises RecipeError if that is nothing."""
    if not output.strip():
        raise RecipeError("--output is empty", "name the folder to write")
    return storage.absolute(output)


def refuse_output(folder: str, inputs: Iterable[str], replace: bool) -> None:
    """Raises CorpusmillError unless a stage that reads `inputs` (stage folders, files, globs) may write into `folder`.

    replace: whether what somebody else put there may be overwritten. Nothing is read but the names of what lies in and above `folder`.
    """
    refuse_unwritable(folder)
    for path in inputs:
        if not any(
            sign in path for sign in "*?["
        ):  # the files of a glob are looked at one by one, see `refuse_files`
            _refuse_overlap(folder, path)
    refuse_inside(folder)
    inner = sorted(filter(is_stage, folders_in(folder)))
    if inner:
        raise CorpusmillError(
            f"{folder} holds the folders of other stages ({storage.name_of(inner[0])}{', ...' if inner[1:] else ''})",
            "name one for this stage alone, e.g. --output " + storage.join(folder, "NAME"),
        )
    if replace or is_stage_of_ours(folder):
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
    if is_stage_of_ours(above):
        raise CorpusmillError(
            f"{folder} lies in the folder of another stage",
            f"write beside it, e.g. --output {above}-{storage.name_of(folder)}",
        )


def refuse_unwritable(folder: str) -> None:
    """Raises StorageError if a folder cannot be made or written, as far as that shows: nothing has been read yet."""
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


def is_stage_of_ours(folder: str) -> bool:
    """Whether a stage writes or has written there, and not only something with a manifest.json of its own."""
    if not has_manifest(folder) or storage.exists(storage.join(folder, "receipts")):
        return is_stage(folder)
    try:
        read_manifest(folder)
    except OtherVersion:
        return True
    except InputError:
        return False
    return True


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
