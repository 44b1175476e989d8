"""The chunked scan of Mamba-2 as Triton kernels: the forward. `ssd_backward_kernels` has the rest.

One chunk is Q tokens. With s the running sum of dt * A inside a chunk, u = dt * x, S the state
that enters the chunk:

    y_q   = sum over s <= q of (C_q . B_s) exp(s_q - s_s) u_s  +  exp(s_q) S C_q  +  D x_q
    S_out = exp(s_last) S  +  sum over s of exp(s_last - s_s) u_s (outer) B_s

`decays` makes s once. `states` walks along the sequence with the state in registers and writes
down, in the compute dtype, what enters each chunk; walked backwards over dy and C it writes the
gradient of what leaves each chunk. `scan`, like the kernels of the backward, takes one chunk of one
group, so C B^T is computed once for all heads of a group.

Document boundaries cost a comparison of numbers: a pair of tokens, or a token and a chunk's end,
of different documents has the factor 0.

Source: Dao and Gu, "Transformers are SSMs" (arXiv 2405.21060), section 6.

Letters: Q chunk length, H heads, G groups, R heads per group, P head dim, N state, C channels (x,
then B, then C; one row a token).
"""

import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)


@triton.jit
def decays(
    dt,
    bias,
    A,
    decay_out,
    dt_out,
    length,
    heads,
    dt_stride_b,
    dt_stride_t,
    dt_stride_h,
    SOFTPLUS: tl.constexpr,
    Q: tl.constexpr,
    BLOCK_H: tl.constexpr,
):
    """s of every token in powers of two (s * log2 e), and dt, both laid out (B, H, T). Grid:
    chunks, batch, head blocks.

    SOFTPLUS: dt is what the projection gave; the step size is softplus(dt + bias).
    """
    batch = tl.program_id(1).to(tl.int64)
    t = tl.program_id(0) * Q + tl.arange(0, Q)
    h = tl.program_id(2) * BLOCK_H + tl.arange(0, BLOCK_H)
    inside = (t < length)[:, None] & (h < heads)[None, :]
    start = dt + batch * dt_stride_b
    dt_QH = tl.load(
        start + t.to(tl.int64)[:, None] * dt_stride_t + h[None, :] * dt_stride_h,
        mask=inside,
        other=0.0,
    ).to(tl.float32)
    if SOFTPLUS:
        dt_QH += tl.load(bias + h, mask=h < heads, other=0.0).to(tl.float32)[None, :]
        e_QH = tl.exp(tl.minimum(dt_QH, 20.0))
        wide_QH = (
            1.0 + e_QH
        )  # log(1 + e) loses the digits of a small e; the quotient gives them back
        small_QH = tl.where(wide_QH == 1.0, e_QH, tl.log(wide_QH) * (e_QH / (wide_QH - 1.0)))
        dt_QH = tl.where(inside, tl.where(dt_QH > 20.0, dt_QH, small_QH), 0.0)
    A_H = tl.load(A + h, mask=h < heads, other=0.0).to(tl.float32)
    s_QH = tl.cumsum(dt_QH * (A_H * LOG2_E)[None, :], axis=0)
    offsets = (batch * heads + h[None, :]) * length + t[:, None]
    tl.store(decay_out + offsets, s_QH, mask=inside)
    tl.store(dt_out + offsets, dt_QH, mask=inside)


@triton.jit
def states(
    values,  # x, or dy backwards: (B, T, H, P) by strides
    maps,  # B, or C backwards: (B, T, G, N) by strides
    decay,
    dt,
    documents,
    out,  # (B, K, H, P, N)
    length,
    chunks,
    heads,
    values_stride_b,
    values_stride_t,
    maps_stride_b,
    maps_stride_t,
    R: tl.constexpr,
    P: tl.constexpr,
    N: tl.constexpr,
    Q: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BACKWARD: tl.constexpr,
    DOCUMENTS: tl.constexpr,
):
    """What enters each chunk (forward), or the gradient of what leaves it (backward). Grid: blocks
    of P x N, heads, batch.
    """
    batch = tl.program_id(2).to(tl.int64)
    head = tl.program_id(1).to(tl.int64)
    p = (tl.program_id(0) // (N // BLOCK_N)) * BLOCK_P + tl.arange(0, BLOCK_P)
    n = (tl.program_id(0) % (N // BLOCK_N)) * BLOCK_N + tl.arange(0, BLOCK_N)
    q = tl.arange(0, Q)

    values_at = values + batch * values_stride_b + head * P
    maps_at = maps + batch * maps_stride_b + (head // R) * N
    decay_at = decay + (batch * heads + head) * length
    dt_at = dt + (batch * heads + head) * length
    documents_at = documents + batch * length
    out_at = out + (batch * chunks * heads + head) * P * N + p[:, None] * N + n[None, :]

    state_PN = tl.zeros((BLOCK_P, BLOCK_N), tl.float32)
    for i in range(chunks):
        chunk = i
        if BACKWARD:
            chunk = chunks - 1 - i
        tl.store(out_at + chunk.to(tl.int64) * heads * P * N, state_PN.to(out.dtype.element_ty))
        t = chunk * Q + q
        inside = t < length
        last = tl.minimum(chunk * Q + Q, length) - 1
        value_QP = tl.load(
            values_at + t.to(tl.int64)[:, None] * values_stride_t + p[None, :],
            mask=inside[:, None],
            other=0.0,
        )
        map_QN = tl.load(
            maps_at + t.to(tl.int64)[:, None] * maps_stride_t + n[None, :],
            mask=inside[:, None],
            other=0.0,
        )
        s_Q = tl.load(decay_at + t, mask=inside, other=0.0)
        s_last = tl.load(decay_at + last)
        carried = tl.exp2(s_last)
        if BACKWARD:
            weight_Q = tl.exp2(s_Q)
        else:
            dt_Q = tl.load(dt_at + t, mask=inside, other=0.0)
            weight_Q = tl.exp2(tl.minimum(s_last - s_Q, 0.0)) * dt_Q
        if DOCUMENTS:
            document_Q = tl.load(documents_at + t, mask=inside, other=-1)
            ending = tl.load(documents_at + last)
            before = tl.load(documents_at + tl.maximum(chunk * Q - 1, 0))
            if BACKWARD:
                weight_Q = tl.where(document_Q == before, weight_Q, 0.0)
            else:
                weight_Q = tl.where(document_Q == ending, weight_Q, 0.0)
            carried = tl.where(ending == before, carried, 0.0)
        weighted_PQ = (tl.trans(value_QP).to(tl.float32) * weight_Q[None, :]).to(value_QP.dtype)
        state_PN = state_PN * carried
        state_PN = tl.dot(weighted_PQ, map_QN, state_PN, input_precision="ieee")


@triton.jit
def scan(
    xBC,
    decay,
    dt,
    D,
    documents,
    entering,
    y,  # (B, T, H, P)
    length,
    chunks,
    heads,
    xBC_stride_b,
    xBC_stride_t,
    R: tl.constexpr,
    P: tl.constexpr,
    N: tl.constexpr,
    Q: tl.constexpr,
    DOCUMENTS: tl.constexpr,
):
    """The outputs of one chunk for the heads of one group. Grid: groups, chunks, batch."""
    batch = tl.program_id(2).to(tl.int64)
    chunk = tl.program_id(1)
    group = tl.program_id(0)
    groups = heads // R
    q = tl.arange(0, Q)
    n = tl.arange(0, N)
    p = tl.arange(0, P)
    t = chunk * Q + q
    inside = t < length
    row_at = xBC + batch * xBC_stride_b + t.to(tl.int64)[:, None] * xBC_stride_t
    maps_at = row_at + heads * P + group * N + n[None, :]
    B_QN = tl.load(maps_at, mask=inside[:, None], other=0.0)
    C_QN = tl.load(maps_at + groups * N, mask=inside[:, None], other=0.0)

    reads_QQ = q[:, None] >= q[None, :]
    if DOCUMENTS:
        documents_at = documents + batch * length
        document_Q = tl.load(documents_at + t, mask=inside, other=-1)
        before = tl.load(documents_at + tl.maximum(chunk * Q - 1, 0))
        reads_QQ = reads_QQ & (document_Q[:, None] == document_Q[None, :])
    score_QQ = tl.dot(C_QN, tl.trans(B_QN), input_precision="ieee")
    score_QQ = tl.where(reads_QQ, score_QQ, 0.0)

    for r in range(R):
        head = (group * R + r).to(tl.int64)
        x_QP = tl.load(row_at + head * P + p[None, :], mask=inside[:, None], other=0.0)
        S_PN = tl.load(
            entering
            + ((batch * chunks + chunk) * heads + head) * P * N
            + p[:, None] * N
            + n[None, :]
        )
        s_Q = tl.load(decay + (batch * heads + head) * length + t, mask=inside, other=0.0)
        dt_Q = tl.load(dt + (batch * heads + head) * length + t, mask=inside, other=0.0)
        from_start_Q = tl.exp2(s_Q)
        if DOCUMENTS:
            from_start_Q = tl.where(document_Q == before, from_start_Q, 0.0)
        y_QP = tl.dot(C_QN, tl.trans(S_PN), input_precision="ieee") * from_start_Q[:, None]
        fade_QQ = tl.exp2(tl.minimum(s_Q[:, None] - s_Q[None, :], 0.0)) * dt_Q[None, :]
        mixing_QQ = (score_QQ * fade_QQ).to(x_QP.dtype)
        y_QP = tl.dot(mixing_QQ, x_QP, y_QP, input_precision="ieee")
        y_QP += x_QP.to(tl.float32) * tl.load(D + head).to(tl.float32)
        tl.store(
            y + ((batch * length + t.to(tl.int64)[:, None]) * heads + head) * P + p[None, :],
            y_QP.to(y.dtype.element_ty),
            mask=inside[:, None],
        )
