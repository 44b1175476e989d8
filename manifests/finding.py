"""Which files there are, on local disks and remote stores: below a folder, and by globs."""

import glob
import os
from collections.abc import Iterable, Iterator

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.stores import is_remote, names, reaching


def files_below(folder: str, suffix: str = "") -> list[str]:
    """All files below `folder`, sorted. Hidden and partial files are left out."""
    if is_remote(folder):
        with reaching(folder) as (store, inner):
            found = names(folder, store.find(inner))
    else:
        found = list(_walk(storage.local(folder)))
    return sorted(
        path
        for path in found
        if path.endswith(suffix) and not path.rsplit("/", 1)[-1].startswith(".")
    )


def names_in(folder: str) -> list[str]:
    """Names of the files and folders directly in `folder`. Empty if there is no such folder."""
    if not is_remote(folder):
        return os.listdir(storage.local(folder)) if os.path.isdir(storage.local(folder)) else []
    with reaching(folder) as (store, inner):
        return (
            [storage.name_of(path) for path in store.ls(inner, detail=False)]
            if store.exists(inner)
            else []
        )


def _walk(folder: str) -> Iterator[str]:
    """All files below a local folder. Links to folders are followed; each folder is read once."""
    seen = set()
    for root, folders, found in os.walk(folder, followlinks=True):
        folders.sort()
        if (real := os.path.realpath(root)) in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (os.path.join(root, name) for name in found)


def expand(patterns: Iterable[str]) -> list[str]:
    """The files that paths, folders and globs name, sorted, each once.

    A folder stands for all files below it. Raises InputError if a pattern matches no file.
    """
    found: set[str] = set()
    for pattern in patterns:
        if is_glob(pattern):
            matched = _globbed(pattern)
        elif storage.is_folder(pattern):
            matched = files_below(pattern if is_remote(pattern) else storage.local(pattern))
        else:
            path = pattern if is_remote(pattern) else storage.local(pattern)
            matched = [path] if storage.exists(path) else []
        if not matched:
            raise InputError(f"input {pattern} matches no file", "check the path or the glob")
        found.update(matched)
    return sorted(found)


def is_glob(pattern: str) -> bool:
    """Whether the path is a pattern. A path that exists is none, whatever signs it has."""
    return any(sign in pattern for sign in "*?[") and not storage.exists(pattern)


def _globbed(pattern: str) -> list[str]:
    if is_remote(pattern):
        with reaching(pattern) as (store, inner):
            found = store.glob(inner, detail=True)
            files = [path for path, info in found.items() if info["type"] == "file"]
        # As in Python's glob, a sign stands for no hidden file or folder.
        hidden = "/." in pattern
        return [path for path in names(pattern, files) if hidden or "/." not in path]
    return [
        path for path in glob.glob(storage.local(pattern), recursive=True) if os.path.isfile(path)
    ]
