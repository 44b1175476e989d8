"""What a stage's folder was begun for, and whether today's run may go on in it.

What lies in a folder can be a week of work. The same command always goes on in it: with more input, with input or models made anew, on
another day. A run that would throw finished work away, because its settings, its software or its inputs are others, is refused before
anything is touched, unless it was told to replace.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from manifests import storage
from manifests.errors import CorpusmillError, InputError
from manifests.manifest import MANIFEST, Manifest, has_manifest, read_manifest, write_manifest

STARTED = "work/started.json"  # a manifest without outputs: what an unfinished folder was begun for
SHOWN = 3


def refuse_other(today: Manifest, replace: bool, free: Collection[str] = ()) -> None:
    """Raises CorpusmillError if the folder holds another stage's output; or, unless `replace`, work that today's run would throw away.

    today: without outputs yet; where its inputs are not known yet, without parents. free: settings (step.key) that decide no output.
    """
    there = _read(today.folder)
    if there is None:
        return
    if there.stages[-1] != today.stages[-1]:
        raise CorpusmillError(
            f"{today.folder} holds the output of {there.stages[-1]}, not of {today.stages[-1]}",
            "choose another --output",
        )
    found = list(_differences(there, today, free))
    if found and not replace and storage.exists(storage.join(today.folder, "receipts")):
        more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise CorpusmillError(
            f"{today.folder} was made otherwise: {'; '.join(found[:SHOWN])}{more}",
            "choose another --output, or give --replace to make it anew",
        )


def claim(today: Manifest, replace: bool, free: Collection[str] = ()) -> None:
    """Make the folder today's, or raise as `refuse_other` does. A manifest of another plan or of other inputs goes: while shards are
    replaced it must vouch for none of them."""
    refuse_other(today, replace, free)
    if has_manifest(today.folder):
        there = _read(today.folder)
        if there is None or _identity(there) != _identity(today):
            storage.remove(storage.join(today.folder, MANIFEST))
    if not has_manifest(today.folder):
        write_manifest(today, today.folder, STARTED)


def finish(manifest: Manifest) -> None:
    """The folder is complete, and says so from now on."""
    write_manifest(manifest, manifest.folder)
    storage.remove(storage.join(manifest.folder, STARTED))


def _identity(manifest: Manifest) -> tuple[str, list[str]]:
    return manifest.plan_hash, [parent.digest for parent in manifest.parents]


def _read(folder: str) -> Manifest | None:
    """What the folder's manifest says, or what it was begun for. One that is damaged vouches for nothing."""
    for name in (MANIFEST, STARTED):
        if storage.exists(storage.join(folder, name)):
            try:
                return read_manifest(folder, name)
            except InputError:
                continue
    return None


def decisive(config: Mapping[str, Any], free: Collection[str]) -> dict[str, Any]:
    """step.key -> value of the settings, nested keys joined with dots, without those that decide no output."""
    return {key: value for key, value in _flat(config) if key not in free}


def _differences(there: Manifest, today: Manifest, free: Collection[str]) -> Iterator[str]:
    if there.stages != today.stages:
        yield f"its steps were {', '.join(there.stages)}, now {', '.join(today.stages)}"
    for name in sorted(there.software.keys() & today.software.keys()):
        if there.software[name] != today.software[name]:
            yield f"{name} was {there.software[name]}, is {today.software[name]}"
    was, now = decisive(there.config, free), decisive(today.config, free)
    for key in sorted({*was, *now}):
        if was.get(key) != now.get(key):
            yield f"{key} was {was.get(key, 'not set')}, is {now.get(key, 'not set')}"
    gone = {parent.path for parent in there.parents} - {parent.path for parent in today.parents}
    if gone and today.parents:
        yield f"{len(gone)} of its inputs are not read any more ({min(gone)})"


def _flat(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping) and (value or not above):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield above + str(key), value
