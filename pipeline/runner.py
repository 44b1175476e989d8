"""Where tasks run. A runner takes tasks and yields each with its receipt or failure, in any order, with bounded work in flight.

`InlineRunner` runs them here, one after the other: for debugging, and where Ray is too much. `pipeline.ray_runner` is the other one.
"""

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from corpusmill.manifests.errors import Interrupted, RecipeError
from corpusmill.manifests.looking.tables import finished_text
from corpusmill.manifests.receipt import Receipt
from corpusmill.pipeline.task import Failure, Task, run_task

T = TypeVar("T")
R = TypeVar("R")


class Runner(Protocol):
    def run(
        self, tasks: Iterable[Task], *, holds_engine: bool
    ) -> Iterator[tuple[Task, Receipt | Failure]]:
        """Run every task once. holds_engine: keep the workers between tasks, because they hold a loaded model."""
        ...

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """`function` of every item, in order, wherever tasks run. Raises what it raises."""
        ...

    def close(self) -> None: ...


class InlineRunner:
    """Everything in this process, in order."""

    def run(
        self, tasks: Iterable[Task], *, holds_engine: bool
    ) -> Iterator[tuple[Task, Receipt | Failure]]:
        for task in tasks:
            yield task, run_task(task)

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        return list(map(function, items))

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Where:
    """Where to run. kind: `ray` or `inline`. address: of a running Ray cluster; None: Ray on this machine. workers: how many of its
    processors that may use; None: all."""

    kind: str = "ray"
    address: str | None = None
    workers: int | None = None


@contextmanager
def opened(output: str, where: Where) -> Iterator[Runner]:
    """A runner for work below `output`, closed when the block ends. Ctrl-C ends it with Interrupted, which says what is finished."""
    try:
        with closing(_runner(where)) as runner:
            yield runner
    except KeyboardInterrupt:
        signal.signal(
            signal.SIGINT, signal.SIG_IGN
        )  # it is ending; pressed again, Ctrl-C would only add a traceback
        raise Interrupted(
            f"interrupted; {finished_text(output)}", "run the same command again to go on"
        ) from None


def _runner(where: Where) -> Runner:
    if where.kind == "inline":
        return InlineRunner()
    if where.address and where.workers:
        raise RecipeError(
            "--workers is for Ray on this machine; with --ray-address the cluster decides",
            "leave one of them out",
        )
    from corpusmill.pipeline.ray_runner import RayRunner

    return RayRunner(where.address, where.workers)
