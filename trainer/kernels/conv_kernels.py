"""Causal depthwise convolution with bias and SiLU, forward and backward, as Triton kernels.

A program walks some channels along a stretch of tokens, row by row, with the last WIDTH rows in
registers: every value is read once and every SiLU made once. (Tiles of tokens x channels with
shifted reads made each SiLU of the backward WIDTH times and took four times as long.) Rows are
loaded STEP at a time, so that loads overlap. A shift that crosses a document boundary counts
nothing. The backward makes anew what went into the SiLU; sums over time for weight and bias are
kept in registers, written per program and added up in a fixed order.
"""

import triton
import triton.language as tl


@triton.jit
def _pushed(window, newest, WIDTH: tl.constexpr):
    """The window without its oldest row and with `newest` at its end."""
    moved = ()
    for place in tl.static_range(WIDTH - 1):
        moved = moved + (window[place + 1],)
    return moved + (newest,)


@triton.jit
def _rows(at, first, length, stride, known, STEP: tl.constexpr):
    """STEP rows from `first` on; zero outside of 0 to length - 1 and in unknown channels."""
    rows = ()
    for i in tl.static_range(STEP):
        t = first + i
        inside = (t >= 0) & (t < length)
        rows = rows + (tl.load(at + t.to(tl.int64) * stride, mask=known & inside, other=0.0),)
    return rows


@triton.jit
def _document(documents_at, t, length, DOCUMENTS: tl.constexpr):
    """The number of token t's document; -1 before the first token."""
    document = tl.where(t >= 0, 0, -1)
    if DOCUMENTS:
        document = tl.load(documents_at + t, mask=(t >= 0) & (t < length), other=-1).to(tl.int32)
    return document


@triton.jit
def forward(
    x,  # (B, T, C) by strides
    weight,  # (C, WIDTH)
    bias,
    documents,
    y,  # (B, T, C) dense
    length,
    channels,
    x_stride_b,
    x_stride_t,
    steps,
    WIDTH: tl.constexpr,
    STEP: tl.constexpr,
    BLOCK_C: tl.constexpr,
    DOCUMENTS: tl.constexpr,
):
    """Grid: channel blocks, stretches of steps x STEP tokens, batch."""
    batch = tl.program_id(2).to(tl.int64)
    c = tl.program_id(0) * BLOCK_C + tl.arange(0, BLOCK_C)
    known = c < channels
    x_at = x + batch * x_stride_b + c
    y_at = y + batch * length * channels + c
    documents_at = documents + batch * length
    start = tl.program_id(1) * steps * STEP
    bias_C = tl.load(bias + c, mask=known, other=0.0).to(tl.float32)
    w_C, x_C, document = (), (), ()  # windows: the oldest row first
    for place in tl.static_range(WIDTH):
        tap = tl.load(weight + c * WIDTH + place, mask=known, other=0.0)
        w_C = w_C + (tap.to(tl.float32),)
        t = start - WIDTH + place
        row = tl.load(x_at + t.to(tl.int64) * x_stride_t, mask=known & (t >= 0), other=0.0)
        x_C = x_C + (row.to(tl.float32),)
        document = document + (_document(documents_at, t, length, DOCUMENTS),)

    for step in range(steps):
        first = start + step * STEP
        rows = _rows(x_at, first, length, x_stride_t, known, STEP)
        for i in tl.static_range(STEP):
            t = first + i
            x_C = _pushed(x_C, rows[i].to(tl.float32), WIDTH)
            document = _pushed(document, _document(documents_at, t, length, DOCUMENTS), WIDTH)
            y_C = bias_C
            for place in tl.static_range(WIDTH):
                tap = tl.where(document[place] == document[WIDTH - 1], 1.0, 0.0) * w_C[place]
                y_C += x_C[place] * tap
            y_C = y_C * tl.sigmoid(y_C)
            tl.store(
                y_at + t.to(tl.int64) * channels,
                y_C.to(y.dtype.element_ty),
                mask=known & (t < length),
            )


@triton.jit
def backward(
    x,  # (B, T, C) by strides
    weight,
    bias,
    documents,
    dy,  # (B, T, C) by strides
    dx,  # (B, T, C) by strides
    sums,  # (B, stretches, WIDTH + 1, C): of each weight and of the bias
    length,
    channels,
    x_stride_b,
    x_stride_t,
    dy_stride_b,
    dy_stride_t,
    dx_stride_b,
    dx_stride_t,
    steps,
    WIDTH: tl.constexpr,
    STEP: tl.constexpr,
    BLOCK_C: tl.constexpr,
    DOCUMENTS: tl.constexpr,
):
    """The row that is read is WIDTH - 1 ahead of the row whose gradient is written. Grid: as
    forward.
    """
    batch = tl.program_id(2).to(tl.int64)
    c = tl.program_id(0) * BLOCK_C + tl.arange(0, BLOCK_C)
    known = c < channels
    x_at = x + batch * x_stride_b + c
    dy_at = dy + batch * dy_stride_b + c
    dx_at = dx + batch * dx_stride_b + c
    documents_at = documents + batch * length
    start = tl.program_id(1) * steps * STEP
    end = start + steps * STEP
    bias_C = tl.load(bias + c, mask=known, other=0.0).to(tl.float32)
    w_C, dw_C, x_C, before_C, document = (), (), (), (), ()
    for place in tl.static_range(WIDTH):
        tap = tl.load(weight + c * WIDTH + place, mask=known, other=0.0)
        w_C = w_C + (tap.to(tl.float32),)
        dw_C = dw_C + (tl.zeros((BLOCK_C,), tl.float32),)
        before_C = before_C + (tl.zeros((BLOCK_C,), tl.float32),)
        t = start - WIDTH + place
        row = tl.load(x_at + t.to(tl.int64) * x_stride_t, mask=known & (t >= 0), other=0.0)
        x_C = x_C + (row.to(tl.float32),)
        document = document + (_document(documents_at, t, length, DOCUMENTS),)
    dbias_C = tl.zeros((BLOCK_C,), tl.float32)

    for step in range(steps + (WIDTH - 2 + STEP) // STEP):
        first = start + step * STEP
        rows = _rows(x_at, first, length, x_stride_t, known, STEP)
        dys = _rows(dy_at, first, length, dy_stride_t, known, STEP)
        for i in tl.static_range(STEP):
            t = first + i
            x_C = _pushed(x_C, rows[i].to(tl.float32), WIDTH)
            document = _pushed(document, _document(documents_at, t, length, DOCUMENTS), WIDTH)
            value_C = bias_C
            for place in tl.static_range(WIDTH):
                tap = tl.where(document[place] == document[WIDTH - 1], 1.0, 0.0) * w_C[place]
                value_C += x_C[place] * tap
            gate_C = tl.sigmoid(value_C)
            newest_C = dys[i].to(tl.float32) * gate_C * (1.0 + value_C * (1.0 - gate_C))
            before_C = _pushed(before_C, newest_C, WIDTH)
            mine = tl.where(t < end, 1.0, 0.0)  # rows past the end are another program's to sum
            dbias_C += newest_C * mine
            added_C = ()
            for place in tl.static_range(WIDTH):
                counts = tl.where(document[place] == document[WIDTH - 1], mine, 0.0)
                added_C = added_C + (dw_C[place] + newest_C * counts * x_C[place],)
            dw_C = added_C
            dx_C = tl.zeros((BLOCK_C,), tl.float32)
            for place in tl.static_range(WIDTH):
                tap = tl.where(document[place] == document[0], 1.0, 0.0) * w_C[WIDTH - 1 - place]
                dx_C += before_C[place] * tap
            target = t - (WIDTH - 1)
            tl.store(
                dx_at + target.to(tl.int64) * dx_stride_t,
                dx_C.to(dx.dtype.element_ty),
                mask=known & (target >= start) & (target < end) & (target < length),
            )

    sums_at = sums + (batch * tl.num_programs(1) + tl.program_id(1)) * (WIDTH + 1) * channels + c
    for place in tl.static_range(WIDTH):
        tl.store(sums_at + place * channels, dw_C[place], mask=known)
    tl.store(sums_at + WIDTH * channels, dbias_C, mask=known)
