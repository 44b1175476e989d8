"""The selective scan on a GPU, as an operator that `torch.compile` sees as one node.

`scan` takes the row of x, B and C that the convolution leaves, and its gradient comes back as one
such row: nothing is split, padded or put together in memory. The kernels are in `ssd_kernels`
and `ssd_backward_kernels`; what they compute is `trainer.ssd.chunked_ssd`.
"""

import torch
import triton
from corpusmill.trainer.kernels import launch, ssd_backward_kernels, ssd_kernels
from torch import Tensor

BLOCK_H = 16


def fits(head_dim: int, state: int) -> bool:
    """Whether the kernels take this shape: powers of two that fill a tile of the matrix units."""
    return all(size in (16, 32, 64, 128, 256) for size in (head_dim, state))


def states_size(
    batch: int, length: int, heads: int, inner: int, state: int
) -> tuple[int, int, int, int, int]:
    """The shape of the states that enter the chunks."""
    return batch, -(-length // launch.CHUNK), heads, inner // heads, state


@torch.library.custom_op("corpusmill::scan", mutates_args=())
def scan(
    xBC_BTC: Tensor,
    dt_BTH: Tensor,
    A_H: Tensor,
    D_H: Tensor,
    documents_BT: Tensor | None,
    groups: int,
    state: int,
) -> Tensor:
    """The selective scan; returns y (B, T, H * P).

    xBC: x (H * P), B (G * N) and C (G * N) of each token, bf16 or fp32, any strides but the last.
    dt: step sizes after softplus. A: negative decay rates. D: skip weight per head. documents:
    whole numbers, never decreasing along a row; the state is zero at the first token of each.
    state: N.
    """
    return run_forward(xBC_BTC, dt_BTH, A_H, D_H, documents_BT, groups, state)[0]


@scan.register_fake
def _(
    xBC_BTC: Tensor,
    dt_BTH: Tensor,
    A_H: Tensor,
    D_H: Tensor,
    documents_BT: Tensor | None,
    groups: int,
    state: int,
) -> Tensor:
    batch, length, channels = xBC_BTC.shape
    return xBC_BTC.new_empty(batch, length, channels - 2 * groups * state)


@torch.library.custom_op("corpusmill::scan_backward", mutates_args=())
def scan_backward(
    dy_BTI: Tensor,
    xBC_BTC: Tensor,
    dt_BTH: Tensor,
    A_H: Tensor,
    D_H: Tensor,
    documents_BT: Tensor | None,
    groups: int,
    state: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of xBC, dt, A and D (the last three fp32); the same bits for the same inputs."""
    return run_backward(dy_BTI, xBC_BTC, dt_BTH, A_H, D_H, documents_BT, groups, state)[:4]


@scan_backward.register_fake
def _(
    dy_BTI: Tensor,
    xBC_BTC: Tensor,
    dt_BTH: Tensor,
    A_H: Tensor,
    D_H: Tensor,
    documents_BT: Tensor | None,
    groups: int,
    state: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return (
        xBC_BTC.new_empty(xBC_BTC.shape),
        dt_BTH.new_empty(dt_BTH.shape, dtype=torch.float32),
        A_H.new_empty(A_H.shape, dtype=torch.float32),
        D_H.new_empty(D_H.shape, dtype=torch.float32),
    )


def _setup_context(ctx, inputs, output):  # type: ignore[no-untyped-def]
    *tensors, ctx.groups, ctx.state = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx, dy_BTI):  # type: ignore[no-untyped-def]
    dxBC, ddt, dA, dD = scan_backward(dy_BTI, *ctx.saved_tensors, ctx.groups, ctx.state)
    dt, A, D = ctx.saved_tensors[1:4]
    return dxBC, ddt.to(dt.dtype), dA.to(A.dtype), dD.to(D.dtype), None, None, None


scan.register_autograd(_backward, setup_context=_setup_context)


class _Shape:
    """The sizes of one scan, the arguments that its kernels share, and the tensors that forward
    and backward both make.
    """

    def __init__(
        self,
        xBC: Tensor,
        dt: Tensor,
        A: Tensor,
        documents: Tensor | None,
        groups: int,
        state: int,
        dt_bias: Tensor | None,
    ) -> None:
        self.xBC = _rows(xBC)
        self.batch, self.length, channels = xBC.shape
        self.heads = dt.shape[2]
        self.head_dim = (channels - 2 * groups * state) // self.heads
        self.groups, self.state = groups, state
        self.chunks = triton.cdiv(self.length, launch.CHUNK)
        self.documents = xBC if documents is None else documents.contiguous()  # xBC: never read
        self.sizes = {
            "R": self.heads // groups,
            "P": self.head_dim,
            "N": state,
            "Q": launch.CHUNK,
            "DOCUMENTS": documents is not None,
        }
        self.decay = torch.empty(
            self.batch, self.heads, self.length, device=xBC.device, dtype=torch.float32
        )
        self.dt = torch.empty_like(self.decay)
        ssd_kernels.decays[self.chunks, self.batch, triton.cdiv(self.heads, BLOCK_H)](
            dt,
            A if dt_bias is None else dt_bias,
            A,
            self.decay,
            self.dt,
            self.length,
            self.heads,
            *dt.stride(),
            SOFTPLUS=dt_bias is not None,
            Q=launch.CHUNK,
            BLOCK_H=BLOCK_H,
        )

    @property
    def chunk_grid(self) -> tuple[int, int, int]:
        return self.groups, self.chunks, self.batch

    def states(self, values: Tensor, maps: Tensor, backward: bool) -> Tensor:
        """The state that enters each chunk, or the gradient of the one that leaves it: (B, K, H,
        P, N).
        """
        block_p, block_n = min(self.head_dim, 64), min(self.state, 64)
        out = self.xBC.new_empty(self.batch, self.chunks, self.heads, self.head_dim, self.state)
        blocks = (self.head_dim // block_p) * (self.state // block_n)
        ssd_kernels.states[blocks, self.heads, self.batch](
            values,
            maps,
            self.decay,
            self.dt,
            self.documents,
            out,
            self.length,
            self.chunks,
            self.heads,
            *values.stride()[:2],
            *maps.stride()[:2],
            BLOCK_P=block_p,
            BLOCK_N=block_n,
            BACKWARD=backward,
            **self.sizes,
            **launch.STATES.options(),
        )
        return out

    def entering(self) -> Tensor:
        inner = self.heads * self.head_dim
        return self.states(self.xBC, self.xBC[..., inner:], backward=False)


def _rows(tensor: Tensor) -> Tensor:
    """The tensor itself if its last dimension is dense in memory, else a copy."""
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()


def run_forward(
    xBC: Tensor,
    dt: Tensor,
    A: Tensor,
    D: Tensor,
    documents: Tensor | None,
    groups: int,
    state: int,
    dt_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """What `scan` does, outside of the operator, and the states that enter the chunks, which the
    backward can use again.

    dt_bias: given, the step size is softplus(dt + dt_bias).
    """
    shape = _Shape(xBC, dt, A, documents, groups, state, dt_bias)
    entering = shape.entering()
    y = xBC.new_empty(shape.batch, shape.length, shape.heads * shape.head_dim)
    ssd_kernels.scan[shape.chunk_grid](
        shape.xBC,
        shape.decay,
        shape.dt,
        D,
        shape.documents,
        entering,
        y,
        shape.length,
        shape.chunks,
        shape.heads,
        *shape.xBC.stride()[:2],
        **shape.sizes,
        **launch.SCAN.options(),
    )
    return y, entering


def run_backward(
    dy: Tensor,
    xBC: Tensor,
    dt: Tensor,
    A: Tensor,
    D: Tensor,
    documents: Tensor | None,
    groups: int,
    state: int,
    dt_bias: Tensor | None = None,
    ddt: Tensor | None = None,
    entering: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What `scan_backward` does, outside of the operator, and the gradient of dt_bias.

    dt_bias: given, dt is what stands before softplus(dt + dt_bias). ddt: where its gradient goes,
    if not into new memory. entering: the states of the forward, if they were kept; else they are
    made again.
    """
    shape = _Shape(xBC, dt, A, documents, groups, state, dt_bias)
    xBC, dy = shape.xBC, _rows(dy)
    batch, length, chunks, heads = shape.batch, shape.length, shape.chunks, shape.heads
    inner = heads * shape.head_dim

    def fp32(*size: int) -> Tensor:
        return torch.empty(size, device=xBC.device, dtype=torch.float32)

    dxBC = torch.empty(xBC.shape, device=xBC.device, dtype=xBC.dtype)
    rows = fp32(5, batch, heads, length)
    dD, dA, dbias, through = (fp32(batch, chunks, heads) for _ in range(4))
    if ddt is None:
        ddt = fp32(batch, length, heads)
    dscore = xBC.new_empty(batch, chunks, groups, launch.CHUNK, launch.CHUNK)
    leaving = shape.states(dy, xBC[..., inner + groups * state :], backward=True)
    strides = (*xBC.stride()[:2], *dy.stride()[:2], *dxBC.stride()[:2], rows.stride(0))
    ssd_backward_kernels.scan_backward_values[shape.chunk_grid](
        xBC,
        dy,
        shape.decay,
        shape.dt,
        D,
        shape.documents,
        leaving,
        dxBC,
        dscore,
        rows,
        dD,
        length,
        chunks,
        heads,
        *strides,
        **shape.sizes,
        **launch.SCAN_BACKWARD_VALUES.options(),
    )
    if entering is None:
        entering = shape.entering()
    for of_C in (False, True):
        ssd_backward_kernels.scan_backward_maps[shape.chunk_grid](
            xBC,
            dy,
            shape.decay,
            shape.dt,
            shape.documents,
            entering,
            leaving,
            dscore,
            dxBC,
            rows,
            through,
            length,
            chunks,
            heads,
            *strides,
            OF_C=of_C,
            **shape.sizes,
            **launch.SCAN_BACKWARD_MAPS.options(),
        )
    ssd_backward_kernels.decay_gradient[chunks, batch, triton.cdiv(heads, BLOCK_H)](
        rows,
        through,
        shape.dt,
        A,
        ddt,
        dA,
        dbias,
        length,
        chunks,
        heads,
        rows.stride(0),
        *ddt.stride()[:2],
        SOFTPLUS=dt_bias is not None,
        Q=launch.CHUNK,
        BLOCK_H=BLOCK_H,
    )
    if dt_bias is None:
        dbias = dbias.zero_()
    return dxBC, ddt, dA.sum((0, 1)), dD.sum((0, 1)), dbias.sum((0, 1))
