"""The stage folders below a root: the finished ones in the order in which they feed each other, and what else lies there."""

from dataclasses import dataclass, field

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.manifest import MANIFEST, STARTED, Manifest, has_manifest, read_manifest


@dataclass
class Found:
    """manifests: of the finished stages, parents before the stages that read them. damaged: why a manifest cannot be read, one each.
    unfinished: folders that a stage began, without a manifest. cycles: folders whose manifests name each other as parents."""

    manifests: list[Manifest] = field(default_factory=list)
    damaged: list[InputError] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    cycles: list[list[str]] = field(default_factory=list)


def find_stages(root: str) -> Found:
    """What lies at `root` (a stage's folder) or directly below it (a run's). Raises InputError if that is no stage, finished or begun."""
    found = Found()
    manifests = []
    for folder in [root] if is_stage(root) else sorted(filter(is_stage, folders_in(root))):
        if not has_manifest(folder):
            found.unfinished.append(folder)
            continue
        try:
            manifests.append(read_manifest(folder))
        except InputError as error:
            found.damaged.append(error)
    if not (manifests or found.damaged or found.unfinished):
        raise InputError(
            f"{root} holds no finished stage", "give the output folder of a run or of one stage"
        )
    found.manifests, found.cycles = _in_order(manifests)
    return found


def finished_stages(root: str) -> list[Manifest]:
    """The manifests below `root`, parents first. Raises InputError if there is none or one cannot be read."""
    found = find_stages(root)
    if found.damaged:
        raise found.damaged[0]
    if not found.manifests:
        raise InputError(
            f"{root} holds no finished stage, only receipts", "run the same command again to go on"
        )
    return found.manifests


def is_stage(folder: str) -> bool:
    """Whether a stage writes or has written there."""
    return any(
        storage.exists(storage.join(folder, name)) for name in (MANIFEST, STARTED, "receipts")
    )


def folders_in(root: str) -> list[str]:
    """What lies directly in `root`: folders, and files too. Empty if there is no such folder."""
    return [storage.join(root, name) for name in storage.names_in(root)]


def _in_order(manifests: list[Manifest]) -> tuple[list[Manifest], list[list[str]]]:
    """Parents before the stages that read them, and the chains of parents that come back to where they began."""
    by_place = {storage.absolute(manifest.folder): manifest for manifest in manifests}
    ordered: dict[str, Manifest] = {}
    cycles: list[list[str]] = []
    chain: list[str] = []  # from a reader down to the parent that is being visited

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
