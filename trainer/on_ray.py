"""A run whose ranks are workers of Ray Train, on one machine or on a cluster.

Ray places the workers, one a GPU, and starts them together. Inside, each trains as under torchrun.
If one dies, all are started again, and go on from the last checkpoint.
"""

from collections.abc import Mapping, Sequence
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
    not installed, if the cluster is not there or too small, or if the run failed.
    """
    try:
        import ray
        from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
        from ray.train.torch import TorchTrainer
    except ImportError as error:
        raise CorpusmillError(
            f"Ray Train cannot be imported ({error})", "pip install 'ray[train]>=2.51'"
        ) from error
    refuse_ranks(config, config.num_workers)
    if not ray.is_initialized():
        try:
            ray.init()
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise CorpusmillError(
                f"Ray could not be reached ({str(error).strip().splitlines()[0]})",
                "check RAY_ADDRESS, or unset it to start Ray on this machine",
            ) from error
    resources = worker_resources(config, [n["Resources"] for n in ray.nodes() if n["Alive"]])
    trainer = TorchTrainer(
        partial(_rank, [path.resolve() for path in shards], output_folder.resolve(), on_step),
        train_loop_config=config.model_dump(mode="json"),
        scaling_config=ScalingConfig(
            num_workers=config.num_workers,
            use_gpu=resources["GPU"] > 0,
            resources_per_worker=resources,
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


def worker_resources(
    config: TrainConfig, machines: Sequence[Mapping[str, float]]
) -> dict[str, float]:
    """What each worker takes of a machine. `device: auto` is a GPU if the cluster has any.

    machines: what each machine of the cluster has, by Ray's names. Raises CorpusmillError if there
    is no room for all workers, for which Ray would wait without an end.
    """
    gpus = sum(machine.get("GPU", 0) for machine in machines)
    on_gpu = config.device.startswith("cuda") or (config.device == "auto" and gpus > 0)
    needed: dict[str, float] = {"CPU": config.threads or 1, "GPU": int(on_gpu)}
    room = sum(
        int(min(machine.get(kind, 0) // count for kind, count in needed.items() if count))
        for machine in machines
    )
    if room < config.num_workers:
        cpus = sum(machine.get("CPU", 0) for machine in machines)
        each = f"CPUs: {needed['CPU']:.0f}" + (", a GPU" if on_gpu else "")
        raise CorpusmillError(
            f"the Ray cluster (machines: {len(machines)}, CPUs: {cpus:.0f}, GPUs: {gpus:.0f}) has "
            f"room for {room} of {config.num_workers} workers ({each})",
            "start Ray on more machines, or lower num_workers or threads"
            + (", or set device to cpu" if on_gpu else ""),
        )
    return needed


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
