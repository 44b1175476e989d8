"""The scan of a Mamba-2 layer on a GPU against mamba-ssm's Triton kernels, in one run.

B8 L4096 H32 P64 G8 N128 in bf16: milliseconds forward and backward, and errors against float64.
"""

import functools
import statistics
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

HEADS, HEAD_DIM, GROUPS, STATE = 32, 64, 8, 128  # of the scan that is compared
SCAN_INPUTS = ("x", "B", "C", "dt", "A", "D")
PEER_CHUNKS = (64, 256)  # its two fastest
Scan = Callable[..., torch.Tensor]


def measure_scan(peer: Path | None) -> dict[str, float]:
    """Milliseconds of the scan, forward and backward, B8 L4096 H32 P64 G8 N128 in bf16, and errors
    against float64.

    Errors are relative, by norms, means of three draws of 2,048 tokens. The peer is taken with its
    best chunk for the time.
    """
    from corpusmill.trainer.kernels import ssd
    from triton.testing import do_bench

    def ours(x, B, C, dt, A, D):  # type: ignore[no-untyped-def]
        rows = torch.cat([x, B, C], -1)
        return ssd.scan(rows, dt, A, D, None, GROUPS, STATE)

    def milliseconds(run: Callable[[], Any]) -> float:
        return round(do_bench(run, warmup=100, rep=500, return_mode="median"), 3)

    inputs, dy = scan_inputs(8, 4096, 0)
    rows = torch.cat(inputs[:3], -1).detach().requires_grad_()
    wanted = (rows, *inputs[3:])

    def step() -> Any:
        y = ssd.scan(rows, *inputs[3:], None, GROUPS, STATE)
        return torch.autograd.grad(y, wanted, dy)

    results = {"scan_ms.corpusmill": milliseconds(step)}
    results |= scan_errors("corpusmill", ours)
    if peer is not None:
        times = []
        for chunk in PEER_CHUNKS:
            theirs = functools.partial(peer_scan(peer), chunk)
            run = functools.partial(
                lambda scan: torch.autograd.grad(scan(*inputs), inputs, dy), theirs
            )
            times.append(milliseconds(run))
            results |= scan_errors(f"mamba_ssm_{chunk}", theirs)
        results["scan_ms.mamba_ssm"] = min(times)
    return results


def scan_inputs(batch: int, length: int, seed: int) -> tuple[list[torch.Tensor], torch.Tensor]:
    """x, B, C, dt, A, D as leaves, and a gradient of y."""
    torch.manual_seed(seed)
    sizes = (HEADS * HEAD_DIM, GROUPS * STATE, GROUPS * STATE, HEADS * HEAD_DIM)
    *wide, dy = (
        torch.randn(batch, length, size, device="cuda", dtype=torch.bfloat16) for size in sizes
    )
    dt = F.softplus(torch.randn(batch, length, HEADS, device="cuda") - 4)
    A, D = -torch.rand(HEADS, device="cuda") * 15 - 1, torch.randn(HEADS, device="cuda")
    return [tensor.requires_grad_() for tensor in (*wide, dt, A, D)], dy


def scan_errors(name: str, scan: Scan) -> dict[str, float]:
    """Of y and of every gradient."""
    from corpusmill.trainer.ssd import chunked_ssd

    found: dict[str, list[float]] = {}
    for seed in (1, 2, 3):
        inputs, dy = scan_inputs(1, 2048, seed)
        exact = [tensor.detach().double().requires_grad_() for tensor in inputs]
        x, B, C, dt, A, D = exact
        heads, maps = (HEADS, HEAD_DIM), (GROUPS, STATE)
        y_exact = chunked_ssd(
            x.unflatten(-1, heads), dt, A, B.unflatten(-1, maps), C.unflatten(-1, maps), D, 128
        ).flatten(-2)
        y = scan(*inputs)
        pairs = zip(
            ("y", *(f"d{name}" for name in SCAN_INPUTS)),
            (y, *torch.autograd.grad(y, inputs, dy)),
            (y_exact, *torch.autograd.grad(y_exact, exact, dy.double())),
            strict=True,
        )
        for what, one, other in pairs:
            error = ((one.double() - other).norm() / other.norm()).item()
            found.setdefault(what, []).append(error)
    return {f"scan_error.{name}.{what}": statistics.mean(errors) for what, errors in found.items()}


def peer_scan(folder: Path) -> Scan:
    """mamba-ssm's scan, from an unpacked wheel; its own `__init__` wants CUDA extensions."""
    package = types.ModuleType("mamba_ssm")
    package.__path__ = [str(folder / "mamba_ssm")]
    sys.modules.setdefault("mamba_ssm", package)
    from mamba_ssm.ops.triton.ssd_combined import mamba_chunk_scan_combined

    def scan(chunk: int, x, B, C, dt, A, D):  # type: ignore[no-untyped-def]
        heads, maps = (HEADS, HEAD_DIM), (GROUPS, STATE)
        return mamba_chunk_scan_combined(
            x.unflatten(-1, heads),
            dt,
            A,
            B.unflatten(-1, maps),
            C.unflatten(-1, maps),
            chunk,
            D=D,
        ).flatten(-2)

    return scan
