"""What a path names: a finished stage's folder, or raw files.

A folder without a manifest is a folder of raw files, even if it has `documents/` in it. It is
refused if it also has `excluded/`, because excluded rows would be read again.
"""

from corpusmill.manifests import finding, storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.manifest import STARTED
from corpusmill.manifests.stage_folder import StageFolder

Listed = StageFolder | list[str]  # what a pattern names: a finished stage, or raw files


def list_input(pattern: str) -> Listed:
    """What the pattern names: a finished stage's folder, or raw files.

    Raises InputError if it names nothing, several stages, or an unfinished stage.
    """
    path = pattern.rstrip("/")
    folder = StageFolder(path)
    if folder.has_manifest:
        return folder
    files = finding.expand([path])
    inner = [name.removeprefix(path) for name in files]
    if any(name.endswith("/manifest.json") for name in files):
        raise InputError(f"{path} holds several stages", f"name one of them, e.g. {path}/filter")
    if f"/{STARTED}" in inner or any("/receipts/" in name for name in inner):
        raise InputError(
            f"{path} is not finished: it has no manifest yet", "run its command again to finish it"
        )
    if {"documents", "excluded"} <= {name.lstrip("/").split("/")[0] for name in inner}:
        raise InputError(
            f"{path} looks like a stage's output but has no manifest.json and no receipts",
            f"copy them too, or give the folder to read: {path}/documents",
        )
    return [storage.absolute(name) for name in files]  # absolute, because ids come from paths
