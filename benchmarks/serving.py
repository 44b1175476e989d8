"""Serving speed in stock vLLM: exported hybrid shapes against Transformers of the same class.

    python benchmarks/serving.py [--shapes nemotron-h-8b,llama-3.1-8b,qwen2.5-7b,FOLDER]
        [--input 65536] [--output 1024] [--most 24] [--batches N,N] [--curve 1024,4096,16384]
        [--tensor-parallel N] [--quantization fp8] [--graphs] [--eager] [--logs FOLDER]

The experiment is that of the Nemotron-H report (arXiv 2504.03624, section 2.6): long inputs, short
outputs, for each model the batch that its memory allows. The figure is output tokens a second of
the whole job, prefill included. Weights are random (`load_format="dummy"`), since speed does not
depend on them. The hybrid's configuration is the one that `export` writes. A shape is a name or the
folder of a model, so a child of `compress` can be compared with its parent. Each model runs in a
process of its own, one after the other. All of them import vLLM at the start.

Printed for each shape: its batch, seconds of one prompt's prefill, seconds of one decode step of
the batch, tokens a second, and the bytes that a sequence keeps. Then the memory as vLLM found it,
the ratios (hybrids to the others; hybrids alone: to the first), and tokens a second over input
lengths. The last line is JSON.
"""

import argparse
import itertools
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT.parent))

from corpusmill.benchmarks.serving_shapes import (  # noqa: E402
    NAMES,
    configuration,
    is_hybrid,
    parameters,
    sequence_bytes,
)

USED = 0.92  # of the GPU's memory, by vLLM
SPARE = 6 << 30  # bytes of activations and graphs
LOG = "log.txt"


# What vLLM says about memory when it starts: GiB, GiB, and sequences of the longest job.
SAID = {
    "weights_gib": re.compile(r"Model loading took ([\d.]+) GiB"),
    "cache_gib": re.compile(r"Available KV cache memory: ([\d.]+) GiB"),
    "sequences": re.compile(r"Maximum concurrency for [\d,]+ tokens per request: ([\d.]+)x"),
}


def fitting_batch(config: dict[str, Any], tokens: int, options: argparse.Namespace) -> int:
    """How many sequences fit beside the weights, over all GPUs."""
    from vllm.platforms import current_platform

    # This asks the driver. A CUDA context here would make vLLM import itself anew in its engine.
    each = 1 if options.quantization == "fp8" else 2
    memory = current_platform.get_device_total_memory() * options.tensor_parallel
    room = USED * memory - parameters(config) * each - SPARE * options.tensor_parallel
    return max(1, int(room / sequence_bytes(config, tokens)))


def longest(options: argparse.Namespace) -> int:
    """Tokens of input and output together, of the longest job."""
    curve = (inputs + 3 * curve_outputs(options, inputs) for inputs in options.curve)
    return int(max(options.input + options.output, *curve, 0))


def curve_outputs(options: argparse.Namespace, inputs: int) -> int:
    """Tokens out for a point of the curve: more than the steps in which all prompts are read.

    While later prompts are read, the first ones already decode. With fewer tokens they would be
    done before, and the batch would never be whole.
    """
    reading = options.curve_batch * -(-inputs // options.chunk)
    return max(int(options.curve_output), 2 * reading)


def serve(shape: str, folder: str, options: argparse.Namespace) -> None:
    """Measure one shape, in this process; results are JSON lines on standard output."""
    import torch
    from vllm import LLM, SamplingParams

    print(json.dumps({"imported": shape}), flush=True)
    sys.stdin.readline()
    config = json.loads((Path(folder) / "config.json").read_text())
    total = options.input + options.output
    most = min(fitting_batch(config, total, options), options.most)
    batches = [min(size, most) for size in options.batches] or [most]
    compilation: dict[str, Any] = {"cudagraph_capture_sizes": sorted({1, 8, *batches})}
    if options.graphs:
        compilation |= {"mode": 0, "cudagraph_mode": "FULL_DECODE_ONLY"}
    started = time.perf_counter()
    llm = LLM(
        model=folder,
        load_format="dummy",
        skip_tokenizer_init=True,
        dtype="bfloat16",
        quantization=options.quantization,
        max_model_len=longest(options),
        max_num_seqs=max(batches),
        max_num_batched_tokens=options.chunk,
        gpu_memory_utilization=USED,
        enable_prefix_caching=False,
        enforce_eager=options.eager,
        tensor_parallel_size=options.tensor_parallel,
        compilation_config=compilation,
    )
    print(json.dumps({"start_seconds": round(time.perf_counter() - started, 1)}), flush=True)
    generator = torch.Generator().manual_seed(0)
    highest = min(100_000, config["vocab_size"])

    def seconds(prompts: int, inputs: int, outputs: int) -> float:
        """Of a whole job. Every prompt is other random tokens."""
        ids = torch.randint(10, highest, (prompts, inputs), generator=generator).tolist()
        sampling = SamplingParams(
            max_tokens=outputs, temperature=0.0, ignore_eos=True, detokenize=False
        )
        begun = time.perf_counter()
        done = llm.generate([{"prompt_token_ids": row} for row in ids], sampling, use_tqdm=False)
        taken = time.perf_counter() - begun
        assert all(len(item.outputs[0].token_ids) == outputs for item in done)
        return taken

    seconds(2, min(options.input, options.chunk), 8)  # compiles what is compiled late
    prefill = seconds(1, options.input, 1)
    for batch in batches:
        taken = seconds(batch, options.input, options.output)
        step = max(0.0, taken - batch * prefill) / options.output
        found = {
            "batch": batch,
            "prefill_seconds": round(prefill, 3),
            "decode_step_ms": round(1000 * step, 2),
            "seconds": round(taken, 2),
            "tokens_s": round(batch * options.output / taken, 1),
        }
        print(json.dumps(found), flush=True)
    for inputs in options.curve:
        prompts, outputs = options.curve_batch, curve_outputs(options, inputs)
        once, thrice = (seconds(prompts, inputs, times * outputs) for times in (1, 3))
        # Both jobs read the same. No prompt is done before the last one is read, so they differ in
        # decode steps of the whole batch only.
        decoding = max(1e-6, thrice - once) / (2 * outputs)
        point = {
            "input": inputs,
            "tokens_s": round(prompts * outputs / once, 1),
            "decode_tokens_s": round(prompts / decoding, 1),
        }
        print(json.dumps({"curve": point}), flush=True)


def folder_of(shape: str, work: Path) -> Path:
    """Where a shape's config.json and its log are written."""
    return work / shape.strip("/").replace("/", "+")


def start(shape: str, options: argparse.Namespace, work: Path) -> "subprocess.Popen[str]":
    """A process that imports vLLM and then waits for its turn."""
    folder = folder_of(shape, work)
    folder.mkdir(parents=True, exist_ok=True)
    config = configuration(shape, longest(options))
    (folder / "config.json").write_text(json.dumps(config))
    command = [sys.executable, __file__, *sys.argv[1:], "--serve", shape, "--folder", str(folder)]
    with (folder / LOG).open("a") as log:
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )


def collected(process: "subprocess.Popen[str]", log: Path) -> dict[str, Any]:
    """Let a waiting process go on, and gather what it measures."""
    found: dict[str, Any] = {"runs": [], "curve": []}
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    for line in process.stdout:
        if not line.startswith("{"):
            with log.open("a") as file:
                file.write(line)
            for name, pattern in SAID.items():
                if words := pattern.search(line):
                    found[name] = float(words[1])
            continue
        print(line, end="", flush=True)
        item = json.loads(line)
        if "curve" in item:
            found["curve"].append(item["curve"])
        elif "batch" in item:
            found["runs"].append(item)
        else:
            found.update(item)
    if process.wait():
        found["error"] = log.read_text()[-1500:]
        print(found["error"], file=sys.stderr)
    return found


def report(found: dict[str, dict[str, Any]], options: argparse.Namespace) -> dict[str, Any]:
    """Print tables. Returns the figures of the last line."""
    figures: dict[str, Any] = {}
    best = {}
    print(f"\n{options.input:,} tokens in, {options.output:,} out")
    print(
        f"{'shape':16} {'params':>7} {'MB/seq':>8} {'batch':>6} {'prefill s':>10} {'step ms':>8}"
        f" {'tokens/s':>9} {'in prefill':>11}"
    )
    for shape, item in found.items():
        config = configuration(shape, options.input + options.output)
        kept = sequence_bytes(config, options.input + options.output)
        for run in item["runs"]:
            share = min(1.0, run["batch"] * run["prefill_seconds"] / run["seconds"])
            print(
                f"{shape:16} {parameters(config) / 1e9:6.2f}B {kept / 1e6:8,.0f} {run['batch']:6}"
                f" {run['prefill_seconds']:10.2f} {run['decode_step_ms']:8.1f}"
                f" {run['tokens_s']:9.1f} {share:11.0%}"
            )
        if item["runs"]:
            best[shape] = max(item["runs"], key=lambda run: run["tokens_s"])
            figures[f"tokens_s.{shape}"] = best[shape]["tokens_s"]
            figures[f"batch.{shape}"] = best[shape]["batch"]
    said = {shape: item for shape, item in found.items() if item.keys() >= SAID.keys()}
    if said:
        print(f"\nas vLLM says\n{'shape':16} {'weights GiB':>12} {'MB/seq':>8} {'that fit':>9}")
    for shape, item in said.items():
        each = item["cache_gib"] * (1 << 30) / item["sequences"] / 1e6
        print(f"{shape:16} {item['weights_gib']:12.2f} {each:8,.1f} {item['sequences']:9,.1f}")
        figures[f"memory.{shape}"] = {
            "weights_gib": item["weights_gib"],
            "sequence_mb": round(each, 1),
            "sequences": item["sequences"],
        }
    hybrids = [shape for shape in best if is_hybrid(configuration(shape, options.input))]
    others = [shape for shape in best if shape not in hybrids]
    ours, theirs = (hybrids, others) if others else (hybrids[1:], hybrids[:1])
    for our, their in itertools.product(ours, theirs):
        ratio = best[our]["tokens_s"] / best[their]["tokens_s"]
        figures[f"ratio.{our}/{their}"] = round(ratio, 2)
        print(f"{our} / {their}: {ratio:.2f}")
    if options.curve:
        print(f"\ntokens/s over input length, {options.curve_batch} prompts (decode alone)")
        for shape, item in found.items():
            points = (
                f"{p['input']:,}: {p['tokens_s']} ({p['decode_tokens_s']})" for p in item["curve"]
            )
            print(f"{shape:16} {'  '.join(points)}")
            figures[f"curve.{shape}"] = item["curve"]
    return figures


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", default="nemotron-h-8b,llama-3.1-8b,qwen2.5-7b")
    parser.add_argument("--input", type=int, default=65536)
    parser.add_argument("--output", type=int, default=1024)
    parser.add_argument("--most", type=int, default=64, help="prompts of a batch, at most")
    parser.add_argument("--batches", type=numbers, default=[], help="batches to try")
    parser.add_argument("--chunk", type=int, default=8192, help="tokens of a prefill step")
    parser.add_argument("--curve", type=numbers, default=[])
    parser.add_argument("--curve-batch", type=int, default=8)
    parser.add_argument("--curve-output", type=int, default=128)
    parser.add_argument("--tensor-parallel", type=int, default=1)
    parser.add_argument("--quantization", choices=["fp8"])
    parser.add_argument("--logs", help="the folder for vLLM's logs")
    parser.add_argument(
        "--graphs", action="store_true", help="CUDA graphs of decoding, no compilation: soon ready"
    )
    parser.add_argument("--eager", action="store_true", help="no CUDA graphs, no compilation")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.folder, options)
        return
    shapes = options.shapes.split(",")
    unknown = [s for s in shapes if s not in NAMES and not (Path(s) / "config.json").exists()]
    if unknown:
        sys.exit(f"no folder and no shape: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    work = Path(options.logs or tempfile.mkdtemp())
    waiting = {shape: start(shape, options, work) for shape in shapes}
    try:
        found = {
            shape: collected(process, folder_of(shape, work) / LOG)
            for shape, process in waiting.items()
        }
    finally:
        for process in waiting.values():
            process.kill()
    import torch
    import vllm

    figures = {
        "torch": torch.__version__,
        "vllm": vllm.__version__,
        "card": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        **report(found, options),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
