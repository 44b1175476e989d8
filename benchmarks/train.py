"""The trainer's speed: on a GPU model steps and kernels, on a CPU a small model beside
transformers, the loader and the export.

    python benchmarks/train.py [--device cpu|cuda] [--shapes 1.11B,162M] [--steps N]
        [--set KEY=VALUE] [--documents no|yes|both] [--no-scan] [--peer FOLDER]
    torchrun --nproc-per-node N benchmarks/train.py --no-scan ...    several GPUs

On a GPU: tokens a second, model FLOP utilisation and peak memory of whole optimiser steps
(forward, backward, clip, AdamW) on random tokens, with and without document resets; and the scan
against mamba-ssm's Triton kernels in the same run, if --peer names a folder that holds the
unpacked package. On a CPU: 11M parameters, forward, backward and step, against transformers.

MFU: by the formula of `trainer/flops.py`, against 989 TFLOP/s, the dense bf16 peak of an H100 or
H200, a GPU.

The last line is JSON.
"""

import argparse
import functools
import json
import statistics
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT.parent))

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from corpusmill.manifests.assignments import assigned, read_assignment  # noqa: E402
from corpusmill.trainer import train as trainer  # noqa: E402
from corpusmill.trainer.config import HybridConfig, TrainConfig  # noqa: E402
from corpusmill.trainer.flops import flops_per_token  # noqa: E402
from corpusmill.trainer.loader import Batch  # noqa: E402
from corpusmill.trainer.loss import SummedLoss  # noqa: E402
from corpusmill.trainer.optim import Optimizer  # noqa: E402
from corpusmill.trainer.presets import NEMOTRON_H_8B  # noqa: E402
from corpusmill.trainer.ranks import Ranks, joined  # noqa: E402

PEAK = 989e12  # FLOP/s
DOCUMENT_LENGTH = 600  # mean tokens of a document where documents are reset

SHAPES: dict[str, dict[str, Any]] = {
    "1.11B": {  # recipes/nemotron_cc.yaml
        "model": HybridConfig(
            pattern="M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-",
            hidden_size=1536,
            ffn_size=6144,
            attention_heads=12,
            key_value_heads=4,
            mamba_heads=48,
        ),
        "sequence_length": 8192,
        "batch_size": 64,
        "micro_batch_size": 2,
    },
    "162M": {
        "model": HybridConfig(
            pattern="M-M-M-M*-M-M-M-M*-M-M-M-",
            hidden_size=768,
            ffn_size=3072,
            attention_heads=6,
            key_value_heads=2,
            mamba_heads=24,
            vocab_size=32768,
        ),
        "sequence_length": 2048,
        "batch_size": 64,
        "micro_batch_size": 16,
    },
    "8.10B": {  # the published one
        "model": NEMOTRON_H_8B,
        "sequence_length": 8192,
        "batch_size": 8,
        "micro_batch_size": 1,
    },
}
SMALL = HybridConfig(  # 11M parameters
    pattern="M-M*-M-M-M-",
    hidden_size=256,
    ffn_size=1024,
    attention_heads=4,
    key_value_heads=2,
    head_dim=64,
    mamba_heads=8,
    mamba_groups=1,
    mamba_state=64,
    vocab_size=12288,
)


def random_batch(config: TrainConfig, ranks: Ranks, seed: int) -> Batch:
    """Random tokens, documents of random lengths: one rank's share."""
    generator = torch.Generator().manual_seed(seed + ranks.rank)
    size = (config.batch_size // ranks.count, config.sequence_length)
    starts = torch.rand(size, generator=generator) < 1 / DOCUMENT_LENGTH
    tokens = torch.randint(0, config.model.vocab_size, (size[0], size[1] + 1), generator=generator)
    mask = torch.ones(size, dtype=torch.bool)
    return Batch(tokens, mask, starts.cumsum(1).int(), mask.sum().float()).to(ranks.device)


def training_step(config: TrainConfig, ranks: Ranks) -> Callable[[], None]:
    """One optimiser step, as the trainer makes it, on the same batch each time."""
    model = trainer.build_model(config, ranks)
    optimizer = Optimizer(model, config)
    summed_loss = SummedLoss(model, config)
    batch = random_batch(config, ranks, 0)

    def step() -> None:
        trainer.optimise(optimizer, 1e-5, summed_loss, batch, ranks)

    return step


def shape_config(name: str, documents: bool, changes: dict[str, Any]) -> TrainConfig:
    """The settings of a shape, with changes."""
    return TrainConfig(
        **{
            **SHAPES[name],
            "steps": 1,
            "warmup_steps": 0,
            "compile": True,
            "reset_at_documents": documents,
            **changes,
        }
    )


def measure_shape(config: TrainConfig, steps: int, ranks: Ranks) -> dict[str, float]:
    """Tokens a second, MFU and peak memory (GB) a GPU; the median step of `steps` after two."""
    torch._dynamo.reset()  # else all shapes share one count of compilations, which has a limit
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    step = training_step(config, ranks)
    times = []
    for _ in range(steps + 2):
        torch.cuda.synchronize()
        start = time.perf_counter()
        step()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times[2:])
    speed = config.batch_size * config.sequence_length / seconds
    return {
        "tokens_s": round(speed),
        "mfu": round(
            speed * flops_per_token(config.model, config.sequence_length) / (PEAK * ranks.count),
            4,
        ),
        "memory_gb": round(torch.cuda.max_memory_allocated() / 1e9, 1),
        "first_step_s": round(times[0], 1),
    }


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


def measure_cpu(steps: int) -> dict[str, float]:
    """Tokens a second of the 11M model and of transformers' on this CPU, the loader's, and how far
    exported logits are off.
    """
    from corpusmill.trainer.export import huggingface_config
    from safetensors.torch import save_file
    from transformers import NemotronHForCausalLM

    config = TrainConfig(
        model=SMALL,
        sequence_length=512,
        batch_size=2,
        steps=1,
        warmup_steps=0,
        device="cpu",
    )
    ranks = Ranks(torch.device("cpu"))
    step = training_step(config, ranks)
    tokens = random_batch(config, ranks, 0).tokens[:, :-1]
    ours = trainer.build_model(config, ranks)
    shape = huggingface_config(SMALL, {}, "float32", config.sequence_length)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(shape))
        save_file(dict(ours.state_dict()), Path(folder) / "model.safetensors", {"format": "pt"})
        theirs = NemotronHForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        expected = ours(tokens)
        difference = (theirs.eval()(tokens).logits - expected).abs().max() / expected.abs().max()
    theirs.train()
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=1e-5)

    def their_step() -> None:
        theirs(tokens, labels=tokens).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    count = config.batch_size * config.sequence_length
    return {
        "cpu_tokens_s.corpusmill": round(count / _seconds(step, steps)),
        "cpu_tokens_s.transformers": round(count / _seconds(their_step, steps)),
        "loader_tokens_s": round(loader_speed()),
        "export_logit_diff": float(difference),
    }


def loader_speed(tokens: int = 20_000_000) -> float:
    """Tokens a second of the packed stream on one core, over shards of 2M-token row groups."""
    from corpusmill.trainer.data import PackedStream
    from corpusmill.trainer.loader import collate
    from corpusmill.trainer.token_shards import catalogue

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shard-000.parquet"
        lengths = rng.geometric(1 / DOCUMENT_LENGTH, tokens // DOCUMENT_LENGTH)
        flat = pa.array(rng.zipf(1.3, int(lengths.sum())).clip(max=32767).astype(np.int32))
        offsets = pa.array(np.concatenate([[0], lengths.cumsum()]).astype(np.int32))
        count = len(lengths)
        table = pa.table(
            {
                "id": [f"doc-{i}" for i in range(count)],
                "tokens": pa.ListArray.from_arrays(offsets, flat),
                "n_prompt": pa.array(np.zeros(count, np.int32)),
                "source": ["bench"] * count,
            }
        )
        pq.write_table(table, path, row_group_size=2_000_000 // DOCUMENT_LENGTH)
        stream = PackedStream(catalogue([path], 2048, 0.0), 0, "concat", 8)
        rows = stream.epoch_rows // 16 * 16
        start = time.perf_counter()
        for first in range(0, rows, 16):
            collate(stream.row(row) for row in range(first, first + 16))
        return rows * 2048 / (time.perf_counter() - start)


def _seconds(run: Callable[[], None], repeats: int) -> float:
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure_shapes(
    arguments: argparse.Namespace, changes: dict[str, Any], ranks: Ranks
) -> dict[str, float]:
    """All shapes that were asked for, with and without document resets; a row is printed each."""
    results: dict[str, float] = {}
    if ranks.first:
        print("| shape | documents reset | tokens/s | MFU | peak GB | first step s |")
        print("|---|---|---|---|---|---|")
    resets = {"no": [False], "yes": [True], "both": [False, True]}[arguments.documents]
    for name in arguments.shapes.split(","):
        for documents in resets:
            row = measure_shape(shape_config(name, documents, changes), arguments.steps, ranks)
            if ranks.first:
                print(
                    f"| {name} | {'yes' if documents else 'no'} | {row['tokens_s']:,} | "
                    f"{row['mfu']:.1%} | {row['memory_gb']} | {row['first_step_s']} |",
                    flush=True,
                )
            key = f"{name}{'.documents' if documents else ''}"
            results |= {f"{measure}.{key}": value for measure, value in row.items()}
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--shapes", default="1.11B,162M", help=f"of {', '.join(SHAPES)}")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--documents", choices=["no", "yes", "both"], default="both")
    parser.add_argument("--no-scan", action="store_true", help="model steps only")
    parser.add_argument("--peer", type=Path, help="a folder with the unpacked mamba_ssm package")
    arguments = parser.parse_args()
    changes: dict[str, Any] = {}
    for change in arguments.set:
        changes = assigned(changes, *read_assignment(change))
    results: dict[str, Any] = {"torch": torch.__version__}
    if arguments.device == "cpu":
        results |= measure_cpu(arguments.steps)
    else:
        first = shape_config(arguments.shapes.split(",")[0], False, changes)
        with joined(first) as ranks:
            results |= {"card": torch.cuda.get_device_name(), "ranks": ranks.count, **changes}
            results |= measure_shapes(arguments, changes, ranks)
            if not ranks.first:
                return
        if not arguments.no_scan:
            results |= measure_scan(arguments.peer)
    for key, value in results.items():
        print(f"{key:40} {value}")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
