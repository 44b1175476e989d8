r"""The commands that made `models/tiny`, one after the other.

    python -m corpusmill.tools.make_tiny text COLLECTION --output out/tiny/text.parquet
    python -m corpusmill.tools.make_tiny tokenizer --text out/tiny/text.parquet --output models/tiny
    python -m corpusmill.tools.make_tiny pairs --text out/tiny/text.parquet \
        --output out/tiny/pairs --shards 120 --processes 16
    python -m corpusmill.trainer models/tiny/train.yaml --data out/tiny/pairs --output out/tiny/run
    python -m corpusmill.trainer models/tiny/train.yaml --data out/tiny/pairs --output out/tiny/on \
        --set init_from=out/tiny/first --set tokens=160_000_000 --set learning_rate=1.0e-3 \
        --set warmup_steps=50
    python -c "from pathlib import Path; from corpusmill.trainer.export import export;
               export(Path('out/tiny/on'), Path('models/tiny'), Path('out/tiny/model'))"
    python -m corpusmill.tools.make_tiny evaluate --text out/tiny/text.parquet \
        --model models/tiny --card models/tiny/README.md

The first command gathers clean text of openly licensed corpora. COLLECTION is the folder of corpora
that `tools.make_samples` reads too. It also reads the pages in `samples/crawl` and the source code
in `samples/code`. The pairs and the two trainings need a GPU machine with many cores. They read
only this folder, `manifests/`, `prompts/` and `trainer/`. The first training was on pairs without
lists, code and tables (`BLOCKS_SHARE = 0`), and `out/tiny/first` is its export. After the last
export, copy all files but the tokenizer from `out/tiny/model` to `models/tiny`.
"""

import argparse
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from corpusmill.manifests.errors import CorpusmillError

if TYPE_CHECKING:
    from corpusmill.prompts.loader import Prompt

PROMPT = "rephrase"
VOCABULARY = 4096
CONTEXT = 2048  # tokens of prompt and answer, the length that was trained
# Training text for the tokenizer. A third of it is noisy, in prompts.
TOKENIZER_CHARACTERS = 12_000_000


def tokenizer_texts(text: Path, prompt: "Prompt", seed: int) -> Iterator[str]:
    """The tokenizer's training text.

    Clean passages as answers, and for every second one the prompt with its noisy form.
    """
    from corpusmill.tools import pairs
    from corpusmill.tools.passages import read_passages

    passages = read_passages(text, held_out=False)
    rng = random.Random(seed)
    characters = 0
    while characters < TOKENIZER_CHARACTERS:
        pair = pairs.make_pair(passages, rng.getrandbits(63))
        yield f"{prompt.lead_in}\n{pair.clean}"
        characters += len(pair.clean)
        if rng.random() < 0.5:
            yield from (message["content"] for message in prompt.messages(pair.noisy))
            characters += len(pair.noisy)


def make_text(options: argparse.Namespace) -> None:
    from corpusmill.manifests.package_data import package_file
    from corpusmill.tools.clean_text import write_clean_text

    crawl = sorted(package_file("samples", "crawl").glob("*.warc.gz"))
    code = package_file("samples", "code", "permissive.jsonl.zst")
    table = write_clean_text(options.collection, crawl, code, options.output)
    characters: Counter[tuple[str, bool]] = Counter()
    for document in table.to_pylist():
        characters[document["source"], document["held_out"]] += len(document["text"])
    print("source                     training   held out (characters)")
    for source in sorted({name for name, _ in characters}):
        print(f"{source:22} {characters[source, False]:12,} {characters[source, True]:10,}")


def make_tokenizer(options: argparse.Namespace) -> None:
    from corpusmill.prompts import loader
    from corpusmill.stages.engines import chat
    from corpusmill.stages.tokenizer.bpe import tokenizer_files, train_bpe
    from corpusmill.stages.tokenizer.stage import Tokenizer
    from corpusmill.tools import pairs

    prompt = loader.load(PROMPT)
    settings = Tokenizer(vocab_size=VOCABULARY, model_max_length=CONTEXT)
    tokenizer = train_bpe(tokenizer_texts(options.text, prompt, options.seed), settings)
    options.output.mkdir(parents=True, exist_ok=True)
    for name, data in tokenizer_files(tokenizer, settings).items():
        (options.output / name).write_bytes(data)
    frame = pairs.framed_by(prompt, chat.load(str(options.output)))
    pairs.write_frame(options.output, frame)
    empty = len(tokenizer.encode(frame.prompt(""), add_special_tokens=False).ids)
    print(
        f"{tokenizer.get_vocab_size()} tokens in {options.output}; the empty prompt takes {empty}"
    )


def make_pairs(options: argparse.Namespace) -> None:
    from corpusmill.tools.pairs import write_pairs

    started = time.perf_counter()
    tokens = write_pairs(
        options.text,
        options.tokenizer,
        options.output,
        options.shards,
        options.seed,
        options.processes,
    )
    print(f"{tokens:,} tokens in {options.shards} shards, {time.perf_counter() - started:.0f} s")


def evaluate(options: argparse.Namespace) -> None:
    from corpusmill.tools.evaluate_tiny import evaluate_model

    found = evaluate_model(
        options.model, options.text, options.pairs, options.card, options.threads
    )
    print(found)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m corpusmill.tools.make_tiny", description="Make the small rephrasing model."
    )
    commands = parser.add_subparsers(required=True)
    text = commands.add_parser("text", help="gather clean text from openly licensed corpora")
    text.add_argument("collection", type=Path)
    text.add_argument("--output", type=Path, required=True)
    text.set_defaults(run=make_text)
    tokenizer = commands.add_parser("tokenizer", help="train the tokenizer")
    tokenizer.add_argument("--text", type=Path, required=True)
    tokenizer.add_argument("--output", type=Path, required=True)
    tokenizer.add_argument("--seed", type=int, default=0)
    tokenizer.set_defaults(run=make_tokenizer)
    pairs = commands.add_parser("pairs", help="make token shards of training pairs")
    pairs.add_argument("--text", type=Path, required=True)
    pairs.add_argument("--tokenizer", type=Path, default=Path("models/tiny"))
    pairs.add_argument("--output", type=Path, required=True)
    pairs.add_argument(
        "--shards", type=int, default=100, help="of 8,192 pairs or about 4 million tokens each"
    )
    pairs.add_argument("--seed", type=int, default=0)
    pairs.add_argument("--processes", type=int, default=os.cpu_count())
    pairs.set_defaults(run=make_pairs)
    evaluation = commands.add_parser(
        "evaluate", help="character error rate on held-out text, by kind of noise"
    )
    evaluation.add_argument("--model", type=Path, default=Path("models/tiny"))
    evaluation.add_argument("--text", type=Path, required=True)
    evaluation.add_argument(
        "--pairs",
        type=int,
        default=20,
        help="per kind of noise; ten times as many with mixed noise",
    )
    evaluation.add_argument(
        "--threads", type=int, default=2, help="of the CPU; 1 on a busy machine"
    )
    evaluation.add_argument(
        "--card", type=Path, help="write the table into this README between its markers"
    )
    evaluation.set_defaults(run=evaluate)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    try:
        options.run(options)
    except CorpusmillError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
