"""Between a pass that writes many files and one of which every task reads its own part of all of them (blend, dedup, substring).

While the files are few, a task opens each and reads its part. With F files and R readers that is F x R small reads and as many names in
receipts, and a file cut for R readers has an index as long as R: in a large corpus it is names and indexes that are read. So above
`FAN_IN` files, and where there would be `MANY_READS` of less than `SMALL_READ` bytes each, a pass `collect-X` comes between: a task takes
`FAN_IN` files and a range of readers, and writes one file, sorted and cut for these readers. Then a reader opens F / `FAN_IN` files, the
first pass cuts its files coarsely, and no read is small. Rows travel twice; files number as many as there are times `COLLECT_BYTES` in
them.
"""

from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Protocol

from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.contract import Pass, PassResult

FAN_IN = 512  # files that a reader opens
COLLECT_BYTES = 256 << 20  # that a collecting task reads, and so about what it holds
MANY_READS = (
    1 << 10
)  # of fewer than SMALL_READ bytes each: opening the files costs many times what reading them does
SMALL_READ = 16 << 10
COLLECT_FILES = 8  # files of small reads for which there is one collecting task, so that a few workers share the work
FilesFor = Callable[[int], tuple[Artifact, ...]]  # what a reader has to open


class Sorting(Protocol):
    """How the files are sorted: by a column that says which of the readers, counted from 0, each row is for."""

    @property
    def column(self) -> str: ...

    @property
    def readers(self) -> int: ...

    def collect(self, readers: range, where: str, shard: Shard) -> None:
        """Write the rows of the shard's inputs that are for these readers as one file, `<folder>/<where>/<shard name>.*`."""
        ...


def exchange(
    name: str, files: tuple[Artifact, ...], by: Sorting
) -> Generator[Pass, PassResult, FilesFor]:
    """What each reader has to open to find its rows of `files`, after a pass `collect-<name>` if they are many. A reader finds its rows
    file after file in the order of `files`, collected or not.

    Raises CorpusmillError if something could not be collected.
    """
    reads = len(files) * by.readers
    if len(files) <= FAN_IN and (
        reads < MANY_READS or sum(file.size for file in files) >= reads * SMALL_READ
    ):
        return lambda reader: files
    groups = [files[start : start + FAN_IN] for start in range(0, len(files), FAN_IN)]
    size = max(sum(file.size for file in group) for group in groups)
    least = -(-len(files) // COLLECT_FILES) if len(files) <= FAN_IN else 1
    ranges = min(by.readers, max(least, -(-size // COLLECT_BYTES)))
    width = -(-by.readers // ranges)
    shards = {
        f"{number:06d}-{part:06d}": group
        for number, group in enumerate(groups)
        for part in range(-(-by.readers // width))
    }
    work = partial(_collect, by, width, f"work/collect-{name}")
    result = yield Pass(f"collect-{name}", shards, work, depends_on=f"{by.column} {width}")
    refuse_loss(result, shards, f"collect-{name}")
    written: dict[int, list[Artifact]] = {}
    for shard in sorted(result.receipts):
        written.setdefault(_part(shard), []).extend(result.receipts[shard].outputs)
    return lambda reader: tuple(written[reader // width])


def refuse_loss(result: PassResult, over: Mapping[str, tuple[Artifact, ...]], name: str) -> None:
    """A lost partition is not a lost shard: it holds some of what many shards sent, which would be missing unnoticed. So it ends the
    stage."""
    lost = sorted(set(over) - set(result.receipts))
    if lost:
        stage = next((f"{receipt.stage} " for receipt in result.receipts.values()), "")
        raise CorpusmillError(
            f"{stage}could not finish {lost[0]} of its pass {name!r} ({len(lost)} of {len(over)} failed)",
            f"read receipts/{name}/{lost[0]}.json, mend the cause (often memory: more dedup.partitions or blend.shards, or a smaller "
            "substring.part_bytes, need less for each), run again",
        )


def _collect(by: Sorting, width: int, where: str, shard: Shard) -> list[Counts]:
    """Collect one range of the readers."""
    first = _part(shard.name) * width
    by.collect(range(first, min(first + width, by.readers)), where, shard)
    return []


def _part(shard_name: str) -> int:
    return int(shard_name.split("-")[1])
