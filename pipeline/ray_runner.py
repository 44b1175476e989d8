"""Tasks on Ray. No other file uses Ray.

Ray schedules tasks and keeps the actors that hold a model. Only tasks and receipts go through Ray.
Documents do not: a task reads from storage and writes to storage. If a worker dies (out of memory,
a lost node), its task fails, and the executor tries it once more. A dead actor is replaced.
"""

import logging
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from corpusmill.manifests.errors import CorpusmillError, EngineError
from corpusmill.manifests.receipt import Receipt
from corpusmill.pipeline import display
from corpusmill.pipeline.interrupts import interrupts_deferred, sigterm_kept
from corpusmill.pipeline.runner import R, T
from corpusmill.pipeline.task import Failure, Task, run_task

IN_FLIGHT_PER_CPU = 2  # enough to hide scheduling, few enough to bound the driver's memory
MAPPED_PER_TASK = 4
LOOKED_SECONDS = 10.0  # between two looks at the cluster's size
EXTRA_ACTORS = 2  # that wait for room: enough to ask for a node, few where none can come
PATIENCE_SECONDS = 300.0  # a node takes some minutes to come
FAILED_STARTS = 5  # in a row. A lost node loses some; an image that cannot start loses all


class RayRunner:
    """Runs tasks on a Ray cluster.

    address: of a running cluster (`auto`, `host:port` or `ray://...`). None starts one on this
    machine. workers: how many processors of this machine it may use. None means all. gpus: how
    many an autoscaler brings when tasks ask for them. They need not be there yet.
    """

    def __init__(
        self, address: str | None = None, workers: int | None = None, gpus: int = 0
    ) -> None:
        self._address = address
        self._workers = workers
        self._coming_gpus = gpus
        self._looked = -math.inf

    @property
    def here(self) -> bool:
        return self._address is None

    @cached_property
    def _ray(self) -> Any:
        """Ray, which starts at the first use, so that errors in a command show before it starts.

        Raises EngineError if Ray cannot be reached.
        """
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        display.current().say(
            f"connecting to Ray at {self._address}" if self._address else "starting Ray"
        )
        import ray

        local: dict[str, Any] = {
            "num_cpus": self._workers,
            "include_dashboard": False,
            "object_store_memory": 256 << 20,
        }
        try:
            with interrupts_deferred(), sigterm_kept():
                ray.init(
                    address=self._address or "local",
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    **({} if self._address else local),
                )
        except (ConnectionError, ValueError, RuntimeError) as error:
            where = f"at {self._address}" if self._address else "on this machine"
            raise EngineError(
                f"Ray could not be reached {where} ({_first_line(error)})",
                "check --ray-address (and RAY_AUTH_MODE, RAY_AUTH_TOKEN if the cluster asks for a "
                "token), or use --runner inline",
            ) from error
        return ray

    def run(
        self, tasks: Iterable[Task], *, holds_engine: bool
    ) -> Iterator[tuple[Task, Receipt | Failure]]:
        self._look()
        return self._run_on_actors(tasks) if holds_engine else self._run_as_tasks(tasks)

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        if not items:
            return []
        self._look()
        remote = self._ray.remote(_map)
        flying: dict[Any, int] = {}
        done: dict[int, list[R]] = {}
        for start in range(0, len(items), MAPPED_PER_TASK):
            if len(flying) >= IN_FLIGHT_PER_CPU * self._cpus:
                self._gather(flying, done)
            flying[remote.remote(function, list(items[start : start + MAPPED_PER_TASK]))] = start
        while flying:
            self._gather(flying, done)
        return [result for start in sorted(done) for result in done[start]]

    def _gather(self, flying: dict[Any, int], done: dict[int, list[Any]]) -> None:
        ready, _ = self._ray.wait(list(flying), num_returns=1)
        for reference in ready:
            try:
                done[flying.pop(reference)] = self._ray.get(reference)
            except self._ray.exceptions.RayTaskError as error:
                raise (
                    error.cause if isinstance(error.cause, CorpusmillError | OSError) else error
                ) from None

    def close(self) -> None:
        if "_ray" in vars(self):
            with interrupts_deferred():
                self._ray.shutdown()

    def _look(self, after: float = 0.0) -> None:
        """Read how many processors and GPUs the cluster has, if `after` seconds have passed.

        Nodes come and go during a pass: an autoscaler adds some, others are lost.
        """
        if time.monotonic() - self._looked < after:
            return
        self._looked = time.monotonic()
        resources = self._ray.cluster_resources()
        self._cpus = int(resources.get("CPU", 1))
        self._gpus = max(float(resources.get("GPU", 0)), self._coming_gpus)

    def _options(self, task: Task) -> dict[str, float]:
        gpus = min(task.gpus, self._gpus) if self._gpus else 0
        return {"num_cpus": min(task.cpus, self._cpus), "num_gpus": gpus}

    def _run_as_tasks(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Receipt | Failure]]:
        remote = self._ray.remote(run_task)
        flying: dict[Any, Task] = {}
        for task in tasks:
            while len(flying) >= IN_FLIGHT_PER_CPU * self._cpus:
                yield from self._landed(flying)
                self._look(LOOKED_SECONDS)
            flying[remote.options(max_retries=0, **self._options(task)).remote(task)] = task
        while flying:
            yield from self._landed(flying)

    def _landed(self, flying: dict[Any, Task]) -> Iterator[tuple[Task, Receipt | Failure]]:
        """What ended, if something did in the time between two looks at the cluster."""
        ready, _ = self._ray.wait(list(flying), num_returns=1, timeout=LOOKED_SECONDS)
        for reference in ready:
            yield flying.pop(reference), self._fetch(reference)

    def _fetch(self, reference: Any) -> Receipt | Failure:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            return Failure(f"the worker was lost ({_first_line(error)})")

    def _run_on_actors(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Receipt | Failure]]:
        """Run tasks on actors: as many as have room in the cluster, each with `Task.together`
        tasks a time.

        On a cluster EXTRA_ACTORS more wait for room, so that an autoscaler sees demand. An actor
        gets tasks once it has started, so those that wait hold nothing up. Raises EngineError if
        FAILED_STARTS actors in a row are lost before that.
        """
        waiting = list(tasks)
        if not waiting:
            return
        options, together = self._options(waiting[0]), waiting[0].together
        actor_class = self._ray.remote(_EngineWorker)
        workers: list[_Worker] = []
        starting: dict[Any, _Worker] = {}
        flying: dict[Any, tuple[Task, _Worker]] = {}
        failed_starts, patient_until = 0, time.monotonic() + PATIENCE_SECONDS
        waiting.reverse()
        while waiting or flying:
            self._look(LOOKED_SECONDS)
            wanted = math.ceil(len(waiting) / together) - len(starting)
            if failed_starts >= FAILED_STARTS:  # wait for those that are under way
                wanted = 0
            for _ in range(min(wanted, self._most_actors(options) - len(workers))):
                actor = actor_class.options(
                    max_restarts=0, max_concurrency=together, **options
                ).remote()
                workers.append(_Worker(actor))
                starting[actor.start.remote()] = workers[-1]
            while waiting:
                worker = max(workers, key=lambda worker: worker.places, default=None)
                if worker is None or not worker.places:
                    break
                task = waiting.pop()
                worker.places -= 1
                flying[worker.actor.run.remote(task)] = (task, worker)
            references = [*starting, *flying]
            ready, _ = self._ray.wait(references, num_returns=1, timeout=LOOKED_SECONDS)
            if ready:
                patient_until = math.inf
            elif time.monotonic() > patient_until:
                patient_until = math.inf
                self._say_that_nothing_starts(options)
            for reference in ready:
                result = self._fetch(reference)
                failed = isinstance(result, Failure)
                if reference in flying:
                    task, worker = flying.pop(reference)
                    worker.places += 1
                    failed_starts = 0
                    yield task, result
                else:
                    worker = starting.pop(reference)
                    worker.places = together
                    failed_starts = failed_starts + 1 if failed else 0
                    if failed_starts >= FAILED_STARTS and not (starting or flying):
                        raise EngineError(
                            f"{failed_starts} workers in a row were lost while they started",
                            "look at Ray's logs on the nodes (memory, packages), then start the "
                            "same command again",
                        )
                if failed and worker in workers:  # the actor or its engine may be broken
                    self._end(worker, workers)
            if not waiting:  # an actor without work would keep its room from others
                starting.clear()
                busy = {worker for _, worker in flying.values()}
                for worker in set(workers) - busy:
                    self._end(worker, workers)

    def _say_that_nothing_starts(self, options: dict[str, float]) -> None:
        minutes = f"for {PATIENCE_SECONDS / 60:.0f} minutes"
        if options["num_gpus"] and not self._ray.cluster_resources().get("GPU"):
            text = f"no GPU has come {minutes}; look at the autoscaler, or leave out --ray-gpus"
        else:
            text = f"no worker has found room {minutes}; `ray status` shows what fills the cluster"
        display.current().say(f"{text}. The run waits on")

    def _most_actors(self, options: dict[str, float]) -> int:
        """How many actors with these needs may run or wait for room."""
        room = (
            self._gpus / options["num_gpus"]
            if options["num_gpus"]
            else self._cpus / max(options["num_cpus"], 1)
        )
        return max(1, int(room)) + (0 if self.here else EXTRA_ACTORS)

    def _end(self, worker: "_Worker", workers: list["_Worker"]) -> None:
        self._ray.kill(worker.actor)
        workers.remove(worker)


@dataclass(eq=False)
class _Worker:
    """places: tasks that the actor has room for, 0 before it has started."""

    actor: Any
    places: int = 0


def _map(function: Callable[[T], R], items: list[T]) -> list[R]:
    return list(map(function, items))


class _EngineWorker:
    """Runs tasks in one process, so that a model that a stage caches there stays loaded."""

    def start(self) -> None:
        """Answers once the actor has a place in the cluster and its process runs."""

    def run(self, task: Task) -> Receipt | Failure:
        return run_task(task)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__
