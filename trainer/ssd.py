"""State space duality: the selective scan of Mamba-2 as a handful of matrix products.

A Mamba-2 head carries a state S (head dim x state dim) along the sequence:

    S_t = exp(dt_t * A) * S_(t-1) + dt_t * x_t (outer) B_t        y_t = S_t C_t + D * x_t

Walked token by token (`recurrent_ssd`) this is exact and slow. `chunked_ssd` cuts the sequence
into chunks: inside a chunk the scan is a masked attention-like product, between chunks only one
state per chunk has to be passed on, and that passing is itself one small matrix product over
chunks, so no Python loop grows with the sequence.

Source: Dao and Gu, "Transformers are SSMs" (arXiv 2405.21060), section 6. Nemotron-H uses it with
grouped B and C and without clamping dt (arXiv 2504.03624, section 2.1).

Letters in tensor names: B batch, T time, H heads, P head dim, G groups, R heads per group, N
state, K chunks, Q chunk length.
"""

import torch
import torch.nn.functional as F
from corpusmill.trainer import kernels
from torch import Tensor


def scan(
    xBC_BTC: Tensor,
    dt_BTH: Tensor,
    A_H: Tensor,
    D_H: Tensor,
    groups: int,
    state: int,
    chunk_size: int,
    document_ids_BT: Tensor | None = None,
) -> Tensor:
    """The selective scan of rows of x (H * P), B (G * N) and C (G * N); returns y (B, T, H * P).

    On a GPU by the kernels, which choose their own chunk; else by `chunked_ssd`. The other
    arguments: see there.
    """
    heads, maps = dt_BTH.shape[2], groups * state
    inner = xBC_BTC.shape[2] - 2 * maps
    head_dim = inner // heads
    if kernels.take(xBC_BTC) and kernels.ssd.fits(head_dim, state):
        return kernels.ssd.scan(xBC_BTC, dt_BTH, A_H, D_H, document_ids_BT, groups, state)
    x, B, C = xBC_BTC.split([inner, maps, maps], dim=-1)
    y_BTHP = chunked_ssd(
        x.unflatten(-1, (heads, head_dim)),
        dt_BTH,
        A_H,
        B.unflatten(-1, (groups, state)),
        C.unflatten(-1, (groups, state)),
        D_H,
        chunk_size,
        document_ids_BT,
    )
    return y_BTHP.flatten(-2)


def chunked_ssd(
    x_BTHP: Tensor,
    dt_BTH: Tensor,
    A_H: Tensor,
    B_BTGN: Tensor,
    C_BTGN: Tensor,
    D_H: Tensor,
    chunk_size: int,
    document_ids_BT: Tensor | None = None,
) -> Tensor:
    """The selective scan in plain PyTorch; any length, differentiable, the reference for every
    kernel.

    x: inputs (compute dtype). dt: step sizes after softplus (at least fp32). A: negative decay
    rates. B, C: input and output maps, one per group of H/G heads. D: skip weight per head.
    document_ids: never decreasing along a row; the state is zero at the first token of each
    document. Returns y, shape and dtype of x.

    Decays and states passed between chunks are kept in fp32 (float64 if x is); the matrix products
    run in the dtype of x.
    """
    batch, length, heads, head_dim = x_BTHP.shape
    groups, state = B_BTGN.shape[2:]
    dtype = x_BTHP.dtype
    wide = torch.promote_types(dtype, torch.float32)

    padding = -length % chunk_size
    x, dt, B, C = x_BTHP, dt_BTH.to(wide), B_BTGN, C_BTGN
    if padding:  # dt = 0 adds nothing to the state and does not decay it
        x, B, C = (F.pad(tensor, (0, 0, 0, 0, 0, padding)) for tensor in (x, B, C))
        dt = F.pad(dt, (0, 0, 0, padding))
    chunks = (length + padding) // chunk_size

    x_BKQGRP = x.view(batch, chunks, chunk_size, groups, heads // groups, head_dim)
    dt_BKQGR = dt.view(batch, chunks, chunk_size, groups, heads // groups)
    B_BKQGN = B.view(batch, chunks, chunk_size, groups, state)
    C_BKQGN = C.view(batch, chunks, chunk_size, groups, state)
    decay_BKGRQ = (dt_BKQGR * A_H.to(wide).view(groups, -1)).permute(0, 1, 3, 4, 2).cumsum(-1)
    inside_QQ, entering_BKQ, leaving_BKQ, between_BKK = _reach(
        document_ids_BT, batch, chunks, chunk_size, padding, x
    )

    # 1. Inside each chunk: token q reads token s <= q through C_q . B_s, faded by the decay
    # between them.
    dtx_BKQGRP = (x_BKQGRP * dt_BKQGR.unsqueeze(-1)).to(dtype)
    fade_BKGRQQ = (
        (decay_BKGRQ.unsqueeze(-1) - decay_BKGRQ.unsqueeze(-2))
        .masked_fill(~inside_QQ, -torch.inf)
        .exp()
    )
    scores_BKGQQ = torch.einsum("bkqgn,bksgn->bkgqs", C_BKQGN, B_BKQGN)
    mixing_BKGRQQ = (scores_BKGQQ.unsqueeze(3) * fade_BKGRQQ).to(dtype)
    y_BKQGRP = torch.einsum("bkgrqs,bksgrp->bkqgrp", mixing_BKGRQQ, dtx_BKQGRP)

    # 2. What each chunk alone would leave behind at its end.
    to_end_BKGRQ = (decay_BKGRQ[..., -1:] - decay_BKGRQ).exp() * leaving_BKQ[:, :, None, None, :]
    faded_BKQGRP = (dtx_BKQGRP * to_end_BKGRQ.permute(0, 1, 4, 2, 3).unsqueeze(-1)).to(dtype)
    left_BKGRPN = torch.einsum("bkqgrp,bkqgn->bkgrpn", faded_BKQGRP, B_BKQGN).to(wide)

    # 3. The state that enters chunk k: everything left by chunks z < k, faded by the whole chunks
    # in between.
    total_BGRK = decay_BKGRQ[..., -1].permute(0, 2, 3, 1).cumsum(-1)
    before_BGRK = F.pad(total_BGRK, (1, -1))
    fade_BGRKK = (before_BGRK.unsqueeze(-1) - total_BGRK.unsqueeze(-2)).masked_fill(
        ~between_BKK[:, None, None], -torch.inf
    )
    entering_BKGRPN = torch.einsum("bgrkz,bzgrpn->bkgrpn", fade_BGRKK.exp(), left_BKGRPN).to(dtype)

    # 4. Tokens read the state that entered their chunk.
    from_start_BKGRQ = decay_BKGRQ.exp() * entering_BKQ[:, :, None, None, :]
    carried_BKQGRP = torch.einsum("bkqgn,bkgrpn->bkqgrp", C_BKQGN, entering_BKGRPN)
    y_BKQGRP = y_BKQGRP + carried_BKQGRP * from_start_BKGRQ.permute(0, 1, 4, 2, 3).unsqueeze(-1)

    y_BTHP = y_BKQGRP.reshape(batch, length + padding, heads, head_dim)[:, :length]
    return (y_BTHP + x_BTHP * D_H.to(wide).unsqueeze(-1)).to(dtype)


def _reach(
    document_ids_BT: Tensor | None,
    batch: int,
    chunks: int,
    chunk_size: int,
    padding: int,
    like: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Who may read whom, as masks: inside a chunk (q, s), the entering state (q), the leaving
    state (q), chunk to chunk.

    Document numbers never decrease, so two tokens belong to one document exactly if their numbers
    are equal, and the state at the end of chunk z is alive at the start of chunk k exactly if both
    ends carry the same number.
    """
    causal_QQ = torch.ones(chunk_size, chunk_size, dtype=torch.bool, device=like.device).tril()
    earlier_KK = torch.ones(chunks, chunks, dtype=torch.bool, device=like.device).tril(-1)
    if document_ids_BT is None:
        everyone = torch.ones(1, 1, 1, dtype=torch.bool, device=like.device)
        return causal_QQ, everyone, everyone, earlier_KK.unsqueeze(0)
    if padding:
        document_ids_BT = torch.cat(
            [document_ids_BT, document_ids_BT[:, -1:].expand(-1, padding)], dim=1
        )
    document_BKQ = document_ids_BT.view(batch, chunks, chunk_size)
    last_BK = document_BKQ[..., -1]
    before_BK = torch.cat(
        [last_BK[:, :1] - 1, last_BK[:, :-1]], dim=1
    )  # nothing enters the first chunk
    same_BKQQ = document_BKQ.unsqueeze(-1) == document_BKQ.unsqueeze(-2)
    inside = (same_BKQQ & causal_QQ)[:, :, None, None]
    between_BKK = earlier_KK & (before_BK.unsqueeze(-1) == last_BK.unsqueeze(-2))
    return (
        inside,
        document_BKQ == before_BK.unsqueeze(-1),
        document_BKQ == last_BK.unsqueeze(-1),
        between_BKK,
    )


def recurrent_ssd(
    x_BTHP: Tensor,
    dt_BTH: Tensor,
    A_H: Tensor,
    B_BTGN: Tensor,
    C_BTGN: Tensor,
    D_H: Tensor,
    document_ids_BT: Tensor | None = None,
) -> Tensor:
    """The same scan straight from its definition, token by token in float64: the yardstick for
    tests. Returns float64.
    """
    x, dt, A, B, C, D = (tensor.double() for tensor in (x_BTHP, dt_BTH, A_H, B_BTGN, C_BTGN, D_H))
    batch, length, heads, head_dim = x.shape
    B_BTHN = B.repeat_interleave(heads // B.shape[2], dim=2)
    C_BTHN = C.repeat_interleave(heads // C.shape[2], dim=2)
    state_BHPN = x.new_zeros(batch, heads, head_dim, B.shape[3])
    outputs = []
    for t in range(length):
        if document_ids_BT is not None and t > 0:
            same_B = document_ids_BT[:, t] == document_ids_BT[:, t - 1]
            state_BHPN = state_BHPN * same_B.double().view(-1, 1, 1, 1)
        decay_BH = torch.exp(dt[:, t] * A)
        taken_BHPN = torch.einsum("bhp,bhn->bhpn", x[:, t] * dt[:, t].unsqueeze(-1), B_BTHN[:, t])
        state_BHPN = state_BHPN * decay_BH[..., None, None] + taken_BHPN
        outputs.append(
            torch.einsum("bhpn,bhn->bhp", state_BHPN, C_BTHN[:, t]) + x[:, t] * D.unsqueeze(-1)
        )
    return torch.stack(outputs, dim=1)
