"""Text from a hybrid model: many prompts at a time, in memory that does not grow with the text but
for the few attention layers.

Continuous batching: a slot whose answer ends takes the next prompt at once. Each prompt is read
alone, so lengths may differ and nothing is padded. A row's tokens depend on its prompt and its
settings alone. Answers come as they end.

    generator = Generator.load(folder, slots=16)
    for index, answer in generator.generate([Prompt((1, 17, 4), max_tokens=20)]):
        print(index, answer.token_ids)
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import torch
from corpusmill.manifests.errors import ModelError
from corpusmill.trainer import checkpoint
from corpusmill.trainer.generation.cache import CHUNK
from corpusmill.trainer.generation.guesses import Guesses
from corpusmill.trainer.generation.layers import Decoder
from corpusmill.trainer.generation.sampling import Sampling, choose, log_probabilities
from corpusmill.trainer.importing import load_folder
from corpusmill.trainer.model import HybridModel

Decode = Callable[[Sequence[int]], str]
News = Callable[[int, list[int]], None]  # is told a prompt's index and its answer's newest tokens
MOST_GUESSES = 15  # that a row has checked in one step
TOKENS_A_STEP = 64  # of all rows together, as far as guesses decide it


@dataclass(frozen=True)
class Prompt:
    """What to go on from, and how. stop: strings that end the answer and do not stand in it.
    log_probabilities: return those of the chosen tokens. embedded: (T, D), what enters the first
    layer in place of the tokens' embeddings, for a prompt with an image.
    """

    token_ids: tuple[int, ...]
    max_tokens: int
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    log_probabilities: bool = False
    embedded: torch.Tensor | None = None


@dataclass(frozen=True)
class Answer:
    """token_ids: with the token that ended it, if one did. text: without it and what follows a
    stop string; empty if the generator has no `decode`. log_probabilities: one a token, if asked.
    """

    token_ids: list[int]
    text: str
    finish_reason: Literal["stop", "length"]
    log_probabilities: list[float] | None = None


@dataclass
class _Row:
    """A prompt that is being answered. `answer` ends with a token that the model has not read.
    guessed: how many guesses this step checks.
    """

    index: int
    prompt: Prompt
    guesses: Guesses
    numbers: list[float]
    answer: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    guessed: int = 0
    ended: Literal["", "stop", "length"] = ""


class Generator:
    """A model that answers up to `slots` prompts together.

    stop_ids: tokens that end an answer. decode: makes text of tokens; stop strings need it.
    guess: check guesses from the row's own text (`trainer.generation.guesses`).
    """

    def __init__(
        self,
        model: HybridModel,
        slots: int = 16,
        stop_ids: Collection[int] = (),
        decode: Decode | None = None,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        guess: bool = True,
    ) -> None:
        self._decoder = Decoder(model, slots, torch.device(device), dtype)
        self._vocabulary = model.config.vocab_size
        self._slots, self._stop_ids, self._decode = slots, frozenset(stop_ids), decode
        self._most_guesses = MOST_GUESSES if guess else 0

    @classmethod
    def load(
        cls,
        folder: Path,
        slots: int = 16,
        stop_ids: Collection[int] = (),
        decode: Decode | None = None,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        guess: bool = True,
    ) -> Self:
        """The model of a NemotronHForCausalLM folder, or of a checkpoint of our trainer.

        Raises CorpusmillError if the folder is neither.
        """
        if (folder / checkpoint.STATE).exists():
            model, _ = checkpoint.load_model(folder)
        else:
            model = load_folder(folder)
        return cls(model, slots, stop_ids, decode, device, dtype, guess)

    def generate(
        self, prompts: Iterable[Prompt], news: News | None = None
    ) -> Iterator[tuple[int, Answer]]:
        """The answer to every prompt, with its index, in the order in which they end.

        A prompt has at least one token. Prompts are taken as slots are free. One generator answers
        one such call at a time. news: is told the tokens of every answer as they are chosen, but
        not the stop token that ends it.
        """
        waiting = enumerate(prompts)
        rows: list[_Row] = []
        while True:
            while len(rows) < self._slots and (taken := next(waiting, None)) is not None:
                row = self._begin(len(rows), *taken, news)
                if row.ended:
                    yield row.index, self._finished(row)
                else:
                    rows.append(row)
            if not rows:
                return
            self._step(rows, news)
            for place in reversed(range(len(rows))):
                if rows[place].ended:
                    yield rows[place].index, self._finished(rows[place])
                    self._decoder.move(len(rows) - 1, place)
                    rows[place] = rows[-1]
                    rows.pop()

    def _begin(self, place: int, index: int, prompt: Prompt, news: News | None) -> _Row:
        """Read a prompt into a slot, and choose the first token of its answer."""
        tokens = list(prompt.token_ids)
        if max(tokens) >= self._vocabulary:
            raise ModelError(
                f"the prompt has token {max(tokens)}, the model knows {self._vocabulary}",
                "give the tokenizer that the model was trained with",
            )
        numbers = prompt.sampling.numbers(prompt.max_tokens)
        row = _Row(index, prompt, Guesses(tokens, self._most_guesses), numbers)
        if prompt.max_tokens == 0:
            row.ended = "length"
            return row
        logits_1V = self._decoder.prefill(place, tokens, prompt.embedded).unsqueeze(0)
        self._take([row], [[]], logits_1V.unsqueeze(1), news)
        return row

    def _step(self, rows: list[_Row], news: News | None) -> None:
        """Choose the next tokens of every row."""
        guesses = self._guesses(rows)
        read = [[row.answer[-1], *guessed] for row, guessed in zip(rows, guesses, strict=True)]
        kept = self._take(rows, guesses, self._decoder.step(read), news)
        self._decoder.keep(kept)

    def _guesses(self, rows: list[_Row]) -> list[list[int]]:
        """Guesses to check, equally many for each row: as many as the average row has. Zeros fill
        up rows that have fewer.
        """
        most = min(self._most_guesses, TOKENS_A_STEP // len(rows) - 1, CHUNK - 1)
        found = [row.guesses.next(max(most, 0)) for row in rows]
        width = sum(map(len, found)) // len(rows)
        for row, guessed in zip(rows, found, strict=True):
            row.guessed = min(len(guessed), width)
        return [(guessed + [0] * width)[:width] for guessed in found]

    def _take(
        self,
        rows: list[_Row],
        guesses: list[list[int]],
        logits_STV: torch.Tensor,
        news: News | None,
    ) -> list[int]:
        """Choose tokens behind every token that was read, and give the rows those that stand.

        A token stands if all guesses before it were right. Returns how many each row got.
        """
        width = logits_STV.shape[1]
        logits_XV = logits_STV.flatten(0, 1)
        token_X = choose(
            logits_XV,
            [row.prompt.sampling for row in rows for _ in range(width)],
            [
                row.numbers[min(len(row.answer) + ahead, row.prompt.max_tokens - 1)]
                for row in rows
                for ahead in range(width)
            ],
        )
        chosen: list[list[int]] = token_X.view(-1, width).tolist()
        asked = any(row.prompt.log_probabilities for row in rows)
        logs = log_probabilities(logits_XV, token_X) if asked else []
        counts = []
        for place, row in enumerate(rows):
            new: list[int] = []
            for token, guess in zip(chosen[place], [*guesses[place], None], strict=True):
                new.append(token)
                row.answer.append(token)
                self._end(row)
                if row.ended or token != guess:
                    break
            row.guesses.extend(new)
            row.guesses.checked(row.guessed, len(new) - 1)
            if row.prompt.log_probabilities:
                row.log_probabilities += logs[place * width : place * width + len(new)]
            if news is not None:
                news(row.index, new[:-1] if self._at_stop_token(row) else new)
            counts.append(len(new))
        return counts

    def _end(self, row: _Row) -> None:
        """See whether the newest token ends the answer."""
        if self._at_stop_token(row) or (row.prompt.stop and self._stopped(row)):
            row.ended = "stop"
        elif len(row.answer) == row.prompt.max_tokens:
            row.ended = "length"

    def _at_stop_token(self, row: _Row) -> bool:
        return bool(row.answer) and row.answer[-1] in self._stop_ids

    def _stopped(self, row: _Row) -> bool:
        """Whether a stop string stands at the end of the answer. A token has at least a byte."""
        assert self._decode is not None, "stop strings need `decode`"
        reach = max(len(stop.encode()) for stop in row.prompt.stop) + 3
        tail = self._decode(row.answer[-reach:])
        return any(stop in tail for stop in row.prompt.stop)

    def _finished(self, row: _Row) -> Answer:
        tokens = row.answer
        text = ""
        if self._decode is not None:
            text = self._decode(tokens[:-1] if self._at_stop_token(row) else tokens)
            cuts = [text.find(stop) for stop in row.prompt.stop if stop in text]
            text = text[: min(cuts, default=len(text))]
        assert row.ended
        asked = row.prompt.log_probabilities
        return Answer(tokens, text, row.ended, row.log_probabilities if asked else None)
