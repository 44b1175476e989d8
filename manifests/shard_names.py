"""Shards are named after the files that they read."""

import itertools
from collections.abc import Iterable

from corpusmill.manifests.storage import Artifact


def shard_names(artifacts: Iterable[Artifact]) -> dict[str, Artifact]:
    """Shard name -> input file. The name is the file name without suffixes.

    If files share a name, their folders' names come in front: as many as tell all of them apart. If
    one path is given several times, a number comes at the end. Names do not depend on the order of
    the inputs. Time is linear in the number of files.
    """
    rivals: dict[str, list[tuple[tuple[str, ...], Artifact]]] = {}
    for artifact in sorted(artifacts, key=lambda item: (item.path, item.digest)):
        parts = (*artifact.path.replace("=", "-").split("/")[:-1], artifact.stem or "shard")
        rivals.setdefault(parts[-1], []).append((parts, artifact))
    named: dict[str, Artifact] = {}
    tried: dict[str, int] = {}
    for group in rivals.values():
        distinct = len({parts for parts, _ in group})
        depth = next(
            depth
            for depth in itertools.count(1)
            if len({parts[-depth:] for parts, _ in group}) == distinct
        )
        for parts, artifact in group:
            name = wanted = "-".join(parts[-depth:])
            while name in named:  # a number may be another file's own name
                tried[wanted] = tried.get(wanted, 0) + 1
                name = f"{wanted}-{tried[wanted]}"
            named[name] = artifact
    return dict(sorted(named.items()))
