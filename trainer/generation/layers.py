"""The layers of a hybrid model for decoding: the same maths as `trainer.model`, with a memory.

`prefill` reads a whole prompt: the chunked scan, then the state behind its last token. `step`
reads the next few tokens of every row. Usually that is one; more are read to check guesses
(`trainer.generation.guesses`). Logits equal those of the full forward up to rounding; a test holds
it.

Letters in tensor names: S rows, T tokens, D hidden, H heads, P head dim, G groups, R heads per
group, N state, C channels of the convolution, I inner width, K key/value heads, V vocabulary.
"""

import torch
import torch.nn.functional as F
from corpusmill.trainer.attention import attend
from corpusmill.trainer.generation.cache import Cache
from corpusmill.trainer.generation.fixed_weights import Numbers, Product, product
from corpusmill.trainer.layers import AttentionMixer, FeedForwardMixer, MambaMixer, RMSNorm
from corpusmill.trainer.model import Block, HybridModel
from corpusmill.trainer.shape import HybridConfig
from corpusmill.trainer.ssd import scan
from torch import Tensor


def norm_of(module: RMSNorm, device: torch.device) -> Product:
    """The norm in fp32, its result in the dtype of x."""
    weight = module.weight.detach().to(device, torch.float32)
    groups, epsilon = module.groups, module.epsilon
    size = weight.shape[0] // groups

    def norm(x: Tensor) -> Tensor:
        x32 = x.float()
        if groups == 1:
            return F.rms_norm(x32, (size,), weight, epsilon).to(x.dtype)
        x32 = F.rms_norm(x32.unflatten(-1, (groups, size)), (size,), None, epsilon)
        return (x32.flatten(-2) * weight).to(x.dtype)

    return norm


class MambaLayer:
    """number: of the layer among the Mamba layers."""

    def __init__(self, mixer: MambaMixer, number: int, numbers: Numbers) -> None:
        device, _ = numbers

        def wide(tensor: Tensor) -> Tensor:
            return tensor.detach().to(device, torch.float32)

        self.config, self.number = mixer.config, number
        self.in_proj = product(mixer.in_proj.weight, numbers)
        self.out_proj = product(mixer.out_proj.weight, numbers)
        self.taps_WC = wide(mixer.conv1d.weight[:, 0]).t().contiguous()
        self.bias_C = wide(mixer.conv1d.bias)
        self.dt_bias_H, self.D_H1 = wide(mixer.dt_bias), wide(mixer.D).unsqueeze(-1)
        self.A_H = -wide(mixer.A_log).exp()
        self.norm = norm_of(mixer.norm, device)

    def prefill(self, x_STD: Tensor, cache: Cache, row: int) -> Tensor:
        config = self.config
        z, xBC, dt = self._projected(x_STD)
        history = config.conv_kernel - 1
        window_SWC = F.pad(xBC, (0, 0, history, 0))
        cache.conv_LSWC[self.number, row] = window_SWC[0, -history:]
        xBC = self._convolved(window_SWC).to(x_STD.dtype)
        groups, state = config.mamba_groups, config.mamba_state
        y_STI = scan(xBC, dt, self.A_H, self.D_H1[:, 0], groups, state, config.chunk_size)
        x_THP, B_TGN, _ = (part[0] for part in self._split(xBC.float()))
        decay_TH = (dt[0] * self.A_H).cumsum(0)
        left_THP = x_THP * (dt[0] * (decay_TH[-1] - decay_TH).exp()).unsqueeze(-1)
        cache.state_LSGNRP[self.number, row] = torch.einsum(
            "tgn,tgrp->gnrp", B_TGN, left_THP.unflatten(1, (groups, -1))
        )
        return self._out(y_STI, z)

    def step(self, x_STD: Tensor, cache: Cache, windows: list[Tensor]) -> Tensor:
        z, xBC, dt = self._projected(x_STD)
        window_SWC = torch.cat([cache.conv_LSWC[self.number, : len(x_STD)], xBC], dim=1)
        windows.append(window_SWC)
        x_STHP, B, C = self._split(self._convolved(window_SWC))
        y_STHP = cache.scan(self.number, x_STHP, dt, self.A_H, B, C)
        return self._out(y_STHP.addcmul_(x_STHP, self.D_H1).flatten(-2).to(x_STD.dtype), z)

    def _projected(self, x_STD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gate, x with B and C, and the step sizes dt (fp32)."""
        config = self.config
        z, xBC, dt = self.in_proj(x_STD).split(
            [config.mamba_inner, config.conv_channels, config.mamba_heads], dim=-1
        )
        return z, xBC, F.softplus(dt.float() + self.dt_bias_H)

    def _convolved(self, window_SWC: Tensor) -> Tensor:
        """silu(convolution), fp32, for all but the first tokens of the window."""
        tokens = window_SWC.shape[1] - self.config.conv_kernel + 1
        window_SWC = window_SWC.float()
        y_STC = torch.addcmul(self.bias_C, window_SWC[:, :tokens], self.taps_WC[0])
        for place in range(1, self.config.conv_kernel):
            y_STC.addcmul_(window_SWC[:, place : place + tokens], self.taps_WC[place])
        return F.silu(y_STC, inplace=True)

    def _split(self, xBC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (S, T, H, P), B and C (S, T, G, N)."""
        config = self.config
        maps = config.mamba_groups * config.mamba_state
        x, B, C = xBC.split([config.mamba_inner, maps, maps], dim=-1)
        shape = (config.mamba_groups, config.mamba_state)
        return (
            x.unflatten(-1, (config.mamba_heads, config.mamba_head_dim)),
            B.unflatten(-1, shape),
            C.unflatten(-1, shape),
        )

    def _out(self, y_STI: Tensor, z_STI: Tensor) -> Tensor:
        gated = y_STI.float() * F.silu(z_STI.float())
        return self.out_proj(self.norm(gated).to(z_STI.dtype))


class AttentionLayer:
    """number: of the layer among the attention layers."""

    def __init__(self, mixer: AttentionMixer, number: int, numbers: Numbers) -> None:
        config = self.config = mixer.config
        self.number = number
        weights = (mixer.q_proj.weight, mixer.k_proj.weight, mixer.v_proj.weight)
        self.qkv_proj = product(torch.cat(weights), numbers)
        self.o_proj = product(mixer.o_proj.weight, numbers)
        self.heads = [config.attention_heads, config.key_value_heads, config.key_value_heads]

    def prefill(self, x_STD: Tensor, cache: Cache, row: int) -> Tensor:
        q, k, v = self._projected(x_STD)
        length = x_STD.shape[1]
        cache.keys_LSKTP[self.number, row, :, :length] = k[0]
        cache.values_LSKTP[self.number, row, :, :length] = v[0]
        return self.o_proj(attend(q, k, v, None).transpose(1, 2).flatten(-2))

    def step(self, x_STD: Tensor, cache: Cache, reads: "Reads") -> Tensor:
        q, k, v = self._projected(x_STD)
        rows, heads, tokens, head_dim = q.shape
        keys, values = cache.keys_LSKTP[self.number], cache.values_LSKTP[self.number]
        keys[reads.row_S11, :, reads.place_ST] = k.transpose(1, 2)
        values[reads.row_S11, :, reads.place_ST] = v.transpose(1, 2)
        groups = self.config.key_value_heads
        shape = (rows * groups, heads // groups * tokens, head_dim)
        past = slice(0, reads.longest)
        keys_XTP = keys[:rows, :, past].flatten(0, 1)
        scores = torch.bmm((q * head_dim**-0.5).reshape(shape), keys_XTP.transpose(1, 2))
        if reads.hidden_ST is not None:
            scores.view(rows, heads, tokens, -1).masked_fill_(reads.hidden_ST, -torch.inf)
        weights = scores.softmax(-1)
        y_XTP = torch.bmm(weights, values[:rows, :, past].flatten(0, 1))
        return self.o_proj(y_XTP.view(rows, heads, tokens, -1).transpose(1, 2).flatten(-2))

    def _projected(self, x_STD: Tensor) -> list[Tensor]:
        """Queries, keys and values, (S, heads, T, P)."""
        rows = self.qkv_proj(x_STD).unflatten(-1, (-1, self.config.head_dim)).transpose(1, 2)
        return list(rows.split(self.heads, dim=1))


class FeedForwardLayer:
    def __init__(self, mixer: FeedForwardMixer, numbers: Numbers) -> None:
        self.up_proj = product(mixer.up_proj.weight, numbers)
        self.down_proj = product(mixer.down_proj.weight, numbers)

    def apply(self, x_STD: Tensor) -> Tensor:
        return self.down_proj(self.up_proj(x_STD).relu_().square_())


class Reads:
    """Where the tokens of a step stand in their rows, and what each may read.

    hidden_ST: (S, 1, T, longest), true at keys that a token must not read; None: it reads all.
    """

    def __init__(self, lengths: list[int], tokens: int, device: torch.device) -> None:
        rows = len(lengths)
        self.longest = max(lengths) + tokens
        self.row_S11 = torch.arange(rows, device=device).unsqueeze(1)
        length_S = torch.tensor(lengths, device=device)
        self.place_ST = length_S.unsqueeze(1) + torch.arange(tokens, device=device)
        self.hidden_ST: Tensor | None = None
        if tokens > 1 or min(lengths) < max(lengths):
            keys = torch.arange(self.longest, device=device)
            self.hidden_ST = keys > self.place_ST[:, None, :, None]


class Decoder:
    """A model ready to decode up to `slots` rows. It keeps the weights in a form of its own."""

    def __init__(
        self, model: HybridModel, slots: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.config: HybridConfig = model.config
        self.device = device
        self.cache = Cache(model.config, slots, device, dtype)
        numbers = (device, dtype)
        backbone = model.backbone
        self.embedding_VD = backbone.embeddings.weight.detach().to(device, dtype)
        self.norm_f = norm_of(backbone.norm_f, device)
        self.lm_head = product(model.lm_head.weight, numbers)
        self.layers: list[tuple[Product, MambaLayer | AttentionLayer | FeedForwardLayer]] = []
        seen = {"M": 0, "*": 0, "-": 0}
        for block, symbol in zip(backbone.layers, model.config.pattern, strict=True):
            assert isinstance(block, Block)
            mixer, number = block.mixer, seen[symbol]
            layer: MambaLayer | AttentionLayer | FeedForwardLayer
            if isinstance(mixer, MambaMixer):
                layer = MambaLayer(mixer, number, numbers)
            elif isinstance(mixer, AttentionMixer):
                layer = AttentionLayer(mixer, number, numbers)
            else:
                assert isinstance(mixer, FeedForwardMixer)
                layer = FeedForwardLayer(mixer, numbers)
            seen[symbol] += 1
            self.layers.append((norm_of(block.norm, device), layer))
        self._last_memory = max(map(model.config.pattern.rfind, "M*"))
        self._windows: list[Tensor] = []
        self._tokens = 0

    @torch.inference_mode()
    def prefill(self, row: int, tokens: list[int], embedded_TD: Tensor | None = None) -> Tensor:
        """Read a prompt into a row; the logits (V) behind its last token, fp32.

        embedded_TD: what enters the first layer, in place of the tokens' embeddings.
        """
        self.cache.clear(row)
        self.cache.reserve(len(tokens))
        if embedded_TD is None:
            embedded_TD = self.embedding_VD[torch.tensor(tokens, device=self.device)]
        x_STD = embedded_TD.to(self.embedding_VD).unsqueeze(0)
        for index, (norm, layer) in enumerate(self.layers):
            if index == self._last_memory + 1:  # nobody reads the other tokens any more
                x_STD = x_STD[:, -1:]
            if isinstance(layer, FeedForwardLayer):
                x_STD = x_STD + layer.apply(norm(x_STD))
            else:
                x_STD = x_STD + layer.prefill(norm(x_STD), self.cache, row)
        self.cache.lengths[row] = len(tokens)
        return self.lm_head(self.norm_f(x_STD[:, -1])).float()[0]

    @torch.inference_mode()
    def step(self, tokens: list[list[int]]) -> Tensor:
        """Read the next tokens, equally many for each of the first rows; logits (S, T, V), fp32.

        `keep` must follow.
        """
        rows, columns = len(tokens), len(tokens[0])
        lengths = self.cache.lengths[:rows]
        self.cache.reserve(max(lengths) + columns)
        self.cache.make_columns(rows, columns)
        reads = Reads(lengths, columns, self.device)
        self._windows, self._tokens = [], columns
        x_STD = self.embedding_VD[torch.tensor(tokens, device=self.device)]
        for norm, layer in self.layers:
            normed = norm(x_STD)
            if isinstance(layer, MambaLayer):
                y_STD = layer.step(normed, self.cache, self._windows)
            elif isinstance(layer, AttentionLayer):
                y_STD = layer.step(normed, self.cache, reads)
            else:
                y_STD = layer.apply(normed)
            x_STD = x_STD + y_STD
        return self.lm_head(self.norm_f(x_STD)).float()

    @torch.inference_mode()
    def keep(self, counts: list[int]) -> None:
        """How many of its tokens of the last step each row keeps: at least one."""
        self.cache.keep(counts, self._tokens, self._windows)
        self._windows = []

    @torch.inference_mode()
    def move(self, source: int, target: int) -> None:
        """Let a row take the place of another."""
        self.cache.move(source, target)
