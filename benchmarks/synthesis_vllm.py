"""vLLM beside the stage: the same engine, once alone and once through `synthesize`."""

import asyncio
import json
import os
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from corpusmill.manifests import storage
from corpusmill.manifests.schema import DOCUMENT, conform
from corpusmill.pipeline.execute import Job, execute
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.prompts import loader
from corpusmill.stages.contract import Inputs
from corpusmill.stages.engines import vllm as engines
from corpusmill.stages.engines.contract import Request
from corpusmill.stages.engines.stream import in_loop
from corpusmill.stages.engines.vllm import VLLMEngine
from corpusmill.stages.synthesize.stage import Synthesize, published_routes

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
Rows = list[dict[str, Any]]
CONTEXT = 2048
# Sizes as in the model's published config.json.
SMOLLM2: dict[str, Any] = {
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
    guessed: int = 0  # tokens, by speculation; counted if the engine keeps statistics
    accepted: int = 0

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
        before = _guesses()
        started = time.perf_counter()
        try:
            yield self.tally
        finally:
            self.tally.seconds = time.perf_counter() - started
            done.set()
            watcher.join()
            guessed, accepted = _guesses()
            self.tally.guessed, self.tally.accepted = guessed - before[0], accepted - before[1]

    @staticmethod
    def _watch(done: threading.Event, tally: Tally) -> None:
        """Note the most memory that this process holds."""
        process = psutil.Process()
        while True:
            tally.peak_mb = max(tally.peak_mb, process.memory_info().rss / 1e6)
            if done.wait(0.2):
                return


def _guesses() -> tuple[int, int]:
    """Tokens that speculation has guessed in this process, and those of them that were right."""
    from vllm.v1.metrics.reader import Counter, get_metrics_snapshot

    found = {each.name: each.value for each in get_metrics_snapshot() if isinstance(each, Counter)}
    names = ("vllm:spec_decode_num_draft_tokens", "vllm:spec_decode_num_accepted_tokens")
    guessed, accepted = (found.get(name, 0) for name in names)
    return guessed, accepted


def documents(path: str, most: int) -> Rows:
    """id, text and level of documents. Without a path: of `samples/`, a third of them high."""
    if path:
        table = pq.read_table(path, columns=["id", "text", "level"])
        return [row for row in table.to_pylist() if row["level"] in published_routes()][:most]
    import zstandard

    rows: Rows = []
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
        vocab_size=int(str(SMOLLM2["vocab_size"])),
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


def planned(settings: Synthesize, rows: Rows) -> list[Request]:
    """The requests of the documents, in the order of the stage."""
    planner, prompts = settings.planner(), settings.prompts()
    empty = dict.fromkeys(DOCUMENT.names)
    return [
        request
        for row in rows
        for planned_row in planner.plan({**empty, **row}, prompts.get(row["level"], []))
        for request in planned_row.asked
    ]


def bare(model: Counting, settings: Synthesize, rows: Rows) -> Tally:
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


def pipeline(model: Counting, settings: Synthesize, rows: Rows) -> Tally:
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


def warm_up() -> list[Request]:
    """Requests before the first measurement: many, and drawn as the prompts say, so that what is
    compiled late is compiled now.
    """
    return [Request(tuple(range(5, 90)), (), 32, 0.5, 0.9, seed) for seed in range(256)]


def started(settings: Synthesize) -> Counting:
    """The engine, after an answer. The stage finds it where it looks for a started one."""
    engine = settings.engine
    assert isinstance(engine, VLLMEngine)
    began = time.perf_counter()
    model = Counting(engine.started())
    (settings_of_it,) = engines.running
    engines.running[settings_of_it] = model
    in_loop(_answered(model, engine, warm_up()))
    print(f"engine started in {time.perf_counter() - began:.0f} s", flush=True)
    return model
