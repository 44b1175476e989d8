"""Tensors that are spread over ranks, and the model spread so (FSDP2, `fully_shard`).

Every layer is one unit: its matrices are gathered when it runs, forward and backward, and their
gradients are summed in fp32 and spread again. The embedding is one more unit; last norm and head
are the last. Matrices of layers travel in the dtype in which they are used, so a sharded model
computes what a whole one does. Embedding and head travel in fp32, because their gradients are sums
that bf16 would round. What is small in a layer (norms, convolution, decay rates) is whole on every
rank, and is a plain tensor.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import (
    FSDPModule,
    MixedPrecisionPolicy,
    fully_shard,
    register_fsdp_forward_method,
)
from torch.distributed.tensor import DTensor, distribute_tensor


def shard(
    model: nn.Module,
    embedding: nn.Module,
    layers: Iterable[nn.Module],
    mesh: DeviceMesh,
    dtype: torch.dtype,
    once_a_step: bool,
    methods: Iterable[str] = (),
) -> None:
    """Spread the parameters over the ranks of a one-dimensional mesh, by rows.

    dtype: of the matrices of the layers when they are used. once_a_step: gathered weights stay
    until `keep_gathered` or `release` says otherwise. methods: of the model that gather weights as
    its `forward` does.
    """
    after_forward = False if once_a_step else None  # None: all but the last unit are given back
    policy = MixedPrecisionPolicy(
        param_dtype=dtype, reduce_dtype=torch.float32, cast_forward_inputs=False
    )
    small: set[nn.Parameter] = set()
    for layer in layers:
        matrices = {module.weight for module in layer.modules() if isinstance(module, nn.Linear)}
        others = set(layer.parameters()) - matrices
        fully_shard(
            layer,
            mesh=mesh,
            reshard_after_forward=after_forward,
            mp_policy=policy,
            ignored_params=others,
        )
        small |= others
    for module in (embedding, model):
        fully_shard(module, mesh=mesh, reshard_after_forward=after_forward, ignored_params=small)
    for method in methods:
        register_fsdp_forward_method(model, method)
    for unit in _units(model):
        unit.set_gradient_divide_factor(1.0)  # the loss is a sum over ranks, not a mean
        unit.set_force_sum_reduction_for_comms(True)  # Gloo cannot multiply and sum at once


def keep_gathered(model: nn.Module, keep: bool) -> None:
    """Whether the next backward leaves the weights gathered. The last one of a step must not."""
    if isinstance(model, FSDPModule):
        model.set_reshard_after_backward(not keep)


def release(model: nn.Module) -> None:
    """Give back the weights that a forward without a backward has gathered."""
    for unit in _units(model):
        unit.reshard()


def _units(model: nn.Module) -> list[FSDPModule]:
    return [module for module in model.modules() if isinstance(module, FSDPModule)]


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


@torch.no_grad()
def clip_gradients(model: nn.Module, largest: float) -> Tensor:
    """Scale all gradients so that their norm is at most `largest`. Returns the norm before."""
    trained = [parameter for parameter in model.parameters() if parameter.grad is not None]
    sharded = [parameter for parameter in trained if isinstance(parameter, DTensor)]
    plain = [parameter for parameter in trained if not isinstance(parameter, DTensor)]
    kinds = [kind for kind in (sharded, plain) if kind]  # one call cannot take both
    if not kinds:  # only the parts of images learn, and the batch has none
        return torch.zeros((), device=next(model.parameters()).device)
    norms = [whole(_norm_of_gradients(parameters)) for parameters in kinds]
    norm = norms[0] if len(norms) == 1 else torch.stack(norms).norm()
    for parameters in kinds:
        nn.utils.clip_grads_with_norm_(parameters, largest, norm)
    return norm


def _norm_of_gradients(parameters: Iterable[nn.Parameter]) -> Tensor:
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    return nn.utils.get_total_norm(gradients)
