"""How well the small rephrasing model cleans text: error rates on held-out text, by kind of noise.

The rates count characters, before and after the model. The model is asked as the synthesize stage
asks it: the `rephrase` prompt and the same engine, but greedy decoding. An answer without the
lead-in line, or without an end, counts with the text that it has.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.schema import seed_for
from corpusmill.tools.denoise import NOISES, noisy
from corpusmill.tools.error_rate import character_error_rate
from corpusmill.tools.pairs import Pair
from corpusmill.tools.passages import Passages, draw_passage, read_passages
from corpusmill.tools.web_blocks import filled, with_places

if TYPE_CHECKING:
    from corpusmill.prompts.loader import Prompt
    from corpusmill.stages.engines.chat import ChatTokenizer

MIXED, UNSPOILT, BLOCKS = "mixed", "none", "lists, code, tables"
SEVERITY = 0.5  # of a single kind of noise
MIXED_TIMES = 10  # pairs with mixed noise for each pair with a single kind
SEED = 20_000
BEGIN_MARK, END_MARK = "<!-- evaluation: begin -->", "<!-- evaluation: end -->"


@dataclass(frozen=True)
class Answer:
    """A pair and the model's answer. text: without the lead-in line."""

    pair: Pair
    text: str
    led_in: bool
    ended: bool


@dataclass(frozen=True)
class Score:
    """Character error rates against the clean text: before (noisy text) and after (answers).

    exact, led_in, ended: shares of the answers.
    """

    kind: str
    pairs: int
    before: float
    after: float
    exact: float
    led_in: float
    ended: float


def held_out_pairs(passages: Passages, kind: str, count: int) -> Iterator[Pair]:
    """The first `count` held-out pairs of a kind of noise.

    `mixed`: noise as in training. `none`: text that needs no cleaning. `lists, code, tables`: such
    blocks between paragraphs, and noise as in training around them.
    """
    for ordinal in range(count):
        seed = seed_for(SEED, kind, ordinal)
        source, clean = draw_passage(passages, random.Random(seed))
        if kind == BLOCKS:
            text, blocks = with_places(clean, passages.words, passages.code, random.Random(seed))
            yield Pair(source, filled(text, blocks, 1), filled(noisy(text, seed), blocks, 0))
        elif kind == MIXED:
            yield Pair(source, clean, noisy(clean, seed))
        else:
            yield Pair(
                source, clean, noisy(clean, seed, () if kind == UNSPOILT else (kind,), SEVERITY)
            )


def split_lead_in(text: str, lead_in: str) -> tuple[str, bool]:
    """(text after the lead-in line, whether the line was there)."""
    stripped = text.strip()
    if lead_in and stripped.startswith(lead_in):
        return stripped[len(lead_in) :].strip(), True
    return stripped, not lead_in


def score(kind: str, answers: Sequence[Answer]) -> Score:
    """The figures of one kind of noise."""
    count = len(answers)
    return Score(
        kind=kind,
        pairs=count,
        before=character_error_rate((answer.pair.noisy, answer.pair.clean) for answer in answers),
        after=character_error_rate((answer.text, answer.pair.clean) for answer in answers),
        exact=sum(answer.text == answer.pair.clean for answer in answers) / count,
        led_in=sum(answer.led_in for answer in answers) / count,
        ended=sum(answer.ended for answer in answers) / count,
    )


def table(scores: Sequence[Score]) -> str:
    """Markdown rows of scores."""
    lines = [
        "| noise | pairs | error rate before | after | exact answers | with lead-in | ended |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for s in scores:
        shares = " | ".join(f"{share:.0%}" for share in (s.exact, s.led_in, s.ended))
        lines.append(
            f"| {s.kind.replace('_', ' ')} | {s.pairs} | {s.before:.2%} | {s.after:.2%} "
            f"| {shares} |"
        )
    return "\n".join(lines)


def write_card(card: Path, text: str) -> None:
    """Put `text` between the markers of a README. Raises CorpusmillError if it has none."""
    content = card.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(BEGIN_MARK)}.*{re.escape(END_MARK)}", re.DOTALL)
    if not pattern.search(content):
        raise CorpusmillError(
            f"{card} has no place for the figures", f"put {BEGIN_MARK} and {END_MARK} into it"
        )
    card.write_text(
        pattern.sub(lambda _: f"{BEGIN_MARK}\n{text}\n{END_MARK}", content), encoding="utf-8"
    )


def evaluate_model(
    model: Path, text: Path, pairs: int, card: Path | None = None, threads: int = 2
) -> str:
    """Ask the model in folder `model` about held-out passages of a clean-text file.

    Returns the table, and writes it into `card`. pairs: for each single kind of noise; mixed noise
    gets ten times as many. Pairs beyond the prompt's limits are left out.
    """
    from corpusmill.prompts import loader
    from corpusmill.stages.engines.contract import Request, in_order
    from corpusmill.stages.engines.embedded import EmbeddedEngine

    prompt = loader.load("rephrase")
    engine = EmbeddedEngine(model=str(model), threads=threads, device="cpu")
    passages = read_passages(text, held_out=True)
    asked: list[tuple[str, Pair, Request]] = []
    for kind in (MIXED, UNSPOILT, BLOCKS, *NOISES):
        wanted = list(held_out_pairs(passages, kind, pairs * (MIXED_TIMES if kind == MIXED else 1)))
        for pair, ids in zip(wanted, _prompt_ids(engine.tokenizer(), prompt, wanted), strict=True):
            answer_tokens = engine.tokenizer().count([f"{prompt.lead_in}\n{pair.clean}"])[0] + 1
            if (
                len(ids) <= prompt.limits.max_input_tokens
                and answer_tokens <= prompt.limits.max_output_tokens
            ):
                messages = tuple(prompt.messages(pair.noisy))
                request = Request(
                    tuple(ids), messages, prompt.limits.max_output_tokens, 0.0, 1.0, seed=0
                )
                asked.append((kind, pair, request))
    answers: dict[str, list[Answer]] = {}
    completions = in_order(engine, [request for *_, request in asked])
    for (kind, pair, _), completion in zip(asked, completions, strict=True):
        answer, led_in = split_lead_in(completion.text, prompt.lead_in)
        answers.setdefault(kind, []).append(
            Answer(pair, answer, led_in, completion.finish_reason == "stop")
        )
    made = table([score(kind, found) for kind, found in answers.items()])
    if card is not None:
        write_card(card, made)
    return made


def _prompt_ids(
    tokenizer: "ChatTokenizer", prompt: "Prompt", pairs: Sequence[Pair]
) -> list[list[int]]:
    return tokenizer.prompt_ids([prompt.messages(tokenizer.defuse(pair.noisy)) for pair in pairs])
