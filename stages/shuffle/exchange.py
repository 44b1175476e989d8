"""Bring rows from the many files of one pass to the tasks of the next, without many small reads.

Blend, dedup and substring use it. While the files are few, each task opens all of them and reads
its part. With F files and R readers, that makes F x R small reads and as many names in receipts. A
file that is cut for R readers also has an index of length R. In a large corpus, most of what is
read would then be names and indexes.

So a pass `collect-X` comes between in two cases: there are more than `FAN_IN` files, or at least
`MANY_READS` reads of less than `SMALL_READ` bytes on average. Each of its tasks takes up to
`FAN_IN` files and a range of readers. It writes one file, sorted and cut for these readers. A
reader then opens F / `FAN_IN` files, and no read is small. The price is that rows travel twice.
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
COLLECT_BYTES = 256 << 20  # read by a collecting task, and about what it holds in memory
MANY_READS = 1 << 10  # from this many on, reads of less than SMALL_READ bytes cost mostly opening
SMALL_READ = 16 << 10
COLLECT_FILES = 8  # files of small reads for each collecting task, so that several workers share
FilesFor = Callable[[int], tuple[Artifact, ...]]  # reader -> the files that it opens


class Sorting(Protocol):
    """How the files are sorted. The column holds the number of each row's reader, from 0."""

    @property
    def column(self) -> str: ...

    @property
    def readers(self) -> int: ...

    def collect(self, readers: range, where: str, shard: Shard) -> None:
        """Write one file with the rows of the shard's inputs that are for these readers.

        The file is `<folder>/<where>/<shard name>.*`.
        """
        ...


def exchange(
    name: str, files: tuple[Artifact, ...], by: Sorting
) -> Generator[Pass, PassResult, FilesFor]:
    """The files that each reader opens to find its rows of `files`.

    If the files are many, a pass `collect-<name>` runs first. Either way, a reader finds its rows
    in the order of `files`. Raises CorpusmillError if a collecting task failed.
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
    """End the stage if a partition failed. It holds rows of many shards, which would be missing."""
    lost = sorted(set(over) - set(result.receipts))
    if lost:
        stage = next((f"{receipt.stage} " for receipt in result.receipts.values()), "")
        raise CorpusmillError(
            f"{stage}could not finish {lost[0]} of its pass {name!r} "
            f"({len(lost)} of {len(over)} failed)",
            f"read receipts/{name}/{lost[0]}.json and mend the cause, then run again. It is often "
            "memory: more dedup.partitions or blend.shards, or a smaller substring.part_bytes, "
            "need less for each task",
        )


def _collect(by: Sorting, width: int, where: str, shard: Shard) -> list[Counts]:
    """Collect one range of the readers."""
    first = _part(shard.name) * width
    by.collect(range(first, min(first + width, by.readers)), where, shard)
    return [Counts("collect", received=shard.rows_received, sent=shard.rows_sent)]


def _part(shard_name: str) -> int:
    return int(shard_name.split("-")[1])
