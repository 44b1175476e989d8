"""The speed of `synthesize` beside that of the bare engine, with the same requests in the same run.

    python benchmarks/synthesis.py [--model tiny|smollm2-1.7b|small] [--documents FILE] [--most N]
        [--output N] [--parts engine,order] [--repeats N] [--fp8] [--eager] [--ngram METHOD]

One vLLM engine is started, and every measurement uses it. Its prefix cache is emptied before each.

- `engine`: routed prompts. The bare engine gets all requests at once, and their answers are thrown
  away. The pipeline is the whole stage: it reads Parquet, plans, asks, filters, writes.
- `offline`: the same requests through `vllm.LLM`, which starts an engine of its own. Give it alone.
- `order`: the documents of level `high` under five prompts, with the document behind the
  instruction and before it. `prefill_saved` is the share of prompt tokens that came from the cache.

`tiny` is the shipped model. `smollm2-1.7b` has that model's shape and random weights, for GPUs:
its answers mean nothing and end at their limit. Its tokenizer is trained on the documents. `small`
is the same for CPUs, to check the script.
A document file is Parquet with columns id, text and level. Without one, `samples/` are used.

The last line is JSON.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT.parent))
os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")

import psutil  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from corpusmill.manifests import storage  # noqa: E402
from corpusmill.manifests.schema import DOCUMENT, conform  # noqa: E402
from corpusmill.pipeline.execute import Job, execute  # noqa: E402
from corpusmill.pipeline.runner import InlineRunner  # noqa: E402
from corpusmill.prompts import loader  # noqa: E402
from corpusmill.stages.contract import Inputs  # noqa: E402
from corpusmill.stages.engines import vllm as engines  # noqa: E402
from corpusmill.stages.engines.contract import Request  # noqa: E402
from corpusmill.stages.engines.stream import in_loop  # noqa: E402
from corpusmill.stages.engines.vllm import VLLMEngine  # noqa: E402
from corpusmill.stages.synthesize.stage import Synthesize, published_routes  # noqa: E402

CONTEXT = 2048
# Sizes as in the model's published config.json.
SMOLLM2 = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 24,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "vocab_size": 49152,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "rope_theta": 130000.0,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
SMALL = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2}
SHAPES = {
    "smollm2-1.7b": SMOLLM2,
    "small": {**SMOLLM2, **SMALL, "num_attention_heads": 4, "num_key_value_heads": 4},
}
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass
class Tally:
    """What the engine has answered, and how long that took."""

    requests: int = 0
    prompt: int = 0
    cached: int = 0
    output: int = 0
    seconds: float = field(default=0.0)
    peak_mb: float = 0.0

    @property
    def tokens_s(self) -> float:
        return self.output / self.seconds


class Counting:
    """A vLLM engine that keeps a tally. Bare and pipeline both go through it."""

    def __init__(self, model: Any) -> None:
        self._model, self.tally = model, Tally()

    async def generate(self, prompt: Any, sampling: Any, name: str) -> AsyncIterator[Any]:
        async for output in self._model.generate(prompt, sampling, name):
            yield output
        self.tally.requests += 1
        self.tally.prompt += len(output.prompt_token_ids)
        self.tally.cached += output.num_cached_tokens or 0
        self.tally.output += len(output.outputs[0].token_ids)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    @contextmanager
    def measured(self) -> Iterator[Tally]:
        """A new tally, of the block, with an empty prefix cache at its begin."""
        in_loop(self._model.reset_prefix_cache())
        self.tally = Tally()
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(done, self.tally))
        watcher.start()
        started = time.perf_counter()
        try:
            yield self.tally
        finally:
            self.tally.seconds = time.perf_counter() - started
            done.set()
            watcher.join()

    @staticmethod
    def _watch(done: threading.Event, tally: Tally) -> None:
        """Note the most memory that this process holds."""
        process = psutil.Process()
        while True:
            tally.peak_mb = max(tally.peak_mb, process.memory_info().rss / 1e6)
            if done.wait(0.2):
                return


def documents(path: str, most: int) -> list[dict[str, Any]]:
    """id, text and level of documents. Without a path: of `samples/`, a third of them high."""
    if path:
        table = pq.read_table(path, columns=["id", "text", "level"])
        return [row for row in table.to_pylist() if row["level"] in published_routes()][:most]
    import zstandard

    rows: list[dict[str, Any]] = []
    for file in sorted((ROOT / "samples" / "reference").glob("*.jsonl.zst")):
        lines = zstandard.ZstdDecompressor().stream_reader(file.read_bytes()).read().splitlines()
        rows += [{"text": json.loads(line)["text"][:4000]} for line in lines[: most // 3 + 1]]
    for number, row in enumerate(rows):
        row |= {"id": f"d{number}", "level": "low" if number % 3 else "high"}
    return rows[:most]


def model_folder(shape: str, texts: list[str], folder: Path) -> str:
    """The folder of the model: the shipped one, or a shape whose weights vLLM draws."""
    if shape == "tiny":
        return "package:models/tiny"
    import torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(SHAPES[shape]))
    save_file({"none": torch.zeros(1)}, folder / "model.safetensors")  # a name for the lineage
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SMOLLM2["vocab_size"],
        special_tokens=["<pad>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    whole = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        chat_template=TEMPLATE,
    )
    whole.save_pretrained(folder)
    return str(folder)


def capped(most: int, folder: Path) -> dict[str, tuple[str, ...]]:
    """The published routes, with answers of at most `most` tokens."""
    folder.mkdir()
    routes = {}
    for level, names in published_routes().items():
        for name in names:
            limit = loader.load(name).limits.max_output_tokens
            text = (ROOT / "prompts" / f"{name}.md").read_text()
            old = f"max_output_tokens: {limit}"
            assert text.count(old) == 1, name
            (folder / f"{name}.md").write_text(
                text.replace(old, f"max_output_tokens: {min(most, limit)}")
            )
        routes[level] = tuple(str(folder / f"{name}.md") for name in names)
    return routes


def planned(settings: Synthesize, rows: list[dict[str, Any]]) -> list[Request]:
    """The requests of the documents, in the order of the stage."""
    planner, prompts = settings.planner(), settings.prompts()
    empty = dict.fromkeys(DOCUMENT.names)
    return [
        request
        for row in rows
        for planned_row in planner.plan({**empty, **row}, prompts.get(row["level"], []))
        for request in planned_row.asked
    ]


def bare(model: Counting, settings: Synthesize, rows: list[dict[str, Any]]) -> Tally:
    """All requests given to the engine at once."""
    engine = settings.engine
    assert isinstance(engine, VLLMEngine)
    requests = planned(settings, rows)
    with model.measured() as tally:
        in_loop(_answered(model, engine, requests))
    return tally


async def _answered(model: Counting, engine: VLLMEngine, requests: list[Request]) -> None:
    tokenizer = engine.tokenizer()
    await asyncio.gather(*(engines.ask(model, tokenizer, request) for request in requests))


def pipeline(model: Counting, settings: Synthesize, rows: list[dict[str, Any]]) -> Tally:
    """The stage on one shard of documents."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in.parquet"
        table = pa.Table.from_pylist([{**row, "kind": "actual"} for row in rows])
        pq.write_table(conform(table, DOCUMENT), path)
        artifact = storage.artifact_of(str(path))
        inputs = Inputs(str(Path(folder) / "out"), documents=(artifact,))
        job = Job(settings, (settings.name,), {settings.name: {}}, inputs)
        with model.measured() as tally:
            execute(job, InlineRunner())
    return tally


def started(settings: Synthesize) -> Counting:
    """The engine, after an answer. The stage finds it where it looks for a started one."""
    engine = settings.engine
    assert isinstance(engine, VLLMEngine)
    began = time.perf_counter()
    model = Counting(engine.started())
    (settings_of_it,) = engines.running
    engines.running[settings_of_it] = model
    short = [Request(tuple(range(5, 90)), (), 32, 0.0, 1.0, seed) for seed in range(64)]
    in_loop(_answered(model, engine, short))
    print(f"engine started in {time.perf_counter() - began:.0f} s", flush=True)
    return model


def offline(settings: Synthesize, rows: list[dict[str, Any]]) -> Tally:
    """All requests through vLLM's own class for work offline."""
    from vllm import LLM, SamplingParams

    engine = settings.engine
    assert isinstance(engine, VLLMEngine)
    requests = planned(settings, rows)
    began = time.perf_counter()
    model = LLM(**json.loads(engine.arguments_of_vllm()))
    print(f"engine started in {time.perf_counter() - began:.0f} s", flush=True)
    sampling = [
        SamplingParams(max_tokens=each.max_tokens, temperature=0.5, top_p=0.9, seed=each.seed)
        for each in requests
    ]
    prompts: list[Any] = [{"prompt_token_ids": list(each.token_ids)} for each in requests]
    model.generate(prompts[:1], sampling[:1], use_tqdm=False)
    began = time.perf_counter()
    answers = model.generate(prompts, sampling, use_tqdm=False)
    return Tally(
        len(answers),
        sum(len(request.token_ids) for request in requests),
        sum(answer.num_cached_tokens or 0 for answer in answers),
        sum(len(answer.outputs[0].token_ids) for answer in answers),
        time.perf_counter() - began,
    )


def row_of(name: str, tally: Tally) -> None:
    cached = f"{tally.cached / tally.prompt:.0%}"
    figures = (
        f"{tally.output:,} | {tally.seconds:.1f} | {tally.tokens_s:,.0f} | {tally.peak_mb:,.0f}"
    )
    print(f"| {name} | {tally.requests} | {tally.prompt:,} | {cached} | {figures} |", flush=True)


def measure(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Run the parts and print their rows. Returns the figures of the last line."""
    rows = documents(options.documents, options.most)
    arguments: dict[str, Any] = {"max_num_seqs": options.sequences} if options.sequences else {}
    if options.model != "tiny":
        arguments["load_format"] = "dummy"
    if options.fp8:
        arguments |= {"quantization": "fp8", "kv_cache_dtype": "fp8"}
    if options.ngram:
        arguments["speculative_config"] = {
            "method": options.ngram,
            "num_speculative_tokens": 4,
            "prompt_lookup_max": 4,
            "prompt_lookup_min": 2,
        }
    engine = VLLMEngine(
        model=model_folder(options.model, [row["text"] for row in rows], work / "model"),
        context=CONTEXT,
        enforce_eager=options.eager,
        in_flight=2 * options.sequences if options.sequences else 2048,
        arguments=arguments or None,
    )
    settings = Synthesize(engine=engine, routes=capped(options.output, work / "prompts"))
    figures: dict[str, Any] = {}
    if options.parts == "offline":
        tally = offline(settings, rows)
        row_of("vllm.LLM", tally)
        return {"offline_tokens_s": round(tally.tokens_s)}
    model = started(settings)
    print("| | requests | tokens in | from cache | tokens out | s | tokens out/s | driver MB |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    if "engine" in options.parts:
        alone, whole = [], []
        for _ in range(options.repeats):
            alone.append(bare(model, settings, rows))
            row_of("bare engine", alone[-1])
            whole.append(pipeline(model, settings, rows))
            row_of("pipeline", whole[-1])
            assert whole[-1].requests == alone[-1].requests
        speeds = [median(tally.tokens_s for tally in side) for side in (alone, whole)]
        figures["engine_ratio"] = round(speeds[1] / speeds[0], 3)
        figures["output_tokens_s"] = round(speeds[1])
        figures["driver_peak_mb"] = round(max(tally.peak_mb for tally in whole))
    if "order" in options.parts:
        high = [row for row in rows if row["level"] == "high"]
        routes = capped(options.order_output, work / "short")
        found = {}
        for order in ("instruction_first", "document_first"):
            changed = settings.model_copy(update={"order": order, "routes": routes})
            found[order] = pipeline(model, changed, high)
            row_of(order.replace("_", " "), found[order])
        first, last = found["document_first"], found["instruction_first"]
        figures["prefill_saved"] = round(first.cached / first.prompt, 3)
        figures["prefill_saved.instruction_first"] = round(last.cached / last.prompt, 3)
        figures["document_first_ratio"] = round(first.tokens_s / last.tokens_s, 3)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="tiny", choices=["tiny", *SHAPES])
    parser.add_argument("--documents", default="", help="Parquet with id, text and level")
    parser.add_argument("--most", type=int, default=24, help="documents, at most")
    parser.add_argument("--output", type=int, default=1024, help="tokens of an answer, at most")
    parser.add_argument("--order-output", type=int, default=400, help="the same for `order`")
    parser.add_argument("--sequences", type=int, default=0, help="max_num_seqs; 0: vLLM's own")
    parser.add_argument("--parts", default="engine,order")
    parser.add_argument("--fp8", action="store_true", help="weights and cache in FP8")
    parser.add_argument("--eager", action="store_true", help="no CUDA graphs, no compilation")
    parser.add_argument("--ngram", default="", help="ngram or ngram_gpu: guess copied spans")
    parser.add_argument("--repeats", type=int, default=1, help="of `engine`; medians count")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(options, Path(folder))
    print(json.dumps(figures), flush=True)
    # vLLM's own end may take minutes.
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(0)


if __name__ == "__main__":
    main()
