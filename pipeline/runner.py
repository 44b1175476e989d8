"""Where tasks run. A runner takes tasks and yields each with its receipt or failure, in any order, with bounded work in flight.

`InlineRunner` runs them here, one after the other: for debugging, and where Ray is too much. `pipeline.ray_runner` is the other one.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

from manifests.receipt import Receipt
from pipeline.task import Failure, Task, run_task


class Runner(Protocol):
    def run(self, tasks: Iterable[Task], *, holds_engine: bool) -> Iterator[tuple[Task, Receipt | Failure]]:
        """Run every task once. holds_engine: keep the workers between tasks, because they hold a loaded model."""
        ...

    def close(self) -> None: ...


class InlineRunner:
    """Everything in this process, in order."""

    def run(self, tasks: Iterable[Task], *, holds_engine: bool) -> Iterator[tuple[Task, Receipt | Failure]]:
        for task in tasks:
            yield task, run_task(task)

    def close(self) -> None:
        pass


def make_runner(kind: str, ray_address: str | None = None) -> Runner:
    """kind: `ray` (local by default, or the cluster at ray_address) or `inline`."""
    if kind == "inline":
        return InlineRunner()
    from pipeline.ray_runner import RayRunner

    return RayRunner(ray_address)
