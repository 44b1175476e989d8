"""The hybrid language model of Nemotron-H: Mamba-2, attention and FFN layers in the order of a
pattern string.

Every symbol of the pattern is one pre-norm residual block with one mixer: `M` Mamba-2, `-`
squared-ReLU FFN, `*` grouped-query attention without position embedding. Parameters carry the
names of the published checkpoints (`backbone.layers.N.mixer...`, `lm_head.weight`), so that what
is trained here is read by other tools without a converter.

The mixers stand in `trainer.layers`, the loss in `trainer.loss`.

Sources: Nemotron-H (arXiv 2504.03624), section 2.1; initialisation as in Megatron-LM
(`mamba_mixer.py`, `transformer_config.py`). Letters in tensor names: B batch, T time, D hidden.
"""

import math
from collections.abc import Callable, Collection
from typing import ClassVar

import torch
from corpusmill.trainer import fp8
from corpusmill.trainer.attention import Documents
from corpusmill.trainer.layers import (
    AttentionMixer,
    FeedForwardMixer,
    Linear,
    MambaMixer,
    RMSNorm,
    recomputed,
)
from corpusmill.trainer.shape import KINDS, HybridConfig, Kind
from corpusmill.trainer.sharding import put
from torch import Tensor, nn

DT_RANGE = (1e-3, 1e-1)  # initial step sizes of Mamba heads, log-uniform
DT_FLOOR = 1e-4
TEXT_PARTS = ("backbone.", "lm_head.")  # beginnings of a language model's parameter names
A_RANGE = (1.0, 16.0)  # initial decay rates of Mamba heads, uniform

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
        passed_BTD, normed_BTD = self.norm.beside(x_BTD)
        return passed_BTD + self.mixer(normed_BTD, documents)


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

    # Methods that are called as `forward` is, with weights to be gathered first.
    forward_methods: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: HybridConfig, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.config = config
        self.compute_dtype = compute_dtype
        self.backbone = Backbone(config)
        self.lm_head = Linear(config.hidden_size, config.vocab_size)

    def sharded_units(self) -> list[nn.Module]:
        """What ranks that share the weights gather one after the other: the layers."""
        return list(self.backbone.layers)

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
        """Logits (B, T, vocab) in the compute dtype, or what `head` makes instead.

        document_ids: (B, T), never decreasing along a row. With them, no layer reads across a
        document boundary. head: of the hidden states and the weight of `lm_head`.
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
        """Make the forms in fewer bits of the weights that have them; once a step is enough."""
        for module in self.modules():
            if isinstance(module, Linear):
                module.round_weight()

    def sum_gradients(self) -> None:
        """Let the products of the layers add up the gradients of a step's micro-batches."""
        for module in self.backbone.layers.modules():
            if isinstance(module, Linear) and module.weight.requires_grad:
                module.sum_gradients(self.compute_dtype)

    def empty_sums(self) -> None:
        """Begin such sums anew."""
        for module in self.backbone.layers.modules():
            if isinstance(module, Linear):
                module.empty_sum()


def text_parameters(model: HybridModel) -> dict[str, nn.Parameter]:
    """The parameters of the language model by name, without those of a model's image parts."""
    named = model.named_parameters()
    return {name: parameter for name, parameter in named if name.startswith(TEXT_PARTS)}


def parameter_count(config: HybridConfig) -> int:
    """How many parameters a model of this shape has. It takes no memory (meta device)."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in HybridModel(config).parameters())


@torch.no_grad()
def initialise(model: HybridModel, seed: int) -> None:
    """Fill the weights as Megatron-LM does for Nemotron-H.

    The same seed gives the same weights on every device.

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
