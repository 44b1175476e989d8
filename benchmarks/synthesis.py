"""The speed of `synthesize` beside that of the bare engine, with the same requests in the same run.

    python benchmarks/synthesis.py [--parts PART,PART] [--model tiny] [--documents FILE]
        [--most N] [--output N] [--repeats N] [--fp8] [--eager] [--ngram METHOD] [--cache-gib N]

- `engine`: the whole stage (it reads Parquet, plans, asks, filters, writes) against the bare
  engine, which gets all requests at once and whose answers are thrown away. `engine_ratio`,
  `output_tokens_s`, `driver_peak_mb`.
- `order`: level `high` under five prompts, the document behind the instruction and before it.
  `prefill_saved` is the share of prompt tokens that came from the cache. `document_first_ratio`
  compares output tokens a second.
- `openai`: the stage against vLLM's own bench client, both against one local server.
  `openai_ratio`.
- `kills`: kill -9 of the run and of the server, in turn. The output must equal that of an
  uninterrupted run. `duplicated_requests` is the share of requests that were answered twice.
- `queue`: `--queue` documents in one shard, of which `--answers` are answered.
  `driver_peak_mb.queue`, and `driver_growth_mb.queue` over the last three quarters.
- `offline`: the stage against `vllm.LLM`, vLLM's own class for work offline, with the requests of
  `engine`. `offline_ratio`, `offline_tokens_s`.
- `speculation`: `rephrase` of all documents by the tiny model, without and with guesses of copied
  spans (`--ngram`). `speculation.ratio`, `speculation.accepted_share` of the guessed tokens.
- `speculation_routed`: the same with the prompts of each document's level.
- `speculation_lost`: the same with `--model`. Random weights copy nothing, so this is what guesses
  cost. `speculation_routed.ratio`, `speculation_lost.ratio` and so on.

The engines of `offline` and of speculation start together and take turns
(`benchmarks/synthesis_sides.py`). Each has a cache of `--cache-gib`, the tiny model 10 at most.

One vLLM engine is started for `engine` and `order`. Its prefix cache is emptied before each
measurement. `tiny` is the shipped model. `smollm2-1.7b` has that model's shape and random weights,
for GPUs: its answers mean nothing and end at their limit. Its tokenizer is trained on the
documents. `small` is the same for CPUs, to check the script. A document file is Parquet with
columns id, text and level. Without one, `samples/` are used.

The last line is JSON.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT.parent), str(ROOT)]

from corpusmill.stages.engines.vllm import VLLMEngine  # noqa: E402
from corpusmill.stages.synthesize.stage import Synthesize  # noqa: E402

from benchmarks import synthesis_vllm as bare_engine  # noqa: E402 - the checkout is the package
from benchmarks.synthesis_sides import FREE_SHARE, Side, end, measured  # noqa: E402
from benchmarks.synthesis_vllm import SHAPES, Counting, Rows, Tally  # noqa: E402

TINY_CACHE_GIB = 10
SPECULATION = {"speculation", "speculation_routed", "speculation_lost"}


def row_of(name: str, tally: Tally) -> None:
    cached = f"{tally.cached / tally.prompt:.0%}"
    figures = (
        f"{tally.output:,} | {tally.seconds:.1f} | {tally.tokens_s:,.0f} | {tally.peak_mb:,.0f}"
    )
    print(f"| {name} | {tally.requests} | {tally.prompt:,} | {cached} | {figures} |", flush=True)


def settings_of(options: argparse.Namespace, rows: Rows, work: Path) -> Synthesize:
    arguments: dict[str, Any] = {"max_num_seqs": options.sequences} if options.sequences else {}
    if options.model != "tiny":
        arguments["load_format"] = "dummy"
    if options.fp8:
        arguments |= {"quantization": "fp8", "kv_cache_dtype": "fp8"}
    texts = [row["text"] for row in rows]
    engine = VLLMEngine(
        model=bare_engine.model_folder(options.model, texts, work / "model"),
        context=bare_engine.CONTEXT,
        enforce_eager=options.eager,
        in_flight=2 * options.sequences if options.sequences else 2048,
        arguments=arguments or None,
    )
    return Synthesize(engine=engine, routes=bare_engine.capped(options.output, work / "prompts"))


def with_arguments(settings: Synthesize, **arguments: Any) -> Synthesize:
    """The same with further engine arguments. A size for the cache stands in for a share."""
    engine = settings.engine
    assert isinstance(engine, VLLMEngine)
    changed: dict[str, Any] = {"arguments": {**(engine.arguments or {}), **arguments}}
    if "kv_cache_memory_bytes" in arguments:
        changed["gpu_memory_utilization"] = FREE_SHARE
    return settings.model_copy(update={"engine": engine.model_copy(update=changed)})


def engine_part(
    options: argparse.Namespace, model: Counting, settings: Synthesize, rows: Rows
) -> dict[str, Any]:
    alone, whole = [], []
    for _ in range(options.repeats):
        alone.append(bare_engine.bare(model, settings, rows))
        row_of("bare engine", alone[-1])
        whole.append(bare_engine.pipeline(model, settings, rows))
        row_of("pipeline", whole[-1])
        assert whole[-1].requests == alone[-1].requests
    speeds = [median(tally.tokens_s for tally in side) for side in (alone, whole)]
    return {
        "engine_ratio": round(speeds[1] / speeds[0], 3),
        "output_tokens_s": round(speeds[1]),
        "driver_peak_mb": round(max(tally.peak_mb for tally in whole)),
    }


def order_part(
    options: argparse.Namespace, model: Counting, settings: Synthesize, rows: Rows, work: Path
) -> dict[str, Any]:
    high = [row for row in rows if row["level"] == "high"]
    routes = bare_engine.capped(options.order_output, work / "short")
    found = {}
    for order in ("instruction_first", "document_first"):
        changed = settings.model_copy(update={"order": order, "routes": routes})
        found[order] = bare_engine.pipeline(model, changed, high)
        row_of(order.replace("_", " "), found[order])
    first, last = found["document_first"], found["instruction_first"]
    return {
        "prefill_saved": round(first.cached / first.prompt, 3),
        "prefill_saved.instruction_first": round(last.cached / last.prompt, 3),
        "document_first_ratio": round(first.tokens_s / last.tokens_s, 3),
    }


def sides_of(options: argparse.Namespace, rows: Rows, parts: set[str], work: Path) -> list[Side]:
    """The engines of `offline` and `speculation`."""
    found = []
    if "offline" in parts:
        settings = settings_of(options, rows, work)
        settings = with_arguments(settings, kv_cache_memory_bytes=options.cache_gib << 30)
        found += [
            Side("vllm.LLM", "offline", settings, rows),
            Side("pipeline", "stage", settings, rows),
        ]
    tiny = argparse.Namespace(**{**vars(options), "model": "tiny", "fp8": False})
    for part in sorted(parts & SPECULATION):
        (work / part).mkdir()
        lost = part == "speculation_lost"
        settings = settings_of(options if lost else tiny, rows, work / part)
        if part == "speculation":
            rephrase = dict.fromkeys(settings.routes, settings.routes["low"])
            settings = settings.model_copy(update={"routes": rephrase})
        cache = options.cache_gib if lost else min(options.cache_gib, TINY_CACHE_GIB)
        settings = with_arguments(
            settings, kv_cache_memory_bytes=cache << 30, disable_log_stats=False
        )
        guessing = with_arguments(settings, speculative_config=speculation(options.ngram))
        found += [
            Side(f"{part}, without guesses", "stage", settings, rows),
            Side(f"{part}, with guesses", "stage", guessing, rows),
        ]
    return found


def speculation(method: str) -> dict[str, Any]:
    """vLLM's settings for guesses of spans that the prompt holds."""
    return {
        "method": method,
        "num_speculative_tokens": 4,
        "prompt_lookup_max": 4,
        "prompt_lookup_min": 2,
    }


def sides_part(
    options: argparse.Namespace, rows: Rows, parts: set[str], work: Path
) -> dict[str, Any]:
    sides = sides_of(options, rows, parts, work)
    tallies: dict[str, list[Tally]] = {}
    for name, tally in measured(sides, options.repeats, options.wait, work):
        row_of(name, tally)
        tallies.setdefault(name, []).append(tally)
    speeds = {name: median(each.tokens_s for each in found) for name, found in tallies.items()}
    figures: dict[str, Any] = {}
    if {"vllm.LLM", "pipeline"} <= set(speeds):
        figures["offline_tokens_s"] = round(speeds["vllm.LLM"])
        figures["offline_ratio"] = round(speeds["pipeline"] / speeds["vllm.LLM"], 3)
    for part in sorted(parts & SPECULATION):
        without, with_ = f"{part}, without guesses", f"{part}, with guesses"
        if not {without, with_} <= set(speeds):
            continue
        guessed, right = (
            sum(getattr(tally, of) for tally in tallies[with_]) for of in ("guessed", "accepted")
        )
        figures[f"{part}.ratio"] = round(speeds[with_] / speeds[without], 3)
        figures[f"{part}.guessed_tokens"] = guessed
        figures[f"{part}.accepted_share"] = round(right / guessed, 3) if guessed else None
    return figures


def measure(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Run the parts and print their rows. Returns the figures of the last line."""
    parts = set(options.parts.split(","))
    figures: dict[str, Any] = {}
    if parts & {"engine", "order", "offline", "openai", *SPECULATION}:
        rows = bare_engine.documents(options.documents, options.most)
        print("| | requests | tokens in | from cache | tokens out | s | tokens out/s | driver MB |")
        print("|---|---|---|---|---|---|---|---|", flush=True)
    if parts & {"offline", *SPECULATION}:
        (work / "sides").mkdir()
        figures |= sides_part(options, rows, parts, work / "sides")
    if parts & {"engine", "order", "openai"}:
        settings = settings_of(options, rows, work)
    if parts & {"engine", "order"}:
        model = bare_engine.started(settings)
        if "engine" in parts:
            figures |= engine_part(options, model, settings, rows)
        if "order" in parts:
            figures |= order_part(options, model, settings, rows, work)
        bare_engine.engines.stop()
    if "openai" in parts:
        from benchmarks import synthesis_openai

        figures |= synthesis_openai.measure(settings, rows, options.repeats, work)
    if parts & {"kills", "queue"}:
        from benchmarks import synthesis_driver

        if "kills" in parts:
            figures |= synthesis_driver.kills(options.requests, work / "kills")
        if "queue" in parts:
            figures |= synthesis_driver.queue(options.queue, options.answers, work / "queue")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="engine,order")
    parser.add_argument("--model", default="tiny", choices=["tiny", *SHAPES])
    parser.add_argument("--documents", default="", help="Parquet with id, text and level")
    parser.add_argument("--most", type=int, default=24, help="documents, at most")
    parser.add_argument("--output", type=int, default=1024, help="tokens of an answer, at most")
    parser.add_argument("--order-output", type=int, default=400, help="the same for `order`")
    parser.add_argument("--sequences", type=int, default=0, help="max_num_seqs; 0: vLLM's own")
    parser.add_argument("--repeats", type=int, default=1, help="medians count")
    parser.add_argument("--requests", type=int, default=5000, help="of `kills`")
    parser.add_argument("--queue", type=int, default=100_000, help="documents of `queue`")
    parser.add_argument("--answers", type=int, default=20_000, help="after which `queue` ends")
    parser.add_argument("--fp8", action="store_true", help="weights and cache in FP8")
    parser.add_argument("--eager", action="store_true", help="no CUDA graphs, no compilation")
    parser.add_argument("--ngram", default="ngram_gpu", help="how `speculation` guesses; or ngram")
    parser.add_argument("--cache-gib", type=int, default=1, help="of each engine that takes turns")
    parser.add_argument("--wait", type=float, default=600, help="seconds, for a start or a turn")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(options, Path(folder))
    print(json.dumps(figures), flush=True)
    end(os.getpid())
    os._exit(0)


if __name__ == "__main__":
    main()
