"""The options of every verb that runs stages: where the work runs, and what shows on the screen."""

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import Signature, signature
from typing import TYPE_CHECKING, Any

from corpusmill.commands.exit_codes import exit_code
from corpusmill.commands.options import (
    LogKind,
    LogOption,
    MaxHours,
    MetricsOption,
    Quiet,
    RayAddress,
    RayGpus,
    Replace,
    RunnerKind,
    RunnerOption,
    Verbose,
    Workers,
)
from corpusmill.manifests.errors import CorpusmillError

if TYPE_CHECKING:
    from corpusmill.pipeline.display import Display
    from corpusmill.pipeline.placement import Placement
    from corpusmill.pipeline.runner import Runner


@dataclass(frozen=True)
class RunOptions:
    """What a verb gets that runs stages.

    placement: where the shards are worked off. display: what shows the progress. replace: whether
    --output may be written again.
    """

    placement: "Placement"
    display: "Display"
    replace: bool

    @contextmanager
    def runner(self, output: str) -> Iterator["Runner"]:
        """The runner for work below `output`, with progress on the screen."""
        from corpusmill.pipeline.display import showing
        from corpusmill.pipeline.placement import open_runner

        with showing(self.display):
            try:
                with open_runner(output, self.placement) as runner:
                    yield runner
            except CorpusmillError as error:
                if self.display.error(str(error)):
                    sys.exit(exit_code(error))
                raise


def _collected(
    runner: RunnerOption = RunnerKind.auto,
    ray_address: RayAddress = None,
    workers: Workers = None,
    ray_gpus: RayGpus = 0,
    replace: Replace = False,
    log: LogOption = LogKind.auto,
    quiet: Quiet = False,
    verbose: Verbose = False,
    max_hours: MaxHours = None,
    metrics: MetricsOption = None,
) -> RunOptions:
    from corpusmill.pipeline.placement import Placement
    from corpusmill.pipeline.screen import chosen_display

    display = chosen_display(log.value, quiet, verbose)
    if metrics is not None:
        from corpusmill.pipeline.metrics import Metrics

        display = Metrics(display, metrics)
    placement = Placement(runner.value, ray_address, workers, ray_gpus, max_hours)
    return RunOptions(placement, display, replace)


def with_run_options(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with the options of `_collected` in place of its parameter `options`.

    typer reads a function's parameters and makes an option of each.
    """
    shared = signature(_collected).parameters
    own = signature(command).parameters
    parameters = [*(own[name] for name in own if name != "options"), *shared.values()]

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        options = _collected(**{name: given.pop(name) for name in shared})
        command(**given, options=options)

    wrapped.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {item.name: item.annotation for item in parameters}
    return wrapped
