"""The optimisers: AdamW as in Nemotron-H, and Muon for the matrices between the layers' ends.

AdamW: betas 0.9, 0.95; weight decay 0.1 on matrices; gradient norm at most 1 (arXiv 2504.03624,
section 2.4). Norms, the convolution, A_log, D and dt_bias are never decayed. They set scales and
time constants, where a pull towards zero means something else (A_log = 0 is a decay rate of 1).

Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) takes the momentum of a matrix, and
goes in the direction of the nearest orthogonal one. Steps are scaled to AdamW's usual size (Liu et
al. 2025, arXiv 2502.16982, section 2.2), so both share the learning rate and the decay. in_proj
stacks maps that have nothing to do with one another: each part is made orthogonal on its own.
Embedding, head, convolution and everything of one dimension stay with AdamW.

The running means are fp32 or bf16. In bf16 they take half the memory, and the arithmetic stays
fp32. A parameter may be sharded over ranks (DTensor). AdamW then works on the local part. Muon
gathers the whole matrix, and every rank makes it orthogonal.
"""

import math
from collections.abc import Mapping

import torch
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.shape import HybridConfig
from corpusmill.trainer.sharding import local, part_of, put, whole
from torch import Tensor, nn

MEANS = ("exp_avg", "exp_avg_sq")  # AdamW's, as checkpoints name them
MOMENTUM = "momentum"  # Muon's
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # Jordan et al.: fast near 0, within 0.3 of 1 at the end
NEWTON_SCHULZ_STEPS = 5
ADAMW_SIZE = 0.2  # root mean square of AdamW's usual step (Liu et al. 2025)


def is_decayed(name: str, parameter: Tensor) -> bool:
    """Whether weight decay applies. It does for matrices, except the convolution."""
    return parameter.ndim >= 2 and "conv1d" not in name


def takes_muon(name: str, parameter: Tensor) -> bool:
    """Whether a parameter is a matrix of a layer's mixer."""
    return ".mixer." in name and is_decayed(name, parameter)


def parts_of(name: str, model: HybridConfig) -> list[int] | None:
    """How the rows of a matrix fall into maps of their own: z, x, B, C and dt of in_proj."""
    if "in_proj" not in name:
        return None
    maps = model.mamba_groups * model.mamba_state
    return [model.mamba_inner, model.mamba_inner, maps, maps, model.mamba_heads]


class Optimizer:
    """Optimiser of all parameters of a model that take gradients, by a configuration."""

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        self.config = config
        self.steps = 0
        self.parameters = {
            name: parameter
            for name, parameter in model.named_parameters()
            if parameter.requires_grad
        }
        self.means: dict[str, dict[str, Tensor]] = {}
        dtype = getattr(torch, config.optimizer_dtype)
        for name, parameter in self.parameters.items():
            muon = config.optimizer == "muon" and takes_muon(name, parameter)
            keys = (MOMENTUM,) if muon else MEANS
            self.means[name] = {
                key: torch.zeros_like(parameter, dtype=dtype, requires_grad=False) for key in keys
            }

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Change every parameter by its gradient."""
        self.steps += 1
        adamw: dict[float, list[str]] = {}
        for name, parameter in self.parameters.items():
            decay = self.config.weight_decay if is_decayed(name, parameter) else 0.0
            if MOMENTUM in self.means[name]:
                self._muon(name, learning_rate, decay)
            else:
                adamw.setdefault(decay, []).append(name)
        for decay, names in adamw.items():
            if self.config.optimizer_dtype == "float32":
                self._adamw(names, learning_rate, decay)
            else:
                for name in names:  # one at a time: its means are fp32 meanwhile
                    self._adamw([name], learning_rate, decay)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def moments(self) -> dict[str, Tensor]:
        """The running means as `MEAN.PARAMETER`, as a checkpoint stores them."""
        return {
            f"{key}.{name}": mean
            for name, means in self.means.items()
            for key, mean in means.items()
        }

    def restore(self, stored: Mapping[str, Tensor], steps: int) -> None:
        """Go on after `steps` steps, with whole means as `moments` names them."""
        self.steps = steps
        for name, mean in self.moments().items():
            put(mean, stored[name])

    def _adamw(self, names: list[str], learning_rate: float, decay: float) -> None:
        parameters = [local(self.parameters[name]) for name in names]
        gradients = [local(_gradient(self.parameters[name])) for name in names]
        stored = [[local(self.means[name][key]) for name in names] for key in MEANS]
        first, second = ([mean.float() for mean in means] for means in stored)
        # Not torch.tensor: its copy to the GPU would wait for all that is launched before.
        count = torch.full((), float(self.steps), device=parameters[0].device)
        torch._fused_adamw_(
            parameters,
            gradients,
            first,
            second,
            [],
            [count] * len(names),
            lr=learning_rate,
            beta1=self.config.beta1,
            beta2=self.config.beta2,
            weight_decay=decay,
            eps=self.config.epsilon,
            amsgrad=False,
            maximize=False,
        )
        for means, changed in zip(stored, (first, second), strict=True):
            for mean, value in zip(means, changed, strict=True):
                if mean is not value:
                    mean.copy_(value)

    def _muon(self, name: str, learning_rate: float, decay: float) -> None:
        parameter = self.parameters[name]
        momentum = self.means[name][MOMENTUM]
        gradient = _gradient(parameter)
        beta = self.config.momentum
        momentum.copy_(momentum.float() * beta + gradient)
        direction = whole(gradient + beta * momentum.float())  # Nesterov's
        sizes = parts_of(name, self.config.model) or [direction.shape[0]]
        change = torch.cat([_orthogonal(part) for part in direction.split(sizes)])
        local(parameter).mul_(1 - learning_rate * decay).sub_(
            part_of(change, parameter), alpha=learning_rate
        )


def _orthogonal(matrix: Tensor) -> Tensor:
    """Nearly the nearest (semi-)orthogonal matrix, by Newton-Schulz, scaled to AdamW's step."""
    wide = matrix.shape[0] <= matrix.shape[1]
    x = (matrix if wide else matrix.t()).bfloat16()
    x = x / (x.norm() + 1e-7)
    a, b, c = NEWTON_SCHULZ
    for _ in range(NEWTON_SCHULZ_STEPS):
        square = x @ x.t()
        x = a * x + (b * square + c * square @ square) @ x
    return (x if wide else x.t()).float() * (ADAMW_SIZE * math.sqrt(max(matrix.shape)))


def _gradient(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
