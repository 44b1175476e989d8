"""A run whose ranks are workers of Ray Train, on one machine or on a cluster.

Ray places the workers, one a GPU, and starts them together. Inside, each trains as under torchrun.
If one dies, all are started again, and go on from the last checkpoint.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.settings import build_settings
from corpusmill.trainer import checkpoint
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.ranks import refuse_ranks
from corpusmill.trainer.records import OnStep
from corpusmill.trainer.train import train

RESTARTS = 3


def run_on_ray(
    config: TrainConfig,
    shards: Sequence[Path],
    output_folder: Path,
    on_step: OnStep | None = None,
    restarts: int = RESTARTS,
) -> Path:
    """`train` with `config.num_workers` workers of the Ray cluster of RAY_ADDRESS, or of a new one
    on this machine. Returns the last checkpoint.

    Data and output must lie where every machine sees them. on_step: picklable; called in the first
    worker. restarts: how often the run may lose a worker. Raises CorpusmillError if Ray Train is
    not installed, or if the run failed.
    """
    try:
        from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
        from ray.train.torch import TorchTrainer
    except ImportError as error:
        raise CorpusmillError(
            f"Ray Train cannot be imported ({error})", "pip install 'ray[train]>=2.51'"
        ) from error
    refuse_ranks(config, config.num_workers)
    on_gpu = config.device != "cpu"
    trainer = TorchTrainer(
        partial(_rank, [path.resolve() for path in shards], output_folder.resolve(), on_step),
        train_loop_config=config.model_dump(mode="json"),
        scaling_config=ScalingConfig(
            num_workers=config.num_workers,
            use_gpu=on_gpu,
            resources_per_worker={"CPU": config.threads or 1, "GPU": int(on_gpu)},
        ),
        run_config=RunConfig(
            name="ray",
            storage_path=str(output_folder.resolve()),
            failure_config=FailureConfig(max_failures=restarts),
        ),
    )
    try:
        trainer.fit()
    except TrainingFailedError as error:
        raise _cause(error) from error
    last = checkpoint.latest(output_folder / "checkpoints")
    assert last is not None
    return last


def _rank(
    shards: list[Path], output_folder: Path, on_step: OnStep | None, settings: dict[str, Any]
) -> None:
    """One worker. Ray has set the variables that `trainer.ranks` reads."""
    train(build_settings(TrainConfig, settings), shards, output_folder, on_step)


def _cause(error: Exception) -> CorpusmillError:
    """What ended the run: a worker's own error if it has words for users."""
    for failure in getattr(error, "worker_failures", {}).values():
        cause = getattr(failure, "cause", failure)
        if isinstance(cause, CorpusmillError):
            return cause
    return CorpusmillError(
        f"the workers of Ray failed ({str(error).strip().splitlines()[-1]})",
        "run the same command again: it goes on from the last checkpoint",
    )
