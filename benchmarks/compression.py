"""Compression: the search on paper, the speed of its passes, and pruned children against scratch.

    python benchmarks/compression.py --paper
    python benchmarks/compression.py --speed [--size tiny|56M|160M] [--device cpu|cuda] [--compile]
    python benchmarks/compression.py --decode PARENT CHILD [--slots 16] [--answer 256]
    python benchmarks/compression.py --arms PACK [--size tiny|56M|160M] [--seeds 3] [--long-seeds 3]
        [--work FOLDER] [--parent-tokens N] [--child-tokens N] [--short-tokens N] [--candidates N]
        [--share 0.75] [--pruned-rate 0.3]

--paper: Nemotron-H-56B under 31.7 GiB at 1M tokens, on the meta device. --speed: the importance
pass over the plain forward, a distillation step over a cross-entropy step and a forward of the
teacher, and a step with stored targets. --decode: tokens a second that our generator makes with two
model folders, beside the ratio that the bytes of a step predict. --arms: a parent is trained on
PACK (the output of the pack stage), compressed by the two stages, and the winner's shape is trained
in five ways with equal student tokens: pruned or from scratch, by KL or by cross-entropy, and from
scratch with the parent's tokens too (--long-seeds).
Held-out loss is cross-entropy in all of them. A stopped run goes on if --work names its folder.
On a GPU, for example: --size 56M --parent-tokens 60000000 --child-tokens 15000000
--short-tokens 2000000 --long-seeds 1: 300 million tokens in all.

The last line is JSON.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT.parent))

from corpusmill.benchmarks.compression_arms import Arms  # noqa: E402
from corpusmill.benchmarks.compression_sizes import SIZES  # noqa: E402
from corpusmill.benchmarks.compression_speed import decode, speed  # noqa: E402
from corpusmill.compression.memory import GIB, Serving, memory_of, parameters_of  # noqa: E402
from corpusmill.compression.search import Budget, search  # noqa: E402
from corpusmill.compression.space import Sizes, Space  # noqa: E402
from corpusmill.trainer.presets import NEMOTRON_H_56B  # noqa: E402
from corpusmill.trainer.ranks import find_device  # noqa: E402


def on_paper() -> dict[str, Any]:
    """The published case: which children fit 31.7 GiB at 1M tokens in 4 bits."""
    serving = Serving(weights="fp4", cache="fp4", context=1 << 20)
    budget = Budget(memory_gib=31.7, reserve_gib=1.0, serving=serving)
    started = time.perf_counter()
    found = search(NEMOTRON_H_56B, Space().choices(NEMOTRON_H_56B), budget)
    seconds = time.perf_counter() - started
    print(
        f"{found.tried:,} sizes tried, {found.fitting:,} fit, {len(found.sizes)} cannot grow, "
        f"{seconds:.4f} s"
    )
    whole = Sizes.of(NEMOTRON_H_56B)
    print(f"{'parameters':>15} {'GiB':>6}  sizes")
    rows = []
    for sizes in found.sizes:
        pattern = "M" * sizes.mamba_layers + "*" * sizes.attention_layers + "-" * sizes.ffn_layers
        shape = sizes.shape(NEMOTRON_H_56B, pattern)
        gib = memory_of(shape, serving).total / GIB
        rows.append((parameters_of(shape), gib, sizes.name(whole)))
    for parameters, gib, name in sorted(rows, reverse=True):
        print(f"{parameters:>15,} {gib:>6.2f}  {name}")
    published = "mamba_layers-44_attention_layers-5_ffn_layers-49_ffn_size-30720"
    return {
        "sizes": found.tried,
        "fit": found.fitting,
        "largest": len(found.sizes),
        "has_published": published in {name for _, _, name in rows},
        "seconds": round(seconds, 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--paper", action="store_true")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--decode", nargs=2, type=Path, metavar=("PARENT", "CHILD"))
    parser.add_argument("--arms", metavar="PACK")
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--answer", type=int, default=256)
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--long-seeds", type=int, default=3, help="of the arm with all tokens")
    parser.add_argument("--parent-tokens", type=int, default=600_000)
    parser.add_argument("--child-tokens", type=int, default=200_000)
    parser.add_argument("--short-tokens", type=int, default=40_000)
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--share", type=float, default=0.75, help="child's share of parameters")
    parser.add_argument("--pruned-rate", type=float, default=0.3, help="share of the peak rate")
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    results: dict[str, Any] = {}
    if options.paper:
        results["paper"] = on_paper()
    if options.speed:
        device = find_device(options.device)
        results["speed"] = speed(options.size, device, options.compile, options.repeats)
    if options.decode:
        device = find_device(options.device)
        results["decode"] = decode(options.decode, device, options.slots, options.answer)
    if options.arms:
        with tempfile.TemporaryDirectory() as temporary:
            results["arms"] = Arms(options, options.work or Path(temporary)).run()
    if not results:
        parser.error("give --paper, --speed, --decode or --arms")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
