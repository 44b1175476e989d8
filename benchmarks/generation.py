"""The speed of generation on a CPU, beside stock transformers' `generate`.

    python benchmarks/generation.py [--threads N] [--repeats N]

The shipped tiny model cleans up noisy passages of `samples/reference`, as `synthesize` asks it to:
greedy, sixteen prompts at a time and one at a time. Both sides answer the same prompts, in turn, in
one process. CPU time is counted, and the best of each: other work on the machine can only add.

A token is one of an answer, its end included. Reading the prompts is in the time. `corpusmill
without guesses` is the same without `trainer/generation/guesses.py`.

The last line is JSON.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT.parent))

import torch  # noqa: E402
import zstandard  # noqa: E402
from corpusmill.prompts import loader  # noqa: E402
from corpusmill.stages.engines import chat  # noqa: E402
from corpusmill.tools.denoise import noisy  # noqa: E402
from corpusmill.trainer.generation.generator import Generator, Prompt  # noqa: E402

MODEL = ROOT / "models" / "tiny"
BATCHES = {16: 16, 1: 3}  # prompts at a time -> how many prompts in all
PASSAGE = 1000  # characters
MOST_TOKENS = 400  # of an answer
Ids = Sequence[int]
Answers = list[list[int]]
Answer = Callable[[Sequence[Ids]], Answers]
OURS, PLAIN, THEIRS = "corpusmill", "corpusmill without guesses", "transformers"


def noisy_prompts(count: int, tokenizer: chat.ChatTokenizer) -> list[list[int]]:
    """The `rephrase` prompt around noisy passages, as token ids."""
    prompt = loader.load("rephrase")
    rng = random.Random(1)
    path = ROOT / "samples" / "reference" / "textbooks.jsonl.zst"
    lines = zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read().splitlines()
    documents = [json.loads(line)["text"] for line in lines]
    chats = []
    for number, document in enumerate(documents[:count]):
        start = rng.randrange(max(1, len(document) - PASSAGE))
        passage = document[start : start + rng.randrange(PASSAGE // 3, PASSAGE)]
        chats.append(prompt.messages(noisy(passage, number)))
    return tokenizer.prompt_ids(chats)


def ours(batch: int, end: int, guess: bool) -> Answer:
    """Our generator with so many slots."""
    generator = Generator.load(MODEL, batch, [end], guess=guess)

    def answer(prompts: Sequence[Ids]) -> Answers:
        asked = [Prompt(tuple(ids), MOST_TOKENS) for ids in prompts]
        found = dict(generator.generate(asked))
        return [found[index].token_ids for index in range(len(prompts))]

    return answer


def theirs(batch: int, end: int) -> Answer:
    """Stock transformers, in batches padded on the left."""
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    model: Any = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()

    def together(prompts: Sequence[Ids]) -> Answers:
        longest = max(map(len, prompts))
        ids = torch.tensor([[0] * (longest - len(row)) + list(row) for row in prompts])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in prompts])
        with torch.inference_mode():
            output = model.generate(
                ids,
                attention_mask=mask,
                max_new_tokens=MOST_TOKENS,
                do_sample=False,
                eos_token_id=end,
                pad_token_id=0,
            )
        rows = output[:, longest:].tolist()
        return [row[: row.index(end) + 1] if end in row else row for row in rows]

    def answer(prompts: Sequence[Ids]) -> Answers:
        ordered = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        found: dict[int, list[int]] = {}
        for start in range(0, len(ordered), batch):
            chosen = ordered[start : start + batch]
            answers = together([prompts[index] for index in chosen])
            found.update(zip(chosen, answers, strict=True))
        return [found[index] for index in range(len(prompts))]

    return answer


def measure(repeats: int = 3) -> dict[str, dict[str, float]]:
    """Tokens a CPU second by batch and side, and the share of answers that are equal.

    Raises AssertionError if guesses change a token.
    """
    tokenizer = chat.load(str(MODEL))
    end = tokenizer.eos
    assert end is not None
    prompts = noisy_prompts(max(BATCHES.values()), tokenizer)
    results: dict[str, dict[str, float]] = {}
    for batch, count in BATCHES.items():
        sides = {
            OURS: ours(batch, end, guess=True),
            PLAIN: ours(batch, end, guess=False),
            THEIRS: theirs(batch, end),
        }
        speed = dict.fromkeys(sides, 0.0)
        answers: dict[str, Answers] = {}
        for _ in range(repeats):
            for name, answer in sides.items():
                start = time.process_time()
                answers[name] = answer(prompts[:count])
                seconds = time.process_time() - start
                speed[name] = max(speed[name], sum(map(len, answers[name])) / seconds)
        assert answers[OURS] == answers[PLAIN]
        pairs = list(zip(answers[OURS], answers[THEIRS], strict=True))
        equal = sum(a == b for a, b in pairs) / len(pairs)
        results[str(batch)] = {name: round(value) for name, value in speed.items()}
        results[str(batch)]["equal_answers"] = round(equal, 3)
    return results


def generate_tokens_s(results: dict[str, dict[str, float]]) -> dict[str, float]:
    """The keys of the JSON line, for sixteen prompts at a time."""
    return {f"generate_tokens_s.{name}": results["16"][name] for name in (OURS, THEIRS)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of generation on a CPU.")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    results = measure(options.repeats)
    print(f"| prompts at a time | {OURS} | {PLAIN} | {THEIRS} | faster | equal answers |")
    print("|---|---|---|---|---|---|")
    line = generate_tokens_s(results)
    for batch, found in results.items():
        ratio = found[OURS] / found[THEIRS]
        line[f"generate_ratio.{batch}"] = round(ratio, 2)
        print(
            f"| {batch} | {found[OURS]:.0f} tokens/s | {found[PLAIN]:.0f} | {found[THEIRS]:.0f} "
            f"| {ratio:.1f}x | {found['equal_answers']:.0%} |"
        )
    print(json.dumps({**line, "threads": options.threads, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
