"""The stage folders below a root: finished ones, parents first, and unfinished or damaged ones."""

from dataclasses import dataclass, field

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.manifest import Manifest
from corpusmill.manifests.stage_folder import StageFolder, stage_folders


@dataclass
class Found:
    """What `find_stages` found.

    manifests: of the finished stages. Parents come before the stages that read them.
    damaged: an error for each manifest that cannot be read.
    unfinished: folders that a stage began, without a manifest.
    cycles: circles of folders. In a circle, each manifest names the next as its parent.
    """

    manifests: list[Manifest] = field(default_factory=list)
    damaged: list[InputError] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    cycles: list[list[str]] = field(default_factory=list)


def find_stages(root: str) -> Found:
    """The stages at `root`: the one whose folder it is, or those directly below it.

    Raises InputError if there is no stage, finished or unfinished.
    """
    found = Found()
    manifests = []
    there = StageFolder(root)
    for folder in [there] if there.is_stage else stage_folders(root):
        if not folder.has_manifest:
            found.unfinished.append(folder.path)
            continue
        try:
            manifests.append(folder.manifest)
        except InputError as error:
            found.damaged.append(error)
    if not (manifests or found.damaged or found.unfinished):
        raise InputError(
            f"{root} holds no finished stage", "give the output folder of a run or of one stage"
        )
    found.manifests, found.cycles = _in_order(manifests)
    return found


def finished_stages(root: str) -> list[Manifest]:
    """The manifests at `root`, parents first.

    Raises InputError if there is none, or one cannot be read.
    """
    found = find_stages(root)
    if found.damaged:
        raise found.damaged[0]
    if not found.manifests:
        raise InputError(
            f"{root} holds no finished stage, only receipts", "run the same command again to go on"
        )
    return found.manifests


def stages_before(manifests: list[Manifest]) -> list[Manifest]:
    """The stages that these ones were made from, wherever they lie, parents first.

    Raises InputError if one cannot be read.
    """
    seen = {storage.absolute(manifest.folder): manifest for manifest in manifests}
    given = set(seen)
    waiting = list(manifests)
    for manifest in waiting:
        for folder in (StageFolder(parent.path) for parent in manifest.parents):
            place = storage.absolute(folder.path)
            if place not in seen and folder.has_manifest:
                seen[place] = folder.manifest
                waiting.append(folder.manifest)
    return _in_order([manifest for place, manifest in seen.items() if place not in given])[0]


def _in_order(manifests: list[Manifest]) -> tuple[list[Manifest], list[list[str]]]:
    """The manifests sorted, parents before their readers, and the circles among them."""
    by_place = {storage.absolute(manifest.folder): manifest for manifest in manifests}
    ordered: dict[str, Manifest] = {}
    cycles: list[list[str]] = []
    chain: list[str] = []  # from a reader to the parent that `visit` is at

    def visit(place: str) -> None:
        if place in chain:
            cycles.append(chain[chain.index(place) :])
        elif place in by_place and place not in ordered:
            chain.append(place)
            for parent in by_place[place].parents:
                visit(parent.path)
            ordered[chain.pop()] = by_place[place]

    for place in by_place:
        visit(place)
    return list(ordered.values()), cycles
