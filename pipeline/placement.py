"""The choice of a runner: Ray or this process. The user chooses, or the size of the work decides.

Ray takes 10 to 20 seconds to start. A stage with little input takes less.
"""

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from corpusmill.manifests.errors import Interrupted, RecipeError, TimeUp
from corpusmill.manifests.looking.tables import finished_text
from corpusmill.manifests.receipt import Receipt
from corpusmill.pipeline.runner import InlineRunner, R, Runner, T
from corpusmill.pipeline.task import Failure, Task

KINDS = ("auto", "ray", "inline")
INLINE_BYTES = 64 << 20  # a pass that reads less runs in this process
INLINE_ENGINE_BYTES = 1 << 20  # the same if a model writes or scores text, which takes longer


@dataclass(frozen=True)
class Placement:
    """Where a run works.

    kind: `auto`, `ray` or `inline`. With an address, workers or gpus, `auto` means `ray`.
    address: of a running Ray cluster. None means Ray on this machine.
    workers: how many processors of this machine Ray may use. None means all.
    gpus: how many the cluster's autoscaler brings when tasks ask for them.
    max_hours: after so long, no shard is begun. None means no limit.
    """

    kind: str = "auto"
    address: str | None = None
    workers: int | None = None
    gpus: int = 0
    max_hours: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise RecipeError(
                f"there is no runner {self.kind!r}", f"take one of {', '.join(KINDS)}"
            )
        if self.workers is not None and self.workers < 1:
            raise RecipeError(f"workers is {self.workers}", "give at least 1, or None for all")


@contextmanager
def open_runner(output: str, placement: Placement) -> Iterator[Runner]:
    """A runner for work below `output`. It is closed when the block ends.

    After Ctrl-C or a SIGTERM the block raises Interrupted, which says what is finished. It raises
    TimeUp if `max_hours` ended it.
    """
    hours = placement.max_hours
    until = math.inf if hours is None else time.time() + 3600 * hours
    mend = "run the same command again to go on"
    try:
        with stopped_by_sigterm(), closing(_runner(placement)) as runner:
            yield runner if hours is None else TimedRunner(runner, until)
    except TimeUp:
        raise TimeUp(f"{hours:g} hours are up; {finished_text(output)}", mend) from None
    except KeyboardInterrupt:
        # The run is ending. A second Ctrl-C would only print a traceback.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise Interrupted(f"interrupted; {finished_text(output)}", mend) from None


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """While the block runs, SIGTERM acts as Ctrl-C, so that the run lets go of its lease.

    Schedulers send it. Nothing changes in a thread, or if the process has another handler.
    """

    def press(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    ):
        yield
        return
    signal.signal(signal.SIGTERM, press)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class TimedRunner:
    """A runner that begins no task after `until`, in seconds since 1970. Begun tasks end."""

    def __init__(self, runner: Runner, until: float) -> None:
        self._runner = runner
        self._until = until

    @property
    def here(self) -> bool:
        return self._runner.here

    def run(
        self, tasks: Iterable[Task], *, holds_engine: bool
    ) -> Iterator[tuple[Task, Receipt | Failure]]:
        timed = (replace(task, until=self._until) for task in tasks)
        return self._runner.run(timed, holds_engine=holds_engine)

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        return self._runner.map(function, items)

    def close(self) -> None:
        self._runner.close()


class AutoRunner:
    """Runs a small pass in this process and a large one on Ray. Once Ray runs, it runs all."""

    here = True

    def __init__(self) -> None:
        self._inline = InlineRunner()
        self._ray: Runner | None = None

    def run(
        self, tasks: Iterable[Task], *, holds_engine: bool
    ) -> Iterator[tuple[Task, Receipt | Failure]]:
        waiting = list(tasks)
        size = sum(artifact.size for task in waiting for artifact in task.inputs)
        small = size < (INLINE_ENGINE_BYTES if holds_engine else INLINE_BYTES)
        return self._chosen(small).run(waiting, holds_engine=holds_engine)

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        if self._ray is not None or len(items) < 2:
            return self._chosen(small=True).map(function, items)
        with ThreadPoolExecutor(os.cpu_count()) as threads:  # hashing releases the GIL
            return list(threads.map(function, items))

    def close(self) -> None:
        if self._ray is not None:
            self._ray.close()

    def _chosen(self, small: bool) -> Runner:
        if self._ray is None and not small:
            self._ray = _ray_runner(Placement())
        return self._ray or self._inline


def _runner(placement: Placement) -> Runner:
    if placement.kind == "inline":
        return InlineRunner()
    if placement.kind == "auto" and not (placement.address or placement.workers or placement.gpus):
        return AutoRunner()
    return _ray_runner(placement)


def _ray_runner(placement: Placement) -> Runner:
    if placement.address and placement.workers:
        raise RecipeError(
            "--workers is for Ray on this machine; with --ray-address the cluster decides",
            "leave one of them out",
        )
    if placement.gpus and not placement.address:
        raise RecipeError(
            "--ray-gpus is for a Ray cluster; on this machine, Ray counts the GPUs",
            "give --ray-address, or leave --ray-gpus out",
        )
    from corpusmill.pipeline.ray_runner import RayRunner

    return RayRunner(placement.address, placement.workers, placement.gpus)
