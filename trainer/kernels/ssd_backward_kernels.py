"""The gradients of the chunked scan as Triton kernels. `ssd_kernels` has the formulas, the letters,
and the walk along the states, which is the same both ways.

`scan_backward_values` makes the gradients of x, of D and of the products C B^T. From the last,
`scan_backward_maps` makes those of B and of C. `decay_gradient` turns what reached the running sum
s into those of dt and A. The first two take one chunk of one group: the gradients of B and C are
sums over its heads made in registers, so there are no atomics, and the same bits every time. The
gradient of s is kept free of cancellation: the pairs inside a chunk enter by row and column sums of
one fp32 matrix, the rest by terms that are only added.
"""

import triton
import triton.language as tl


@triton.jit
def scan_backward_values(
    xBC,
    dy,  # (B, T, H, P) by strides
    decay,
    dt,
    D,
    documents,
    leaving_gradient,
    dxBC,  # x is written
    dscore,  # (B, K, G, Q, Q): gradient of C B^T, transposed
    rows,  # (5, B, H, T): see `decay_gradient`
    dD,  # (B, K, H)
    length,
    chunks,
    heads,
    xBC_stride_b,
    xBC_stride_t,
    dy_stride_b,
    dy_stride_t,
    dxBC_stride_b,
    dxBC_stride_t,
    rows_stride,
    R: tl.constexpr,
    P: tl.constexpr,
    N: tl.constexpr,
    Q: tl.constexpr,
    DOCUMENTS: tl.constexpr,
):
    """Gradients of x and of the products C B^T. Matrices of token pairs are (source s, reader q):
    transposed.

    Grid: groups, chunks, batch.
    """
    batch = tl.program_id(2).to(tl.int64)
    chunk = tl.program_id(1)
    group = tl.program_id(0)
    groups = heads // R
    q = tl.arange(0, Q)
    n = tl.arange(0, N)
    p = tl.arange(0, P)
    t = chunk * Q + q
    inside = t < length
    t64 = t.to(tl.int64)
    row_at = xBC + batch * xBC_stride_b + t64[:, None] * xBC_stride_t
    maps_at = row_at + heads * P + group * N + n[None, :]
    B_QN = tl.load(maps_at, mask=inside[:, None], other=0.0)
    C_QN = tl.load(maps_at + groups * N, mask=inside[:, None], other=0.0)
    last = tl.minimum(chunk * Q + Q, length) - 1

    read_QQ = q[:, None] <= q[None, :]
    if DOCUMENTS:
        documents_at = documents + batch * length
        document_Q = tl.load(documents_at + t, mask=inside, other=-1)
        ending = tl.load(documents_at + last)
        read_QQ = read_QQ & (document_Q[:, None] == document_Q[None, :])
    score_QQ = tl.dot(B_QN, tl.trans(C_QN), input_precision="ieee")
    score_QQ = tl.where(read_QQ, score_QQ, 0.0)

    dscore_QQ = tl.zeros((Q, Q), tl.float32)
    for r in range(R):
        head = (group * R + r).to(tl.int64)
        line = (batch * heads + head) * length
        x_QP = tl.load(row_at + head * P + p[None, :], mask=inside[:, None], other=0.0)
        dy_QP = tl.load(
            dy + batch * dy_stride_b + t64[:, None] * dy_stride_t + head * P + p[None, :],
            mask=inside[:, None],
            other=0.0,
        )
        dS_PN = tl.load(
            leaving_gradient
            + ((batch * chunks + chunk) * heads + head) * P * N
            + p[:, None] * N
            + n[None, :]
        )
        s_Q = tl.load(decay + line + t, mask=inside, other=0.0)
        dt_Q = tl.load(dt + line + t, mask=inside, other=0.0)
        to_end_Q = tl.exp2(tl.minimum(tl.load(decay + line + last) - s_Q, 0.0))
        if DOCUMENTS:
            to_end_Q = tl.where(document_Q == ending, to_end_Q, 0.0)

        # du: through the chunk's end, then through the readers inside the chunk
        du_QP = tl.dot(B_QN, tl.trans(dS_PN), input_precision="ieee") * to_end_Q[:, None]
        x32_QP = x_QP.to(tl.float32)
        tl.store(rows + 3 * rows_stride + line + t, dt_Q * tl.sum(x32_QP * du_QP, 1), mask=inside)
        fade_QQ = tl.exp2(tl.minimum(s_Q[None, :] - s_Q[:, None], 0.0))
        du_QP = tl.dot((score_QQ * fade_QQ).to(x_QP.dtype), dy_QP, du_QP, input_precision="ieee")

        dmixing_QQ = tl.dot(x_QP, tl.trans(dy_QP), input_precision="ieee")
        dmixing_QQ = dmixing_QQ * fade_QQ * dt_Q[:, None]
        dscore_QQ += dmixing_QQ
        pair_QQ = tl.where(q[:, None] < q[None, :], dmixing_QQ * score_QQ, 0.0)
        tl.store(rows + line + t, tl.sum(pair_QQ, 0), mask=inside)
        tl.store(rows + rows_stride + line + t, tl.sum(pair_QQ, 1), mask=inside)

        dy32_QP = dy_QP.to(tl.float32)
        tl.store(rows + 4 * rows_stride + line + t, tl.sum(x32_QP * du_QP, 1), mask=inside)
        tl.store(dD + (batch * chunks + chunk) * heads + head, tl.sum(x32_QP * dy32_QP))
        dx_QP = du_QP * dt_Q[:, None] + dy32_QP * tl.load(D + head).to(tl.float32)
        tl.store(
            dxBC + batch * dxBC_stride_b + t64[:, None] * dxBC_stride_t + head * P + p[None, :],
            dx_QP.to(dxBC.dtype.element_ty),
            mask=inside[:, None],
        )

    tl.store(
        dscore + ((batch * chunks + chunk) * groups + group) * Q * Q + q[:, None] * Q + q[None, :],
        tl.where(read_QQ, dscore_QQ, 0.0).to(dscore.dtype.element_ty),
    )


@triton.jit
def scan_backward_maps(
    xBC,
    dy,
    decay,
    dt,
    documents,
    entering,
    leaving_gradient,
    dscore,
    dxBC,  # B or C is written
    rows,
    through,  # (B, K, H): gradient of the decay of the state that passes the whole chunk
    length,
    chunks,
    heads,
    xBC_stride_b,
    xBC_stride_t,
    dy_stride_b,
    dy_stride_t,
    dxBC_stride_b,
    dxBC_stride_t,
    rows_stride,
    R: tl.constexpr,
    P: tl.constexpr,
    N: tl.constexpr,
    Q: tl.constexpr,
    DOCUMENTS: tl.constexpr,
    OF_C: tl.constexpr,
):
    """The gradient of B, or of C: both are the pairs' part and a sum over heads of (values) x
    (states). Grid: groups, chunks, batch.
    """
    batch = tl.program_id(2).to(tl.int64)
    chunk = tl.program_id(1)
    group = tl.program_id(0)
    groups = heads // R
    q = tl.arange(0, Q)
    n = tl.arange(0, N)
    p = tl.arange(0, P)
    t = chunk * Q + q
    inside = t < length
    t64 = t.to(tl.int64)
    last = tl.minimum(chunk * Q + Q, length) - 1
    if DOCUMENTS:
        documents_at = documents + batch * length
        document_Q = tl.load(documents_at + t, mask=inside, other=-1)
        before = tl.load(documents_at + tl.maximum(chunk * Q - 1, 0))
        ending = tl.load(documents_at + last)

    maps_at = xBC + batch * xBC_stride_b + t64[:, None] * xBC_stride_t + heads * P
    B_at, C_at = maps_at + group * N + n[None, :], maps_at + (groups + group) * N + n[None, :]
    dscore_at = dscore + ((batch * chunks + chunk) * groups + group) * Q * Q
    if OF_C:
        other_QN = tl.load(B_at, mask=inside[:, None], other=0.0)
        dscore_QQ = tl.load(dscore_at + q[None, :] * Q + q[:, None])
        values_at = dy + batch * dy_stride_b + t64[:, None] * dy_stride_t + p[None, :]
    else:
        other_QN = tl.load(C_at, mask=inside[:, None], other=0.0)
        dscore_QQ = tl.load(dscore_at + q[:, None] * Q + q[None, :])
        values_at = xBC + batch * xBC_stride_b + t64[:, None] * xBC_stride_t + p[None, :]
    gradient_QN = tl.dot(dscore_QQ, other_QN, input_precision="ieee")

    for r in range(R):
        head = (group * R + r).to(tl.int64)
        line = (batch * heads + head) * length
        value_QP = tl.load(values_at + head * P, mask=inside[:, None], other=0.0)
        state_at = ((batch * chunks + chunk) * heads + head) * P * N + p[:, None] * N + n[None, :]
        s_Q = tl.load(decay + line + t, mask=inside, other=0.0)
        s_last = tl.load(decay + line + last)
        if OF_C:
            state_PN = tl.load(entering + state_at)
            weight_Q = tl.exp2(s_Q)
            if DOCUMENTS:
                weight_Q = tl.where(document_Q == before, weight_Q, 0.0)
        else:
            state_PN = tl.load(leaving_gradient + state_at)
            weight_Q = tl.exp2(tl.minimum(s_last - s_Q, 0.0))
            weight_Q *= tl.load(dt + line + t, mask=inside, other=0.0)
            if DOCUMENTS:
                weight_Q = tl.where(document_Q == ending, weight_Q, 0.0)
        weighted_QP = (value_QP.to(tl.float32) * weight_Q[:, None]).to(value_QP.dtype)
        if OF_C:
            part_QN = tl.dot(weighted_QP, state_PN, input_precision="ieee")
            gradient_QN += part_QN
            C_QN = tl.load(C_at, mask=inside[:, None], other=0.0).to(tl.float32)
            tl.store(rows + 2 * rows_stride + line + t, tl.sum(part_QN * C_QN, 1), mask=inside)
            dS_PN = tl.load(leaving_gradient + state_at)
            carried = tl.exp2(s_last)
            if DOCUMENTS:
                carried = tl.where(ending == before, carried, 0.0)
            passed = carried * tl.sum(state_PN.to(tl.float32) * dS_PN.to(tl.float32))
            tl.store(through + (batch * chunks + chunk) * heads + head, passed)
        else:
            gradient_QN = tl.dot(weighted_QP, state_PN, gradient_QN, input_precision="ieee")

    channel = heads * P + group * N
    if OF_C:
        channel += groups * N
    tl.store(
        dxBC + batch * dxBC_stride_b + t64[:, None] * dxBC_stride_t + channel + n[None, :],
        gradient_QN.to(dxBC.dtype.element_ty),
        mask=inside[:, None],
    )


@triton.jit
def decay_gradient(
    rows,  # (5, B, H, T)
    through,
    dt,
    A,
    ddt,  # (B, T, H) by strides
    dA,  # (B, K, H)
    dbias,  # (B, K, H), if SOFTPLUS
    length,
    chunks,
    heads,
    rows_stride,
    ddt_stride_b,
    ddt_stride_t,
    SOFTPLUS: tl.constexpr,
    Q: tl.constexpr,
    BLOCK_H: tl.constexpr,
):
    """From the gradient of s to those of dt and A. Grid: chunks, batch, head blocks.

    rows: 0 what a token read inside the chunk, 1 what was read of it there, 2 what it read of the
    entering state, 3 what it left to the chunk's end (each times its gradient), 4 x . du. The
    decay at token t has a part in whatever passed t.
    """
    batch = tl.program_id(1).to(tl.int64)
    chunk = tl.program_id(0)
    t = chunk * Q + tl.arange(0, Q)
    h = tl.program_id(2) * BLOCK_H + tl.arange(0, BLOCK_H)
    inside = (h < heads)[:, None] & (t < length)[None, :]
    at = rows + (batch * heads + h[:, None]) * length + t[None, :]
    read_HQ = tl.load(at, mask=inside, other=0.0)
    given_HQ = tl.load(at + rows_stride, mask=inside, other=0.0)
    entered_HQ = tl.load(at + 2 * rows_stride, mask=inside, other=0.0)
    left_HQ = tl.load(at + 3 * rows_stride, mask=inside, other=0.0)
    xdu_HQ = tl.load(at + 4 * rows_stride, mask=inside, other=0.0)
    dt_HQ = tl.load(dt + (batch * heads + h[:, None]) * length + t[None, :], mask=inside, other=0.0)
    passed_H = tl.load(through + (batch * chunks + chunk) * heads + h, mask=h < heads, other=0.0)
    A_H = tl.load(A + h, mask=h < heads, other=0.0).to(tl.float32)
    after_HQ = tl.cumsum(read_HQ - given_HQ + entered_HQ, axis=1, reverse=True)
    earlier_HQ = tl.cumsum(left_HQ, axis=1) - left_HQ
    da_HQ = after_HQ + earlier_HQ + passed_H[:, None]
    ddt_HQ = xdu_HQ + da_HQ * A_H[:, None]
    if SOFTPLUS:  # its slope, sigmoid(dt + bias), is 1 - exp(-step size)
        ddt_HQ *= 1.0 - tl.exp(-dt_HQ)
        dbias_H = tl.sum(tl.where(inside, ddt_HQ, 0.0), 1)
        tl.store(dbias + (batch * chunks + chunk) * heads + h, dbias_H, mask=h < heads)
    tl.store(
        ddt + batch * ddt_stride_b + t.to(tl.int64)[None, :] * ddt_stride_t + h[:, None],
        ddt_HQ.to(ddt.dtype.element_ty),
        mask=inside,
    )
    dA_H = tl.sum(tl.where(inside, da_HQ * dt_HQ, 0.0), 1)
    tl.store(dA + (batch * chunks + chunk) * heads + h, dA_H, mask=h < heads)
