"""Grouped RMSNorm, with or without a SiLU gate in front, forward and backward, as Triton kernels.

With h = x * silu(z) (or x alone), r = 1 / sqrt(mean of h^2 over the group + epsilon):

    y = h r w        dh = r (w dy - h r^2 mean(w dy h))        dw = sum over rows of dy h r

Where x also passes by the norm, to the sum behind a layer, the backward adds the gradient that
comes from there to dx.

A program holds whole groups in registers, so memory is passed over once each way; r is made anew
in the backward.
"""

import triton
import triton.language as tl


@triton.jit
def forward(
    x,  # (rows, groups * SIZE) by the stride of a row
    gate,
    weight,
    y,  # dense
    rows,
    epsilon,
    x_stride,
    gate_stride,
    GATED: tl.constexpr,
    SIZE: tl.constexpr,
    BLOCK: tl.constexpr,
    ROWS: tl.constexpr,
):
    """Grid: row blocks, groups."""
    group = tl.program_id(1)
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    e = tl.arange(0, BLOCK)
    column = group * SIZE + e
    inside = (row < rows)[:, None] & (e < SIZE)[None, :]
    h = tl.load(x + row[:, None] * x_stride + column[None, :], mask=inside, other=0.0)
    h = h.to(tl.float32)
    if GATED:
        z = tl.load(gate + row[:, None] * gate_stride + column[None, :], mask=inside, other=0.0)
        z = z.to(tl.float32)
        h = h * z * tl.sigmoid(z)
    r = tl.rsqrt(tl.sum(h * h, 1) / SIZE + epsilon)
    w = tl.load(weight + column, mask=e < SIZE, other=0.0).to(tl.float32)
    tl.store(
        y + row[:, None] * (tl.num_programs(1) * SIZE) + column[None, :],
        (h * r[:, None] * w[None, :]).to(y.dtype.element_ty),
        mask=inside,
    )


@triton.jit
def backward(
    x,
    gate,
    weight,
    dy,
    dpassed,  # dense
    dx,  # dense
    dgate,  # by the stride of a row
    dweight,  # (splits, groups * SIZE)
    rows,
    epsilon,
    x_stride,
    gate_stride,
    dy_stride,
    dgate_stride,
    blocks,  # row blocks of one program
    GATED: tl.constexpr,
    PASSED: tl.constexpr,
    SIZE: tl.constexpr,
    BLOCK: tl.constexpr,
    ROWS: tl.constexpr,
):
    """Grid: splits of the rows, groups."""
    group = tl.program_id(1)
    width = tl.num_programs(1) * SIZE
    e = tl.arange(0, BLOCK)
    column = group * SIZE + e
    w = tl.load(weight + column, mask=e < SIZE, other=0.0).to(tl.float32)
    dw = tl.zeros((ROWS, BLOCK), tl.float32)
    for block in range(blocks):
        row = (tl.program_id(0).to(tl.int64) * blocks + block) * ROWS + tl.arange(0, ROWS)
        inside = (row < rows)[:, None] & (e < SIZE)[None, :]
        x32 = tl.load(x + row[:, None] * x_stride + column[None, :], mask=inside, other=0.0)
        x32 = x32.to(tl.float32)
        g = tl.load(dy + row[:, None] * dy_stride + column[None, :], mask=inside, other=0.0)
        g = g.to(tl.float32)
        h = x32
        if GATED:
            z = tl.load(gate + row[:, None] * gate_stride + column[None, :], mask=inside, other=0.0)
            z = z.to(tl.float32)
            opening = tl.sigmoid(z)
            silu = z * opening
            h = x32 * silu
        r = tl.rsqrt(tl.sum(h * h, 1) / SIZE + epsilon)
        h_normal = h * r[:, None]
        dw += g * h_normal
        g = g * w[None, :]
        mean = tl.sum(g * h_normal, 1) / SIZE
        dh = (g - h_normal * mean[:, None]) * r[:, None]
        if GATED:
            dz = dh * x32 * opening * (1.0 + z * (1.0 - opening))
            tl.store(
                dgate + row[:, None] * dgate_stride + column[None, :],
                dz.to(dgate.dtype.element_ty),
                mask=inside,
            )
            dh = dh * silu
        if PASSED:
            passed = tl.load(
                dpassed + row[:, None] * width + column[None, :], mask=inside, other=0.0
            )
            dh += passed.to(tl.float32)
        tl.store(
            dx + row[:, None] * width + column[None, :], dh.to(dx.dtype.element_ty), mask=inside
        )
    tl.store(dweight + tl.program_id(0).to(tl.int64) * width + column, tl.sum(dw, 0), mask=e < SIZE)
