"""Between a pass that writes many files and one of which every task reads its own part of all of them.

While the files are few, a task opens each and reads its row groups. With F files and R readers that is F x R small reads, and a file cut
for R readers has a footer as long as R: at a billion documents it is the footers that are read. So above `FAN_IN` files, and where there
would be `MANY_READS` of less than `SMALL_READ` bytes each, a pass `collect-X` comes between: a task takes `FAN_IN` files and a range of
readers, and writes one file, sorted and cut for these readers. Then a reader opens F / `FAN_IN` files, the first pass cuts its files
coarsely, and no read is small. Rows travel twice; files number as many as there are times `COLLECT_BYTES` in them.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from manifests.errors import CorpusmillError
from manifests.receipt import Counts
from manifests.shard import Shard
from manifests.storage import Artifact
from stages.contract import Pass, PassResult
from stages.dedup.shuffle import FAN_IN, UNBOUNDED, read_range, write_by_node, write_by_partition

COLLECT_BYTES = 256 << 20  # that a collecting task reads, and so about what it holds
MANY_READS = 1 << 10  # of fewer than SMALL_READ bytes each: opening the files costs many times what reading them does
SMALL_READ = 16 << 10
COLLECT_FILES = 8  # files of small reads for which there is one collecting task, so that a few workers share the work
Reads = Callable[[int], tuple[Artifact, ...]]  # what a reader has to open


@dataclass(frozen=True)
class Sorted:
    """How the files are sorted: by this column; reader r gets the rows from r << shift to below (r + 1) << shift."""

    schema: pa.Schema
    column: str
    readers: int
    shift: int = 0


def exchange(name: str, files: tuple[Artifact, ...], by: Sorted) -> Generator[Pass, PassResult, Reads]:
    """What each reader has to open to find its rows of `files`, after a pass `collect-<name>` if they are many."""
    reads = len(files) * by.readers
    if len(files) <= FAN_IN and (reads < MANY_READS or sum(file.size for file in files) >= reads * SMALL_READ):
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
    work = partial(collect, by, width << by.shift, f"work/collect-{name}")
    result = yield Pass(f"collect-{name}", shards, work, depends_on=f"{by.column} {width}")
    refuse_loss(result, shards, f"collect-{name}")
    written: dict[int, list[Artifact]] = {}
    for shard in sorted(result.receipts):
        written.setdefault(int(shard.split("-")[1]), []).extend(result.receipts[shard].outputs)
    return lambda reader: tuple(written[reader // width])


def collect(by: Sorted, span: int, where: str, shard: Shard) -> list[Counts]:
    """Read one range of the column from some files; write it as one file, sorted and cut for its readers."""
    part = int(shard.name.split("-")[1])
    table = read_range(shard.inputs, by.column, part * span, (part + 1) * span, by.schema)
    order = np.argsort(table[by.column].to_numpy(), kind="stable")
    table = table.take(pa.array(order))
    with shard.parquet(where, by.schema, row_group_bytes=UNBOUNDED, passing=True) as output:
        if by.shift:
            write_by_node(output, table)
        else:
            write_by_partition(output, table, 1)
    return []


def refuse_loss(result: PassResult, over: Mapping[str, tuple[Artifact, ...]], name: str) -> None:
    """A lost partition is not a lost shard: without it duplicates would stay unnoticed, so it ends the stage."""
    lost = sorted(set(over) - set(result.receipts))
    if lost:
        raise CorpusmillError(
            f"dedup could not finish {lost[0]} of its pass {name!r} ({len(lost)} of {len(over)} failed)",
            f"read receipts/{name}/{lost[0]}.json, mend the cause (often memory: raise dedup.partitions), run again",
        )
