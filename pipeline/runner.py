"""Runners: a runner takes tasks and yields each with its receipt or failure, in any order.

`InlineRunner` runs them in this process, one after the other. `pipeline.ray_runner` runs them on
Ray. `pipeline.placement` chooses one of the two.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from corpusmill.manifests.receipt import Receipt
from corpusmill.pipeline.task import Failure, Task, run_task

T = TypeVar("T")
R = TypeVar("R")


class Runner(Protocol):
    """Runs tasks. The number of tasks that run at a time is bounded.

    here: whether all tasks run on this machine.
    """

    @property
    def here(self) -> bool: ...

    def run(
        self, tasks: Iterable[Task], *, holds_engine: bool
    ) -> Iterator[tuple[Task, Receipt | Failure]]:
        """Run every task once. holds_engine: keep the workers, because they hold a loaded model."""
        ...

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """`function` of every item, in order. It runs where tasks run. Its errors are raised."""
        ...

    def close(self) -> None: ...


class InlineRunner:
    """Runs tasks in this process, one after the other."""

    here = True

    def run(
        self, tasks: Iterable[Task], *, holds_engine: bool
    ) -> Iterator[tuple[Task, Receipt | Failure]]:
        for task in tasks:
            yield task, run_task(task)

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        return list(map(function, items))

    def close(self) -> None:
        pass
