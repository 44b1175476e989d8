"""What the layers of a hybrid are made of: linear maps, norms, and a mixer of each kind.

Weights are fp32, and are cast where they are used to the dtype of the activations (no autocast).
Norms, softplus and decays run in fp32. On a GPU the scan, the convolution and the norms are the
kernels of `trainer.kernels`; what stands here is what they compute.

Source: Nemotron-H (arXiv 2504.03624), section 2.1; Mamba-2 (arXiv 2405.21060), section 7. Letters
in tensor names: B batch, T time, D hidden, H heads, P head dim, G groups, N state, C channels, I
inner width, Z the projected row of a Mamba-2 layer (z, x, B, C and dt).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from corpusmill.trainer import fp8, gradient_sums, kernels, onednn
from corpusmill.trainer.attention import Documents, attend
from corpusmill.trainer.shape import HybridConfig
from corpusmill.trainer.ssd import scan
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

# Whether a norm's backward adds the gradient that passed by it; benchmarks/train_choices.py
# measures steps without.
ONE_PASS = True


class Linear(nn.Linear):
    """A bias-free linear map with an fp32 master weight, computed in the dtype of its input.

    fp8: how the products of training are scaled to 8 bits, if they are. Without gradients the map
    is computed in the dtype of its input, as readers of the exported model will do it. rounded: the
    weight's 8-bit forms, if it has them. gradient_sum, in_16_bits: see `sum_gradients`.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)
        self.fp8: fp8.Scaling | None = None
        self.rounded: fp8.Rounded | None = None
        self.gradient_sum: Tensor | None = None
        self.in_16_bits: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            if self.fp8 is not None:
                return fp8.linear(x, self.weight, self.fp8, self.rounded, self.gradient_sum)
            if self.gradient_sum is not None and self.in_16_bits is not None:
                return gradient_sums.linear(x, self.weight, self.in_16_bits, self.gradient_sum)
        return onednn.linear(x, self.weight)

    def sum_gradients(self, dtype: torch.dtype) -> None:
        """Let the products themselves add up the weight's gradients over the micro-batches of a
        step. The weight is cast to `dtype` once a step, by `round_weight`.
        """
        self.gradient_sum = torch.zeros_like(self.weight, requires_grad=False)
        if self.fp8 is None:
            self.in_16_bits = self.weight.detach().to(dtype, copy=True)

    @torch.no_grad()
    def round_weight(self) -> None:
        """Make the weight's forms in fewer bits anew, in the same memory."""
        if self.fp8 is not None:
            forms = fp8.round_weight(self.weight, self.fp8)
            if self.rounded is None:
                self.rounded = forms
            else:
                for old, new in zip(self.rounded, forms, strict=True):
                    old.copy_(new)
        if self.in_16_bits is not None:
            self.in_16_bits.copy_(self.weight)

    def empty_sum(self) -> None:
        """Begin the sum of a step's gradients, if the products make it."""
        if self.gradient_sum is not None:
            self.weight.grad = self.gradient_sum.zero_()


def recomputed(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """function(x). What lies between x and the result is made again in the backward."""
    if not torch.is_grad_enabled():
        return function(x)
    result: Tensor = checkpoint(function, x, use_reentrant=False, preserve_rng_state=False)
    return result


class RMSNorm(nn.Module):
    """Root-mean-square norm over groups of the last dimension (one group: all of it), in fp32."""

    def __init__(self, size: int, epsilon: float, groups: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon
        self.groups = groups

    def beside(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x and its norm: the two ways from a layer's input to the sum at its end."""
        if ONE_PASS and self.groups == 1 and kernels.take(x):
            return kernels.norm.rms_norm_beside(x, self.weight, self.epsilon)
        return x, self(x)

    def forward(self, x: Tensor) -> Tensor:
        if kernels.take(x):
            return kernels.norm.rms_norm(x, None, self.weight, self.groups, self.epsilon)
        x32 = x.float().unflatten(-1, (self.groups, -1))
        x32 = x32 * torch.rsqrt(x32.square().mean(-1, keepdim=True) + self.epsilon)
        return (x32.flatten(-2) * self.weight).to(x.dtype)


class GatedRMSNorm(RMSNorm):
    """The norm behind the scan: the gate is applied first, then each Mamba group is normalised on
    its own.
    """

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        assert gate is not None
        if kernels.take(x):
            return kernels.norm.rms_norm(x, gate, self.weight, self.groups, self.epsilon)
        return super().forward(x.float() * F.silu(gate.float())).to(x.dtype)


class CausalConv1d(nn.Module):
    """Depthwise convolution over the last `kernel` tokens; it never reads across a document
    boundary if told of them.

    Written as shifted products: at width 4 that is one fused pass over memory, and a boundary is
    just a mask per shift.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, kernel))
        self.bias = nn.Parameter(torch.empty(channels))
        self.kernel = kernel

    def forward(self, x_BTC: Tensor, document_ids_BT: Tensor | None = None) -> Tensor:
        if kernels.take(x_BTC):
            return kernels.conv.conv_silu(x_BTC, self.weight[:, 0], self.bias, document_ids_BT)
        length = x_BTC.shape[1]
        past = self.kernel - 1
        padded = F.pad(x_BTC, (0, 0, past, 0))
        y_BTC = x_BTC.float() * self.weight[:, 0, past] + self.bias
        for back in range(1, self.kernel):
            shifted = padded[:, past - back : past - back + length].float()
            if document_ids_BT is not None:
                earlier = F.pad(document_ids_BT, (back, 0), value=-1)[:, :length]
                shifted = shifted * (earlier == document_ids_BT).unsqueeze(-1)
            y_BTC = y_BTC + shifted * self.weight[:, 0, past - back]
        return F.silu(y_BTC).to(x_BTC.dtype)


class MambaMixer(nn.Module):
    """Mamba-2: project to gate z, x, B, C, dt; convolve x, B, C; scan; gated norm; project back.

    recompute: between forward and backward only the projected row is kept. Its product is the
    costly part; convolution, scan and norm are made again.
    """

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.config = config
        inner, heads = config.mamba_inner, config.mamba_heads
        self.in_proj = Linear(config.hidden_size, inner + config.conv_channels + heads)
        self.conv1d = CausalConv1d(config.conv_channels, config.conv_kernel)
        self.dt_bias = nn.Parameter(torch.empty(heads))
        self.A_log = nn.Parameter(torch.empty(heads))
        self.D = nn.Parameter(torch.ones(heads))
        self.norm = GatedRMSNorm(inner, config.norm_epsilon, config.mamba_groups)
        self.out_proj = Linear(inner, config.hidden_size)
        self.recompute = False

    def forward(self, x_BTD: Tensor, documents: Documents | None) -> Tensor:
        row_BTZ = self.in_proj(x_BTD)
        if self.recompute:
            return recomputed(lambda row: self._inner(row, documents), row_BTZ)
        return self._inner(row_BTZ, documents)

    def _inner(self, row_BTZ: Tensor, documents: Documents | None) -> Tensor:
        """From a projected row to the mixer's output."""
        config = self.config
        ids = documents.ids if documents else None
        A_H = -torch.exp(self.A_log)
        groups, state = config.mamba_groups, config.mamba_state
        if kernels.take(row_BTZ) and kernels.ssd.fits(config.mamba_head_dim, state):
            y_BTI, *_ = kernels.mixer.mamba_inner(
                row_BTZ,
                self.conv1d.weight[:, 0],
                self.conv1d.bias,
                self.dt_bias,
                A_H,
                self.D,
                self.norm.weight,
                ids,
                groups,
                state,
                config.norm_epsilon,
            )
            return self.out_proj(y_BTI)
        z, xBC, dt = row_BTZ.split(
            [config.mamba_inner, config.conv_channels, config.mamba_heads], dim=-1
        )
        dt = F.softplus(dt.float() + self.dt_bias)
        y_BTI = scan(self.conv1d(xBC, ids), dt, A_H, self.D, groups, state, config.chunk_size, ids)
        return self.out_proj(self.norm(y_BTI, z))


class AttentionMixer(nn.Module):
    """Causal grouped-query attention; no positions, no biases, no query/key norm."""

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.config = config
        self.q_proj = Linear(config.hidden_size, config.attention_heads * config.head_dim)
        self.k_proj = Linear(config.hidden_size, config.key_value_heads * config.head_dim)
        self.v_proj = Linear(config.hidden_size, config.key_value_heads * config.head_dim)
        self.o_proj = Linear(config.attention_heads * config.head_dim, config.hidden_size)

    def forward(self, x_BTD: Tensor, documents: Documents | None) -> Tensor:
        head_dim = self.config.head_dim
        q, k, v = (
            proj(x_BTD).unflatten(-1, (-1, head_dim)).transpose(1, 2)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        y = attend(q, k, v, documents)
        return self.o_proj(y.transpose(1, 2).flatten(-2))


class FeedForwardMixer(nn.Module):
    """down(relu(up(x)) ** 2): no gate, no biases."""

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.up_proj = Linear(config.hidden_size, config.ffn_size)
        self.down_proj = Linear(config.ffn_size, config.hidden_size)

    def forward(self, x_BTD: Tensor, documents: Documents | None) -> Tensor:
        return self.down_proj(F.relu(self.up_proj(x_BTD)).square())
