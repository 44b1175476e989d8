"""Tensors that are spread over ranks, and the model spread so (FSDP2, `fully_shard`).

Every layer is one unit: its weights are gathered when it runs, forward and backward, and its
gradients are summed and spread again. The embedding is one more unit; last norm and head are the
last. Weights travel in fp32, so a sharded model computes what a whole one does.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor


def shard(model: nn.Module, units: Iterable[nn.Module], mesh: DeviceMesh) -> None:
    """Spread all parameters over the ranks of a one-dimensional mesh, by rows. units: modules in
    the order of their use; what is in none of them is one unit more.
    """
    for module in (*units, model):
        fully_shard(module, mesh=mesh)
        assert isinstance(module, FSDPModule)
        module.set_gradient_divide_factor(1.0)  # the loss is a sum over ranks, not a mean
        module.set_force_sum_reduction_for_comms(True)  # Gloo cannot multiply and sum at once


def is_sharded(model: nn.Module) -> bool:
    """Whether ranks hold parts of the parameters."""
    return any(isinstance(parameter, DTensor) for parameter in model.parameters())


def local(tensor: Tensor) -> Tensor:
    """This rank's part of a tensor; all of it if it is not sharded."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor. Every rank of its mesh must ask at the same time."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def part_of(value: Tensor, like: Tensor) -> Tensor:
    """This rank's part of a whole value that all ranks have, if it were sharded as `like` is."""
    if not isinstance(like, DTensor):
        return value
    spread = distribute_tensor(
        value.to(like.device), like.device_mesh, like.placements, src_data_rank=None
    )
    return spread.to_local()


@torch.no_grad()
def put(target: Tensor, value: Tensor) -> None:
    """Copy a whole value, which all ranks have, into a tensor that may be sharded."""
    local(target).copy_(part_of(value, target))
