"""The hybrid language model of Nemotron-H: Mamba-2, attention and FFN layers in the order of a
pattern string.

Every symbol of the pattern is one pre-norm residual block with one mixer: `M` Mamba-2, `-`
squared-ReLU FFN, `*` grouped-query attention without position embedding. Parameters carry the
names of the published checkpoints (`backbone.layers.N.mixer...`, `lm_head.weight`), so that what
is trained here is read by other tools without a converter.

Numbers: master weights are fp32 and are cast where they are used to the compute dtype (no
autocast); norms, softplus and decays run in fp32.

Sources: Nemotron-H (arXiv 2504.03624), section 2.1; initialisation as in Megatron-LM
(`mamba_mixer.py`, `transformer_config.py`). On a GPU the scan, the convolution, the norms and the
loss are the kernels of `trainer.kernels`; what stands here is what they compute. Letters in tensor
names: B batch, T time, D hidden, H heads, P head dim, G groups, N state, C channels, I inner
width.
"""

import math
from collections.abc import Callable, Collection

import torch
import torch.nn.functional as F
from corpusmill.trainer import fp8, kernels, onednn
from corpusmill.trainer.attention import Documents, attend
from corpusmill.trainer.config import KINDS, HybridConfig, Kind
from corpusmill.trainer.sharding import put
from corpusmill.trainer.ssd import scan
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

DT_RANGE = (1e-3, 1e-1)  # initial step sizes of Mamba heads, log-uniform
DT_FLOOR = 1e-4
TEXT_PARTS = ("backbone.", "lm_head.")  # beginnings of a language model's parameter names
A_RANGE = (1.0, 16.0)  # initial decay rates of Mamba heads, uniform


class Linear(nn.Linear):
    """A bias-free linear map with an fp32 master weight, computed in the dtype of its input.

    fp8: how the products of training are scaled to 8 bits, if they are. Without gradients the map
    is computed in the dtype of its input, as readers of the exported model will do it.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)
        self.fp8: fp8.Scaling | None = None
        self.rounded: fp8.Rounded | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.fp8 is not None and torch.is_grad_enabled():
            return fp8.linear(x, self.weight, self.fp8, self.rounded)
        return onednn.linear(x, self.weight)

    @torch.no_grad()
    def round_weight(self) -> None:
        """Make the weight's 8-bit forms anew, in the same memory."""
        assert self.fp8 is not None
        forms = fp8.round_weight(self.weight, self.fp8)
        if self.rounded is None:
            self.rounded = forms
        else:
            for old, new in zip(self.rounded, forms, strict=True):
                old.copy_(new)


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


Head = Callable[[Tensor, Tensor], Tensor]
MIXERS: dict[str, type[nn.Module]] = {"M": MambaMixer, "*": AttentionMixer, "-": FeedForwardMixer}


class Block(nn.Module):
    """One layer: x + mixer(norm(x)). recompute: between forward and backward only x is kept."""

    def __init__(self, config: HybridConfig, symbol: str) -> None:
        super().__init__()
        self.norm = RMSNorm(config.hidden_size, config.norm_epsilon)
        self.mixer = MIXERS[symbol](config)
        self.recompute = False

    def forward(self, x_BTD: Tensor, documents: Documents | None) -> Tensor:
        if self.recompute:
            return x_BTD + recomputed(lambda x: self.mixer(self.norm(x), documents), x_BTD)
        return x_BTD + self.mixer(self.norm(x_BTD), documents)


class Backbone(nn.Module):
    """Embedding, layers, final norm."""

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config, symbol) for symbol in config.pattern)
        self.norm_f = RMSNorm(config.hidden_size, config.norm_epsilon)


class HybridModel(nn.Module):
    """A hybrid language model, its weights in fp32 and not yet initialised (see `initialise`).

    compute_dtype: the dtype of activations and matrix products (bf16 on GPUs, fp32 on CPUs).
    """

    def __init__(self, config: HybridConfig, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.config = config
        self.compute_dtype = compute_dtype
        self.backbone = Backbone(config)
        self.lm_head = Linear(config.hidden_size, config.vocab_size)

    def hidden(self, tokens_BT: Tensor, document_ids_BT: Tensor | None = None) -> Tensor:
        """The normalised last hidden states (B, T, D), ready for `lm_head`."""
        documents = None if document_ids_BT is None else Documents.of(document_ids_BT)
        return self.run(self.embed(tokens_BT), documents)

    def embed(self, tokens_BT: Tensor) -> Tensor:
        """What enters the first layer: (B, T, D) in the compute dtype."""
        x_BTD: Tensor = self.backbone.embeddings(tokens_BT).to(self.compute_dtype)
        return x_BTD

    def run(self, x_BTD: Tensor, documents: Documents | None = None) -> Tensor:
        """The layers and the last norm over embedded tokens, those of images among them."""
        for layer in self.backbone.layers:
            x_BTD = layer(x_BTD, documents)
        return self.backbone.norm_f(x_BTD)

    def forward(
        self, tokens_BT: Tensor, document_ids: Tensor | None = None, head: Head | None = None
    ) -> Tensor:
        """Logits (B, T, vocab) in the compute dtype, or what `head` makes of the hidden states and
        the head's weight.

        document_ids: (B, T), never decreasing along a row; given, no layer reads across a document
        boundary.
        """
        hidden_BTD = self.hidden(tokens_BT, document_ids)
        return self.lm_head(hidden_BTD) if head is None else head(hidden_BTD, self.lm_head.weight)

    def recompute(self, kinds: Collection[Kind]) -> None:
        """Keep less of the layers of these kinds between forward and backward."""
        for layer, symbol in zip(self.backbone.layers, self.config.pattern, strict=True):
            assert isinstance(layer, Block)
            chosen = KINDS[symbol] in kinds
            if isinstance(layer.mixer, MambaMixer):
                layer.mixer.recompute = chosen
            else:
                layer.recompute = chosen

    def use_fp8(self, scaling: fp8.Scaling, plain_layers: int) -> None:
        """Train all linear maps of the layers in 8 bits, but for `plain_layers` at each end."""
        layers = list(self.backbone.layers)
        for layer in layers[plain_layers : len(layers) - plain_layers]:
            for module in layer.modules():
                if isinstance(module, Linear):
                    module.fp8 = scaling

    def round_weights(self) -> None:
        """Make the 8-bit forms of the weights that have them; once a step is enough."""
        for module in self.modules():
            if isinstance(module, Linear) and module.fp8 is not None:
                module.round_weight()


def text_parameters(model: HybridModel) -> dict[str, nn.Parameter]:
    """The parameters of the language model by name, without those of a model's image parts."""
    named = model.named_parameters()
    return {name: parameter for name, parameter in named if name.startswith(TEXT_PARTS)}


def parameter_count(config: HybridConfig) -> int:
    """How many parameters a model of this shape has; takes no memory (meta device)."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in HybridModel(config).parameters())


@torch.no_grad()
def initialise(model: HybridModel, seed: int) -> None:
    """Fill the weights as Megatron-LM does for Nemotron-H; the same seed gives the same weights on
    every device.

    | parameter | initial value |
    |---|---|
    | embeddings, head, q/k/v, in_proj, up_proj | normal, std 0.014 * sqrt(4096 / hidden) |
    | out_proj, o_proj, down_proj | the same divided by sqrt(layers) |
    | conv1d weight and bias | uniform +-1/sqrt(kernel) |
    | A_log | log of uniform(1, 16) |
    | dt_bias | inverse softplus of dt, log-uniform in [0.001, 0.1], at least 1e-4 |
    | D, norms | 1 |
    """
    config = model.config
    generator = torch.Generator("cpu").manual_seed(seed)
    std = config.standard_deviation
    for name, parameter in text_parameters(model).items():
        value = torch.empty(parameter.shape, dtype=torch.float32)
        if "conv1d" in name:
            bound = 1 / math.sqrt(config.conv_kernel)
            value.uniform_(-bound, bound, generator=generator)
        elif name.endswith("A_log"):
            value.uniform_(*A_RANGE, generator=generator).log_()
        elif name.endswith("dt_bias"):
            value.uniform_(math.log(DT_RANGE[0]), math.log(DT_RANGE[1]), generator=generator)
            dt = value.exp().clamp(min=DT_FLOOR)
            value = dt + torch.log(-torch.expm1(-dt))
        elif name.endswith((".D", "norm.weight", "norm_f.weight")):
            value.fill_(1.0)
        elif name.endswith(("out_proj.weight", "o_proj.weight", "down_proj.weight")):
            value.normal_(0.0, std / math.sqrt(len(config.pattern)), generator=generator)
        else:
            value.normal_(0.0, std, generator=generator)
        put(parameter, value)
