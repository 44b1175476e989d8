r"""Training pairs for the small rephrasing model.

A pair is the `rephrase` prompt around a noisy passage, and the clean passage as the answer.

    python -m corpusmill.tools.make_tiny pairs --text out/tiny/text.parquet \
        --shards 100 --output out/tiny/pairs

Passages are cut from the clean text at random. They have a few words or as many as the prompt's
limit allows, and other noise every time. In one passage of four, many words are swapped for rare
ones. Such text cannot be guessed, only copied. To copy exactly is the first thing to learn.

Everything follows from seeds. So the same command makes the same shards on any number of cores.
"""

import dataclasses
import json
import multiprocessing
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from corpusmill.manifests.schema import seed_for
from corpusmill.tools.denoise import noisy
from corpusmill.tools.passages import (
    Passages,
    draw_passage,
    read_passages,
    with_headings,
    with_swapped_words,
)
from corpusmill.tools.web_blocks import Block, filled, with_places

if TYPE_CHECKING:
    from corpusmill.prompts.loader import Prompt
    from corpusmill.stages.engines.chat import ChatTokenizer
    from tokenizers import Tokenizer

TOKEN_SHARD = pa.schema(
    [
        ("id", pa.string()),
        ("tokens", pa.list_(pa.int32())),
        ("n_prompt", pa.int32()),
        ("source", pa.string()),
    ]
)
END = "</s>"
FRAME_FILE = "prompt.json"
_PLACE = "\ufffc"
PAIRS_A_SHARD = 8192
ROW_GROUP = 2048  # pairs
SWAPPED_SHARE = 0.25  # share of passages whose words are swapped
HEADINGS_SHARE = 0.15  # share of passages that get headings
BLOCKS_SHARE = 0.45  # share of passages that get lists, code, tables or marked headings


@dataclass(frozen=True)
class Pair:
    """A passage before and after."""

    source: str
    clean: str
    noisy: str


@dataclass(frozen=True)
class Frame:
    """The text around a noisy passage in the prompt, and around the clean one in the answer.

    Limits are in tokens.
    """

    before: str
    after: str
    lead_in: str
    longest_prompt: int
    longest_answer: int

    def prompt(self, document: str) -> str:
        """The prompt as the model sees it, with special tokens spelled out."""
        return self.before + document + self.after

    def answer(self, clean: str) -> str:
        """The answer that the model should give: the lead-in line, then the clean text."""
        return (f"{self.lead_in}\n" if self.lead_in else "") + clean + END


def make_pair(passages: Passages, seed: int) -> Pair:
    """One passage before and after its noise."""
    rng = random.Random(seed)
    source, clean = draw_passage(passages, rng)
    if rng.random() < SWAPPED_SHARE:
        clean = with_swapped_words(clean, passages.words, rng)
    if rng.random() < HEADINGS_SHARE:
        clean = with_headings(clean, rng)
    blocks: list[Block] = []
    if rng.random() < BLOCKS_SHARE:
        clean, blocks = with_places(clean, passages.words, passages.code, rng)
    spoilt = noisy(clean, rng.getrandbits(63))
    return Pair(source, filled(clean, blocks, 1), filled(spoilt, blocks, 0))


def framed_by(prompt: "Prompt", chat: "ChatTokenizer") -> Frame:
    """The frame that the synthesize stage and the chat template put around every segment."""
    before, after = chat.render(prompt.messages(_PLACE)).split(_PLACE)
    limits = prompt.limits
    return Frame(before, after, prompt.lead_in, limits.max_input_tokens, limits.max_output_tokens)


def read_frame(folder: Path) -> Frame:
    """The frame that `write_frame` wrote beside a tokenizer.

    So the GPU machine needs neither the prompt's file nor its loader.
    """
    return Frame(**json.loads((folder / FRAME_FILE).read_text(encoding="utf-8")))


def write_frame(folder: Path, frame: Frame) -> None:
    """Write the frame beside the tokenizer. It stays with the model.

    Later it tells whether the prompt is still the same.
    """
    text = json.dumps(dataclasses.asdict(frame), indent=2, ensure_ascii=False)
    (folder / FRAME_FILE).write_text(text + "\n", encoding="utf-8")


def load_tokenizer(folder: Path) -> "Tokenizer":
    """The plain tokenizer of a folder.

    It recognises special tokens in text. Frames spell theirs, and clean text has none.
    """
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def encode_pairs(
    tokenizer: "Tokenizer", frame: Frame, pairs: Sequence[Pair]
) -> list[tuple[list[int], list[int]]]:
    """(prompt tokens, answer tokens) of each pair."""
    prompts = tokenizer.encode_batch(
        [frame.prompt(pair.noisy) for pair in pairs], add_special_tokens=False
    )
    answers = tokenizer.encode_batch(
        [frame.answer(pair.clean) for pair in pairs], add_special_tokens=False
    )
    return [(prompt.ids, answer.ids) for prompt, answer in zip(prompts, answers, strict=True)]


def write_shard(
    number: int,
    passages: Passages,
    tokenizer: "Tokenizer",
    frame: Frame,
    seed: int,
    count: int,
    output: Path,
) -> int:
    """Write shard `number` of `count` pairs, without pairs over the prompt's limits.

    Returns the shard's tokens.
    """
    made: dict[str, list[Any]] = {name: [] for name in TOKEN_SHARD.names}
    pairs = [make_pair(passages, seed_for(seed, number, ordinal)) for ordinal in range(count)]
    for ordinal, (pair, (prompt, answer)) in enumerate(
        zip(pairs, encode_pairs(tokenizer, frame, pairs), strict=True)
    ):
        if len(prompt) <= frame.longest_prompt and len(answer) <= frame.longest_answer:
            made["id"].append(f"{number:05}-{ordinal:05}")
            made["tokens"].append(prompt + answer)
            made["n_prompt"].append(len(prompt))
            made["source"].append(pair.source)
    table = pa.table(made, schema=TOKEN_SHARD)
    pq.write_table(
        table, output / f"pairs-{number:05}.parquet", compression="zstd", row_group_size=ROW_GROUP
    )
    return sum(map(len, made["tokens"]))


_worker: dict[str, Any] = {}  # what a worker process reads once


def _start_worker(text: Path, tokenizer_folder: Path) -> None:
    # One thread a process. The library reads this when the tokenizer is first used.
    os.environ["RAYON_NUM_THREADS"] = "1"
    _worker["passages"] = read_passages(text, held_out=False)
    _worker["tokenizer"] = load_tokenizer(tokenizer_folder)
    _worker["frame"] = read_frame(tokenizer_folder)


def _work(task: tuple[int, int, int, Path]) -> int:
    number, seed, count, output = task
    return write_shard(
        number, _worker["passages"], _worker["tokenizer"], _worker["frame"], seed, count, output
    )


def write_pairs(
    text: Path, tokenizer_folder: Path, output: Path, shards: int, seed: int, processes: int
) -> int:
    """Write `shards` token shards of training pairs with several processes.

    Returns the number of their tokens.
    """
    output.mkdir(parents=True, exist_ok=True)
    tasks = [(number, seed, PAIRS_A_SHARD, output) for number in range(shards)]
    context = multiprocessing.get_context("spawn")
    with context.Pool(
        processes, initializer=_start_worker, initargs=(text, tokenizer_folder)
    ) as pool:
        return sum(pool.imap_unordered(_work, tasks))
