"""AdamW as in Nemotron-H: betas 0.9, 0.95; weight decay 0.1 on matrices; gradient norm at most 1.

Norms, the convolution, A_log, D and dt_bias are never decayed. They set scales and time constants,
where a pull towards zero means something else (A_log = 0 is a decay rate of 1). Sources: arXiv
2504.03624, section 2.4. From Megatron-LM: one-dimensional parameters take no decay, and the clip is
that of its Nemotron configurations.
"""

from typing import Any

import torch
from torch import Tensor, nn


def is_decayed(name: str, parameter: Tensor) -> bool:
    """Whether weight decay applies. It does for matrices, except the convolution."""
    return parameter.ndim >= 2 and "conv1d" not in name


def adamw(
    model: nn.Module,
    learning_rate: float,
    betas: tuple[float, float] = (0.9, 0.95),
    epsilon: float = 1e-8,
    weight_decay: float = 0.1,
) -> torch.optim.AdamW:
    """AdamW over all parameters of a model, in two groups: decayed and not decayed.

    It is the fused form if the device has it.
    """
    named = [
        (name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad
    ]
    groups: list[dict[str, Any]] = [
        {"params": [p for name, p in named if is_decayed(name, p)], "weight_decay": weight_decay},
        {"params": [p for name, p in named if not is_decayed(name, p)], "weight_decay": 0.0},
    ]
    fused = all(parameter.device.type in ("cpu", "cuda") for _, parameter in named)
    return torch.optim.AdamW(groups, lr=learning_rate, betas=betas, eps=epsilon, fused=fused)


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Use `learning_rate` from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def moments(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """AdamW's running averages under their parameters' names, as a checkpoint stores them."""
    stored = {}
    for name, parameter in model.named_parameters():
        for key in ("exp_avg", "exp_avg_sq"):
            stored[f"{key}.{name}"] = optimizer.state[parameter][key]
    return stored


def restore_moments(
    model: nn.Module, optimizer: torch.optim.Optimizer, stored: dict[str, Tensor], steps: int
) -> None:
    """Put stored averages back after `steps` optimiser steps."""
    for name, parameter in model.named_parameters():
        state: dict[str, Any] = {
            key: stored[f"{key}.{name}"].to(parameter.device, parameter.dtype)
            for key in ("exp_avg", "exp_avg_sq")
        }
        device = parameter.device if optimizer.param_groups[0]["fused"] else torch.device("cpu")
        state["step"] = torch.tensor(float(steps), dtype=torch.float32, device=device)
        optimizer.state[parameter] = state
