"""What the rows of a batch remember between two decoding steps.

A Mamba-2 layer remembers a state of fixed size and the last inputs of its convolution, an
attention layer the keys and values of all tokens. So the memory of a Mamba layer does not grow.

The state is not written at every token. It is kept as it was some tokens ago, and the inputs of
the tokens since stand beside it as a short chunk: output and state follow from both by the chunked
form of the scan (`trainer.ssd`). When the chunk is full, one product folds it into the state. That
saves two thirds of the memory traffic. It also makes tokens easy to take back: they leave the
chunk, and the state never knew them.

All rows share the columns of the chunk. A column that is not a row's own adds nothing to it: its
input is zero. Rows 0 to n - 1 are in use; a row that ends is replaced by the last one.

Letters in tensor names: L layers of a kind, S slots for rows, H heads, P head dim, G groups, R
heads per group, N state, Q columns of the chunk, W window of the convolution, C its channels, K
key/value heads, T capacity in tokens.
"""

import torch
from corpusmill.trainer.shape import HybridConfig
from torch import Tensor

CHUNK = 16  # columns
CAPACITY_STEP = 256  # tokens by which keys and values grow at least


class Cache:
    """The memory of `slots` rows, for all layers. dtype: of activations, keys and values; states
    are fp32.

    decay_LSH: log of how far the state has faded since it was last folded. marks_LSHQ: what
    decay_LSH was right behind each column. inputs_LSHQP: x * dt. lengths: tokens of each row.
    """

    def __init__(
        self, config: HybridConfig, slots: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        mamba, attention = config.pattern.count("M"), config.pattern.count("*")
        heads, head_dim = config.mamba_heads, config.mamba_head_dim
        groups, state = config.mamba_groups, config.mamba_state

        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(shape, device=device, dtype=dtype)

        window = config.conv_kernel - 1
        self.conv_LSWC = zeros(mamba, slots, window, config.conv_channels, dtype=dtype)
        self.state_LSGNRP = zeros(mamba, slots, groups, state, heads // groups, head_dim)
        self.decay_LSH = zeros(mamba, slots, heads)
        self.marks_LSHQ = zeros(mamba, slots, heads, CHUNK)
        self.inputs_LSHQP = zeros(mamba, slots, heads, CHUNK, head_dim)
        self.maps_LSGQN = zeros(mamba, slots, groups, CHUNK, state)
        shape = (attention, slots, config.key_value_heads, 0, config.head_dim)
        self.keys_LSKTP = zeros(*shape, dtype=dtype)
        self.values_LSKTP = zeros(*shape, dtype=dtype)
        self.lengths = [0] * slots
        self.used = 0

    def reserve(self, tokens: int) -> None:
        """Make room for rows of so many tokens."""
        capacity = self.keys_LSKTP.shape[3]
        if tokens <= capacity:
            return
        more = max(tokens, capacity + CAPACITY_STEP, capacity * 5 // 4) - capacity
        self.keys_LSKTP, self.values_LSKTP = (
            torch.cat([old, old.new_zeros(*old.shape[:3], more, old.shape[4])], dim=3)
            for old in (self.keys_LSKTP, self.values_LSKTP)
        )

    def clear(self, row: int) -> None:
        """Make a row new. Its columns of the chunk so far are not its own."""
        for tensor in (self.decay_LSH, self.marks_LSHQ, self.inputs_LSHQP):
            tensor[:, row] = 0
        self.lengths[row] = 0

    def move(self, source: int, target: int) -> None:
        """Let a row take the place of another."""
        if source == target:
            return
        for tensor in (
            *(self.conv_LSWC, self.state_LSGNRP, self.decay_LSH),
            *(self.marks_LSHQ, self.inputs_LSHQP, self.maps_LSGQN),
        ):
            tensor[:, target] = tensor[:, source]
        length = self.lengths[source]
        for tensor in (self.keys_LSKTP, self.values_LSKTP):
            tensor[:, target, :, :length] = tensor[:, source, :, :length]
        self.lengths[target] = length

    def make_columns(self, rows: int, columns: int) -> None:
        """Have so many free columns in the chunk: fold it into the state if it has fewer."""
        if self.used + columns <= CHUNK:
            return
        for layer in range(len(self.decay_LSH)):
            decay_SH = self.decay_LSH[layer, :rows]
            left_SHQ = _fade(decay_SH.unsqueeze(-1), self.marks_LSHQ[layer, :rows, :, : self.used])
            inputs_SHQP = self.inputs_LSHQP[layer, :rows, :, : self.used] * left_SHQ.unsqueeze(-1)
            state_SGNRP = self.state_LSGNRP[layer, :rows]
            groups, heads = state_SGNRP.shape[1], state_SGNRP.shape[3]
            state_SGNRP *= decay_SH.exp().view(rows, groups, 1, heads, 1)
            state_SGNRP.flatten(3).flatten(0, 1).baddbmm_(
                self.maps_LSGQN[layer, :rows, :, : self.used].flatten(0, 1).transpose(1, 2),
                inputs_SHQP.unflatten(1, (groups, heads)).transpose(2, 3).flatten(3).flatten(0, 1),
            )
        self.decay_LSH[:, :rows] = 0
        self.used = 0

    def scan(
        self, layer: int, x_STHP: Tensor, dt_STH: Tensor, A_H: Tensor, B: Tensor, C: Tensor
    ) -> Tensor:
        """The selective scan over the next T tokens of the first S rows, without the skip; fp32.

        The tokens enter the chunk; `keep` says how many of them stay. B, C: (S, T, G, N).
        """
        rows, tokens, heads, _ = x_STHP.shape
        groups = B.shape[2]
        first, end = self.used, self.used + tokens
        decay_SHT = self.decay_LSH[layer, :rows].unsqueeze(-1) + (
            (dt_STH * A_H).transpose(1, 2).cumsum(-1)
        )
        self.inputs_LSHQP[layer, :rows, :, first:end] = (x_STHP * dt_STH.unsqueeze(-1)).transpose(
            1, 2
        )
        self.maps_LSGQN[layer, :rows, :, first:end] = B.transpose(1, 2)
        self.marks_LSHQ[layer, :rows, :, first:end] = decay_SHT

        # Tokens of the chunk read each other.
        C_XTN = C.transpose(1, 2).flatten(0, 1)
        maps_XQN = self.maps_LSGQN[layer, :rows, :, :end].flatten(0, 1)
        scores_SGTQ = torch.bmm(C_XTN, maps_XQN.transpose(1, 2)).view(rows, groups, tokens, end)
        fade_SHTQ = _fade(
            decay_SHT.unsqueeze(-1), self.marks_LSHQ[layer, :rows, :, :end].unsqueeze(-2)
        )
        mixing = fade_SHTQ.view(rows, groups, -1, tokens, end) * scores_SGTQ.unsqueeze(2)
        if tokens > 1:
            mixing = mixing.tril(first)
        inputs_YQP = self.inputs_LSHQP[layer, :rows, :, :end].flatten(0, 1)
        near = torch.bmm(mixing.view(rows * heads, tokens, end), inputs_YQP)

        # They read the state from before the chunk, as far as it has not faded.
        state_XNI = self.state_LSGNRP[layer, :rows].flatten(3).flatten(0, 1)
        far = torch.bmm(C_XTN, state_XNI).view(rows, groups, tokens, heads // groups, -1)
        far_STHP = far.transpose(1, 2).reshape(x_STHP.shape)
        near_STHP = near.view(rows, heads, tokens, -1).transpose(1, 2)
        return torch.addcmul(near_STHP, far_STHP, decay_SHT.exp().transpose(1, 2).unsqueeze(-1))

    def keep(self, counts: list[int], tokens: int, windows_LSWC: list[Tensor]) -> None:
        """Let each row keep the first of its newest tokens, at least one, and forget the others.

        counts: how many each row keeps. tokens: how many there are. windows_LSWC: for each Mamba
        layer, the convolution's old inputs and those of the tokens.
        """
        rows, history = len(counts), self.conv_LSWC.shape[2]
        first, self.used = self.used, self.used + tokens
        for row, count in enumerate(counts):
            self.lengths[row] += count
        if min(counts) == tokens:
            self.decay_LSH[:, :rows] = self.marks_LSHQ[:, :rows, :, self.used - 1]
            for layer, window_SWC in enumerate(windows_LSWC):
                self.conv_LSWC[layer, :rows] = window_SWC[:, tokens:]
            return
        device = self.decay_LSH.device
        count_S = torch.tensor(counts, device=device)
        row_S = torch.arange(rows, device=device)
        self.decay_LSH[:, :rows] = self.marks_LSHQ[:, row_S, :, first + count_S - 1].transpose(0, 1)
        forgotten_SQ = torch.arange(tokens, device=device) >= count_S.unsqueeze(1)
        self.inputs_LSHQP[:, :rows, :, first : self.used].masked_fill_(
            forgotten_SQ[None, :, None, :, None], 0
        )
        last_SW = count_S.unsqueeze(1) + torch.arange(history, device=device)
        for layer, window_SWC in enumerate(windows_LSWC):
            self.conv_LSWC[layer, :rows] = window_SWC[row_S.unsqueeze(1), last_SW]


def _fade(now: Tensor, then: Tensor) -> Tensor:
    """How much of an input is left. Columns that a row has forgotten could seem to grow; their
    inputs are zero, so any finite number will do.
    """
    return (now - then).clamp_(max=0).exp_()
