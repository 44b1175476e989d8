"""Which stage read which, down to the raw files: the graph of the manifests' parents."""

from dataclasses import dataclass, field

from corpusmill.manifests import storage
from corpusmill.report.reading.run import Run


@dataclass
class Node:
    """A stage, or the raw files that stages read, by folder. depth: longest way from a raw file.

    reads: keys of the nodes that it read.
    """

    key: str
    name: str
    note: str
    depth: int
    raw: bool = False
    reads: list[str] = field(default_factory=list)


def lineage(run: Run) -> list[Node]:
    """The nodes, those that are read before those that read them."""
    nodes: dict[str, Node] = {}
    files: dict[str, set[str]] = {}
    for stage in run.stages:
        reads: list[str] = []
        for parent in stage.manifest.parents:
            if parent.path in run.by_place:
                reads.append(parent.path)
                continue
            folder = parent.path.rstrip("/").rpartition("/")[0] or parent.path
            files.setdefault(folder, set()).add(parent.path)
            reads.append(folder)
            nodes.setdefault(folder, Node(folder, storage.name_of(folder), "", 0, raw=True))
        reads = list(dict.fromkeys(reads))
        depth = 1 + max((nodes[key].depth for key in reads if key in nodes), default=0)
        digest = stage.manifest.digest[:8]
        nodes[stage.place] = Node(
            stage.place, stage.name, digest, depth, reads=[key for key in reads if key in nodes]
        )
    for folder, paths in files.items():
        nodes[folder].note = f"{len(paths):,} file{'s' * (len(paths) != 1)}"
    return sorted(nodes.values(), key=lambda node: node.depth)
