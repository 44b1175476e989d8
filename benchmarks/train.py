"""The trainer's speed: on a GPU model steps and kernels, on a CPU a small model beside
transformers, generation, the loader and the export.

    python benchmarks/train.py [--device cpu|cuda] [--shapes 1.11B,162M] [--steps N]
        [--set KEY=VALUE] [--documents no|yes|both] [--graph] [--no-scan] [--peer FOLDER]
    torchrun --nproc-per-node N benchmarks/train.py --no-scan ...    several GPUs

On a GPU: whole optimiser steps (`train_shapes.py`), with --graph those with a CUDA graph beside
those without, and the scan against mamba-ssm's in the same
run, if --peer names a folder with the unpacked package (`train_scan.py`). On a CPU:
`train_cpu.py`, and generation by `generation.py`.

The last line is JSON.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT.parent))

import torch  # noqa: E402
from corpusmill.benchmarks.train_shapes import (  # noqa: E402
    SHAPES,
    measure_graphs,
    measure_shapes,
    shape_config,
)
from corpusmill.manifests.assignments import assigned, read_assignment  # noqa: E402
from corpusmill.trainer.ranks import joined  # noqa: E402


def on_cpu(steps: int) -> dict[str, Any]:
    from corpusmill.benchmarks import generation
    from corpusmill.benchmarks.train_cpu import measure_cpu

    return measure_cpu(steps) | generation.generate_tokens_s(generation.measure(repeats=1))


def on_gpu(arguments: argparse.Namespace, changes: dict[str, Any]) -> dict[str, Any] | None:
    """Results of the first rank; None on others."""
    names = arguments.shapes.split(",")
    resets = {"no": [False], "yes": [True], "both": [False, True]}[arguments.documents]
    with joined(shape_config(names[0], False, changes)) as ranks:
        results = {"card": torch.cuda.get_device_name(), "ranks": ranks.count, **changes}
        if arguments.graph:
            results |= measure_graphs(names, arguments.steps, changes, ranks)
        else:
            results |= measure_shapes(names, resets, arguments.steps, changes, ranks)
        if not ranks.first:
            return None
    if not arguments.no_scan:
        from corpusmill.benchmarks.train_scan import measure_scan

        results |= measure_scan(arguments.peer)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--shapes", default="1.11B,162M", help=f"of {', '.join(SHAPES)}")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--documents", choices=["no", "yes", "both"], default="both")
    parser.add_argument("--graph", action="store_true", help="steps with and without a CUDA graph")
    parser.add_argument("--no-scan", action="store_true", help="model steps only")
    parser.add_argument("--peer", type=Path, help="a folder with the unpacked mamba_ssm package")
    arguments = parser.parse_args()
    changes: dict[str, Any] = {}
    for change in arguments.set:
        changes = assigned(changes, *read_assignment(change))
    on_this = on_cpu(arguments.steps) if arguments.device == "cpu" else on_gpu(arguments, changes)
    if on_this is None:
        return
    results = {"torch": torch.__version__, **on_this}
    print("| measure | value |")
    print("|---|---|")
    for key, value in results.items():
        print(
            f"| {key} | {value:,} |" if isinstance(value, int | float) else f"| {key} | {value} |"
        )
    print(json.dumps(results))


if __name__ == "__main__":
    main()
