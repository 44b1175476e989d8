"""How the cost of dedup grows with the corpus: CPU seconds a million documents, pass by pass.

    python benchmarks/dedup_growth.py [--docs 10000000] [--small 100000] [--every 30]
        [--partitions N] [--data FOLDER] [--work FOLDER]

Everything runs in one process. A processor that others use, or whose memory others use, does not
take the same time for the same work all day. So after every `--every` CPU seconds of the large run,
a process of its own dedups the first `--small` documents of the same corpus. The growth is the
large run's seconds a document over the mean of the small runs'. Compiling kernels and loading
libraries is not counted, and the small runs are not counted in the large one's seconds.

The corpus is that of `dedup_corpus.write_scaling_corpus`. It takes 0.9 GB a million documents on
disk, and as much again for the output. A corpus that is already in `--work` is used again. The
benchmark prints a table, then one line of JSON.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from corpusmill.manifests.receipt import Receipt  # noqa: E402
from corpusmill.pipeline.recipe import Step  # noqa: E402
from corpusmill.pipeline.run import run_step  # noqa: E402
from corpusmill.pipeline.runner import InlineRunner  # noqa: E402
from corpusmill.pipeline.task import Failure, Task, run_task  # noqa: E402

from benchmarks import dedup_corpus  # noqa: E402 - the checkout is the package
from benchmarks.memory import peak_mb  # noqa: E402


class Timed(InlineRunner):
    """Runs everything in this process. Adds up CPU seconds by pass; calls `between` after tasks."""

    def __init__(self, between: Callable[[], None] = lambda: None) -> None:
        self.seconds: dict[str, float] = {}
        self._between = between

    def run(
        self, tasks: Iterable[Task], *, holds_engine: bool
    ) -> Iterator[tuple[Task, Receipt | Failure]]:
        for task in tasks:
            started = time.process_time()
            done = run_task(task)
            self.seconds[task.pass_name] = (
                self.seconds.get(task.pass_name, 0.0) + time.process_time() - started
            )
            yield task, done
            self._between()


def measure(
    paths: list[str],
    folder: Path,
    partitions: int | None,
    between: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Run the stage over the shards, and leave nothing in `folder`.

    Returns CPU seconds in all and by pass, and the peak of resident memory in MiB.
    """
    step = Step("dedup", "dedup", settings={"partitions": partitions} if partitions else {})
    few = folder / "few.parquet"
    few.parent.mkdir(parents=True)
    rows = pq.read_table(paths[0]).slice(0, 200)
    pq.write_table(rows, few)
    pq.write_table(rows, folder / "same.parquet")
    run_step(step, (str(few), str(folder / "same.parquet")), str(folder / "warm"), InlineRunner())
    runner = Timed(between)
    started = time.process_time()
    manifest = run_step(step, tuple(paths), str(folder / "out"), runner)
    seconds = time.process_time() - started
    kept = sum(artifact.rows for artifact in manifest.documents())
    shutil.rmtree(folder)
    return {"cpu": seconds, "passes": runner.seconds, "peak_mb": peak_mb(), "kept": kept}


def in_a_process(paths: list[str], folder: Path) -> dict[str, Any]:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--only", str(folder), *paths]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def growth(paths: list[str], options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Run the large run, with small ones in between."""
    few = paths[: -(-options.small // dedup_corpus.SHARD_ROWS)]
    in_a_process(few, work / "small")  # numba compiles into its cache
    small: list[dict[str, Any]] = []
    last = [time.process_time()]

    def between() -> None:
        if time.process_time() - last[0] > options.every:
            small.append(in_a_process(few, work / "small"))
            print(f"small run: {small[-1]['cpu'] / options.small * 1e6:.1f}", file=sys.stderr)
            last[0] = time.process_time()

    large = measure(paths, work / "large", options.partitions, between)
    small = small or [in_a_process(few, work / "small")]
    each = [run["cpu"] / options.small * 1e6 for run in small]
    print(f"{'pass':22}{options.docs:>12}{options.small:>12}   CPU seconds a million documents")
    for name, seconds in large["passes"].items():
        usual = statistics.mean(run["passes"].get(name, 0.0) for run in small)
        print(f"{name:22}{seconds / options.docs * 1e6:12.2f}{usual / options.small * 1e6:12.2f}")
    return {
        "documents": options.docs,
        "kept": large["kept"],
        "cpu_s_per_million": round(large["cpu"] / options.docs * 1e6, 2),
        "small_cpu_s_per_million": round(statistics.mean(each), 2),
        "small_runs": len(each),
        "small_deviation": round(statistics.stdev(each), 2) if len(each) > 1 else None,
        "growth": round(large["cpu"] / options.docs * 1e6 / statistics.mean(each), 3),
        "peak_mb": round(large["peak_mb"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--docs", type=int, default=10_000_000)
    parser.add_argument("--small", type=int, default=100_000)
    parser.add_argument(
        "--every",
        type=float,
        default=30,
        help="CPU seconds of the large run between two small ones",
    )
    parser.add_argument(
        "--partitions", type=int, help="of the large run; by default what the stage chooses"
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--work", type=Path, help="where to write; by default a temporary folder")
    parser.add_argument("--only", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options.only[1:], Path(options.only[0]), None)))
        return
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        corpus = (options.work or Path(folder)) / f"growth-{options.docs}"
        if len(list(corpus.glob("*.parquet"))) * dedup_corpus.SHARD_ROWS < options.docs:
            real = dedup_corpus.real_documents(options.data, Path(folder))
            dedup_corpus.write_scaling_corpus(real, options.docs, corpus)
        paths = [os.fspath(path) for path in sorted(corpus.glob("*.parquet"))]
        print(json.dumps(growth(paths, options, Path(folder))))


if __name__ == "__main__":
    main()
