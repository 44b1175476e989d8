"""Train and compare the arms of docs/proof.md on one machine without Ray.

    python benchmarks/proof.py OUT [--steps ablate-14m,...] [--processes 6] [--seconds N]

It runs steps of `proof_models.yaml`, `OUT/STEP` each: the same work as `corpusmill ablate`, with
processes of this machine in place of Ray's, side by side on its GPU. Seeds come one after the
other: if --seconds end before the work does, what is left is a comparison of whole seeds.
The step's summary and the runs' times are printed.
"""

import argparse
import dataclasses
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT.parent))

from corpusmill.manifests.receipt import Receipt  # noqa: E402
from corpusmill.pipeline.recipe import resolve_references, step_alone  # noqa: E402
from corpusmill.pipeline.run import run_step  # noqa: E402
from corpusmill.pipeline.task import Failure, Task, run_task  # noqa: E402


class Processes:
    """A runner of tasks: `number` processes, which stay for all passes.

    No task begins after `until` (seconds of the monotonic clock); one that would is a failure.
    """

    here = True

    def __init__(self, number: int, until: float) -> None:
        self.until = until
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(number, mp_context=context)

    def run(
        self, tasks: Iterable[Task], *, holds_engine: bool
    ) -> Iterator[tuple[Task, Receipt | Failure]]:
        waiting = sorted(tasks, key=_seed)
        flying: dict[Future[Receipt | Failure], Task] = {
            self._pool.submit(_begun_by, self.until, task): task for task in waiting
        }
        for done in as_completed(flying):
            task, result = flying[done], done.result()
            if isinstance(result, Receipt):
                print(f"{time.strftime('%X')} {task.shard}: {result.seconds:.0f} s", flush=True)
            else:
                print(f"{task.shard}: {result.message}\n{result.detail}", flush=True)
            yield task, result

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        return list(map(function, items))

    def close(self) -> None:
        self._pool.shutdown()


def _seed(task: Task) -> int:
    return int(json.loads(task.shard_settings)["seed"]) if task.shard_settings else 0


def _begun_by(until: float, task: Task) -> Receipt | Failure:
    if task.gpus and time.monotonic() > until:
        return Failure("the time is over")
    return run_task(task)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, help="the output folder of proof.yaml")
    parser.add_argument("--steps", default="ablate-14m,ablate-44m")
    parser.add_argument("--processes", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=1e9, help="no run begins after these")
    parser.add_argument("--recipe", default=str(ROOT / "benchmarks" / "proof_models.yaml"))
    parser.add_argument("--set", action="append", default=[], metavar="STEP.KEY=VALUE")
    arguments = parser.parse_args()
    started = time.monotonic()
    runner = Processes(arguments.processes, started + arguments.seconds)
    for name in arguments.steps.split(","):
        if time.monotonic() > started + arguments.seconds:
            break
        changes = [change for change in arguments.set if change.startswith(f"{name}.")]
        step = step_alone("ablate", arguments.recipe, changes, name)
        # Plain paths: `proof_carry.py` unpacks a tokenizer, and no stage's folder around it.
        settings = resolve_references(dict(step.settings), lambda of: str(arguments.out / of))
        step = dataclasses.replace(step, settings=settings)
        run_step(step, (), str(arguments.out / name), runner)
        print((arguments.out / name / "summary.txt").read_text())
        print(f"{name}: {time.monotonic() - started:.0f} s since the start", flush=True)
    runner.close()


if __name__ == "__main__":
    main()
