"""The matching half of dedup at scale, on keys without texts: memory, time and rounds.

    python benchmarks/dedup_scale.py [--docs 20000000] [--shard-docs 500000] [--partitions N]
        [--work FOLDER]

Every document gets an exact key and 14 band keys, as with 14 x 8. Seven tenths of the documents are
alone. The others belong to clusters whose sizes follow a power law. Each of their band keys is
their cluster's with probability 0.6. So chains hold the clusters together, over many shards. One
document in a thousand is the same page. The passes sign (which writes the made keys), match,
components-N and clusters then run as in the stage, in one process. Its peak memory is what a worker
and the driver need together.

The benchmark prints each pass, checks the clusters against the planted ones, and prints one line of
JSON.
"""

import argparse
import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow.parquet as pq

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from corpusmill.manifests.receipt import Counts  # noqa: E402
from corpusmill.manifests.shard import Shard  # noqa: E402
from corpusmill.pipeline.execute import Job, execute  # noqa: E402
from corpusmill.pipeline.runner import InlineRunner  # noqa: E402
from corpusmill.pipeline.task import Task  # noqa: E402
from corpusmill.stages.contract import GlobalStage, Inputs, Pass, Passes  # noqa: E402
from corpusmill.stages.dedup.match import write_keys  # noqa: E402
from corpusmill.stages.dedup.stage import PARTITION_ROWS, candidate_clusters  # noqa: E402
from corpusmill.stages.shuffle.row_groups import ROW_BITS  # noqa: E402

from benchmarks.memory import peak_mb  # noqa: E402 - the checkout is the package

BANDS = 14
SAME_PAGE = 0.001
SHARED_KEY = 0.6
MEAN_SIZE = 3


def mixed(value: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def planted(documents: int, shard: int, rows: int) -> np.ndarray:
    """The cluster of each document of a shard.

    0 is the page that is everywhere. Documents that are alone have numbers from 2**40 on.
    """
    source = np.random.default_rng([1, shard])
    kind = source.random(rows)
    clusters = max(1, int(0.3 * documents / MEAN_SIZE))
    # Early clusters are larger.
    grouped = 1 + (clusters * source.random(rows) ** 1.5).astype(np.uint64)
    alone = np.uint64(1 << 40) + np.uint64(shard << 24) + np.arange(rows, dtype=np.uint64)
    return np.where(kind < SAME_PAGE, np.uint64(0), np.where(kind < 0.3, grouped, alone))


def make_keys(documents: int, partitions: int, shard: Shard) -> list[Counts]:
    """Write the shard's keys. It takes the place of the pass sign."""
    number, rows = (int(part) for part in shard.name.split("-"))
    cluster = planted(documents, number, rows)
    source = np.random.default_rng([2, number])
    own = (np.uint64(number << 24) + np.arange(rows, dtype=np.uint64) + np.uint64(1)) << np.uint64(
        5
    )
    keys = np.empty((rows, 1 + BANDS), np.uint64)
    same = cluster == 0
    keys[:, 0] = np.where(same, np.uint64(7), mixed(own))
    for band in range(1, 1 + BANDS):
        shared = (source.random(rows, np.float32) < SHARED_KEY) | same
        keys[:, band] = mixed(
            np.where(shared, (cluster << np.uint64(5)) ^ np.uint64(1 << 63), own) + np.uint64(band)
        )
    row = np.repeat(np.arange(rows, dtype=np.uint64), 1 + BANDS)
    write_keys(shard, keys.reshape(-1), row, partitions)
    return []


class Matching(GlobalStage):
    """The middle of the dedup stage as a stage of its own."""

    name: ClassVar[str] = "matching"
    version: ClassVar[int] = 1

    documents: int
    shard_documents: int
    partitions: int

    def passes(self, inputs: Inputs) -> Passes:
        shards = [
            f"{number:06d}-{min(self.shard_documents, self.documents - start)}"
            for number, start in enumerate(range(0, self.documents, self.shard_documents))
        ]
        work = partial(make_keys, self.documents, self.partitions)
        signed = yield Pass("sign", dict.fromkeys(shards, ()), work, final=True)
        yield from candidate_clusters(signed.outputs("work/sign"), self.partitions, len(shards))


class Watching(InlineRunner):
    """Prints each pass: its time, its output, and the process's peak memory so far."""

    def run(self, tasks: Any, *, holds_engine: bool) -> Any:
        todo: list[Task] = list(tasks)
        started, written, files = time.process_time(), 0, 0
        for task, result in super().run(todo, holds_engine=holds_engine):
            written += sum(output.size for output in getattr(result, "outputs", ()))
            files += len(getattr(result, "outputs", ()))
            yield task, result
        if todo:
            seconds = time.process_time() - started
            line = (
                f"{todo[0].pass_name:14} {len(todo):5} tasks {seconds:8.1f} CPU s "
                f"{written / 1e6:9.0f} MB {files:6} files"
            )
            print(f"{line}  peak {peak_mb():6.0f} MB", flush=True)


def check(stage: Matching, folder: Path) -> tuple[int, int]:
    """(documents in found clusters over several shards, those among them in a wrong cluster).

    A cluster is wrong for a document if it also has documents of another planted cluster.
    """
    found = [pq.read_table(path) for path in sorted(folder.glob("work/clusters/*.parquet"))]
    node = np.concatenate([table["node"].to_numpy() for table in found])
    component = np.concatenate([table["component"].to_numpy() for table in found])
    home, row = (
        (node >> np.uint64(ROW_BITS)).astype(int),
        (node & np.uint64((1 << ROW_BITS) - 1)).astype(int),
    )
    truth = np.empty(len(node), np.uint64)
    for number, start in enumerate(range(0, stage.documents, stage.shard_documents)):
        here = home == number
        rows = min(stage.shard_documents, stage.documents - start)
        truth[here] = planted(stage.documents, number, rows)[row[here]]
    order = np.argsort(component, kind="stable")
    mixed_up = (component[order][1:] == component[order][:-1]) & (
        truth[order][1:] != truth[order][:-1]
    )
    return len(node), int(mixed_up.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--docs", type=int, default=20_000_000)
    parser.add_argument("--shard-docs", type=int, default=500_000)
    parser.add_argument("--partitions", type=int)
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    partitions = options.partitions or max(1, -(-options.docs // PARTITION_ROWS))
    stage = Matching(
        documents=options.docs, shard_documents=options.shard_docs, partitions=partitions
    )
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        cpu, wall = time.process_time(), time.perf_counter()
        job = Job(stage, ("matching",), {}, Inputs(folder), ())
        manifest = execute(job, Watching())
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        peak, rounds = peak_mb(), sum(name.startswith("components") for name in manifest.timing)
        linked, wrong = check(stage, Path(folder))
    figures = {
        "docs": options.docs,
        "partitions": partitions,
        "rounds": rounds,
        "cpu_seconds": cpu,
        "wall_seconds": wall,
    }
    figures |= {"peak_mb": peak, "linked": linked, "wrongly_linked": wrong}
    print(json.dumps({key: round(value, 1) for key, value in figures.items()}))


if __name__ == "__main__":
    main()
