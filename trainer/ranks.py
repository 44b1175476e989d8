"""The processes of one run: who they are, and what they sum.

Ranks form a mesh of replicas x shards. The ranks of one row hold one copy of the weights together
(`trainer.sharding`); every row holds one. With `shard_ranks: 1` each rank has a whole copy, and
gradients are summed once a step.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.trainer import fp8
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.sharding import local
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor

REPLICAS, SHARDS = "replicas", "shards"
PATIENCE = timedelta(days=30)  # of ranks that wait for work of the first one alone
LINKING = timedelta(minutes=5)  # gloo waits five times as long for a connection


@dataclass(frozen=True)
class Ranks:
    """This process among all of the run.

    mesh: None if it is the only one. patient: all ranks, for `wait_long`.
    """

    device: torch.device
    rank: int = 0
    count: int = 1
    mesh: DeviceMesh | None = None
    patient: dist.ProcessGroup | None = None

    @property
    def first(self) -> bool:
        """Whether this rank writes logs and checkpoints."""
        return self.rank == 0

    @property
    def shards(self) -> DeviceMesh | None:
        """The ranks that hold one copy of the weights together; None if each has its own."""
        if self.mesh is None or self.mesh[SHARDS].size() == 1:
            return None
        return self.mesh[SHARDS]

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all ranks, in place."""
        if self.mesh is not None:
            dist.all_reduce(tensor)
        return tensor

    def sum_gradients(self, model: nn.Module) -> None:
        """Sum the gradients over all ranks. Of sharded ones the backward has summed those of one
        row of the mesh, so the replicas are left.
        """
        if self.mesh is None:
            return
        replicas = self.mesh[REPLICAS].get_group()
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.grad is None:
                # Nothing of this rank's rows reached it. The others wait for its part all the same.
                parameter.grad = torch.zeros_like(parameter)
        works = [
            dist.all_reduce(
                local(parameter.grad),
                group=replicas if isinstance(parameter, DTensor) else None,
                async_op=True,
            )
            for parameter in model.parameters()
            if parameter.grad is not None
        ]
        for work in works:
            if work is not None:
                work.wait()

    def wait(self) -> None:
        """Wait until every rank is here."""
        if self.mesh is not None:
            dist.barrier()

    def wait_long(self) -> None:
        """Wait until every rank is here, even if one has an hour's work to do before.

        In any other operation NCCL takes a rank that is ten minutes late for a dead one. If a rank
        does die, the launcher ends those that wait here.
        """
        if self.patient is not None:
            dist.barrier(group=self.patient)


def under_launcher() -> bool:
    """Whether `torchrun`, or the like, started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_first() -> bool:
    """Whether this process writes logs and checkpoints. Known before the ranks have joined."""
    return not under_launcher() or int(os.environ["RANK"]) == 0


@contextmanager
def joined(config: TrainConfig) -> Iterator[Ranks]:
    """This process's place in the run, by the variables that `torchrun` sets (RANK, WORLD_SIZE,
    LOCAL_RANK, MASTER_ADDR, MASTER_PORT). Alone without them.

    Raises CorpusmillError if the ranks do not fit the settings or the machine, or cannot reach each
    other.
    """
    if not under_launcher():
        yield Ranks(device_of(config))
        return
    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if config.num_workers not in (1, count):
        raise CorpusmillError(
            f"num_workers is {config.num_workers}, and {count} processes were started",
            f"set num_workers to {count}, or leave it out",
        )
    refuse_ranks(config, count)
    device = device_of(config)
    if device.type == "cuda":
        number = int(os.environ.get("LOCAL_RANK", "0"))
        if number >= torch.cuda.device_count():
            raise CorpusmillError(
                f"rank {rank} finds {torch.cuda.device_count()} GPUs and needs its own",
                "start at most as many ranks on a machine as it has GPUs",
            )
        device = torch.device("cuda", number)
        torch.cuda.set_device(device)
    made = not dist.is_initialized()  # Ray Train has made the group before
    if made:
        backend = "nccl" if device.type == "cuda" else "gloo"
        with _linking():
            dist.init_process_group(backend, device_id=_bound(device))
    try:
        shards = config.shard_ranks
        with _linking():
            mesh = init_device_mesh(
                device.type, (count // shards, shards), mesh_dim_names=(REPLICAS, SHARDS)
            )
            patient = _patient_group()
        yield Ranks(device, rank, count, mesh, patient)
    finally:
        if made:
            dist.destroy_process_group()


@contextmanager
def _linking() -> Iterator[None]:
    """The block connects the ranks. Raises CorpusmillError if gloo finds no way between them."""
    try:
        yield
    except RuntimeError as error:
        if "gloo" not in str(error).lower():
            raise
        raise CorpusmillError(
            f"the processes of the run cannot reach each other ({str(error).splitlines()[0]})",
            "set GLOO_SOCKET_IFNAME to the network interface that joins the machines",
        ) from error


def _patient_group() -> dist.ProcessGroup:
    """All ranks, for `wait_long`. Only its waits are patient: it connects within `LINKING`."""
    group: dist.ProcessGroup = dist.new_group(backend="gloo", timeout=LINKING)
    dist.distributed_c10d._set_pg_timeout(PATIENCE, group)
    return group


def refuse_ranks(config: TrainConfig, count: int) -> None:
    """Raises CorpusmillError if `count` ranks cannot share the batch and the weights evenly."""
    if config.batch_size % (count * config.rows_of_rank(count)):
        raise CorpusmillError(
            f"a batch of {config.batch_size} sequences cannot be shared by {count} ranks in "
            f"micro-batches of {config.rows_of_rank(count)}",
            "make batch_size a multiple of num_workers x micro_batch_size",
        )
    if count % config.shard_ranks:
        raise CorpusmillError(
            f"shard_ranks {config.shard_ranks} does not divide the {count} ranks",
            "choose a divisor",
        )


def refuse_machine(config: TrainConfig) -> None:
    """Raises CorpusmillError if `num_workers` processes cannot train on this machine alone."""
    gpus = torch.cuda.device_count()
    if device_of(config).type == "cuda" and gpus < config.num_workers:
        raise CorpusmillError(
            f"num_workers {config.num_workers} needs as many GPUs, and this machine has {gpus}",
            "lower num_workers, or start one process a GPU on several machines with torchrun",
        )


def device_of(config: TrainConfig) -> torch.device:
    """The device of a run. Raises CorpusmillError if it is not there, or lacks what is asked."""
    device = find_device(config.device)
    if config.precision != "plain":
        fp8.refuse_device(device)
    if config.cuda_graph is True and device.type != "cuda":
        raise CorpusmillError(
            f"cuda_graph needs a GPU, and this run is on {device}", "set cuda_graph to false"
        )
    return device


def find_device(name: str) -> torch.device:
    """The device of a setting. Raises CorpusmillError if there is none."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    gpus = torch.cuda.device_count()
    if (device.type == "cuda" and (device.index or 0) >= gpus) or (
        device.type == "mps" and not torch.backends.mps.is_available()
    ):
        raise CorpusmillError(
            f"there is no device {name} here ({gpus} CUDA GPUs)", "set device to cpu or auto"
        )
    return device


def compute_dtype(name: str, device: torch.device) -> torch.dtype:
    """The dtype of a setting. auto: bfloat16 on a GPU, else float32."""
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    found: torch.dtype = getattr(torch, name)
    return found


def _bound(device: torch.device) -> torch.device | None:
    return device if device.type == "cuda" else None
