"""The trainer's own model as one that scores and writes.

The head is applied only where a token is scored. A context that several continuations share is
read once: the generator's decoder (`trainer.generation.layers`) reads it into a row of its memory,
copies the row for each continuation, and reads the continuations a few tokens at a time.
"""

import functools
from collections.abc import Collection, Sequence

import torch
from corpusmill.evaluation.scoring import likelihoods
from corpusmill.trainer.generation.cache import CHUNK
from corpusmill.trainer.generation.generator import Decode, Generator, Prompt
from corpusmill.trainer.generation.layers import Decoder
from corpusmill.trainer.model import HybridModel
from torch import Tensor

LOGIT_BYTES = 1 << 28  # of the logits that the head makes at once, in fp32
ROWS = 64  # continuations that are read together


class HybridScorer:
    """A HybridModel on its device. context: the longest input in tokens, None without a limit.

    shares: whether a context that several continuations share is read once. That keeps the weights
    once more, as they are at the first such context.
    """

    positions = None  # state space layers know no places, and attention here has none either

    def __init__(self, model: HybridModel, context: int | None = None, shares: bool = True) -> None:
        self.model = model
        self.context = context
        self.shares = shares
        self.vocabulary: int = model.config.vocab_size

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def token_scores(
        self, tokens_BT: Tensor, rows_N: Tensor, places_N: Tensor, targets_N: Tensor
    ) -> tuple[Tensor, Tensor]:
        hidden_ND = self.model.hidden(tokens_BT)[rows_N, places_N]
        most = max(1, LOGIT_BYTES // (4 * self.vocabulary))
        found = [
            likelihoods(self.model.lm_head(hidden), targets)
            for hidden, targets in zip(hidden_ND.split(most), targets_N.split(most), strict=True)
        ]
        return torch.cat([item[0] for item in found]), torch.cat([item[1] for item in found])

    def shared_scores(
        self,
        contexts: Sequence[tuple[int, ...]],
        continuations: Sequence[Sequence[tuple[int, ...]]],
    ) -> tuple[Tensor, Tensor] | None:
        if not self.shares or max(map(len, continuations)) > ROWS:
            return None
        found: list[tuple[Tensor, Tensor]] = []
        start = 0
        while start < len(contexts):
            end, rows = start, 0
            while end < len(contexts) and rows + len(continuations[end]) <= ROWS:
                rows += len(continuations[end])
                end += 1
            found += self._read(contexts[start:end], continuations[start:end])
            start = end
        return torch.cat([item[0] for item in found]), torch.cat([item[1] for item in found])

    def _read(
        self,
        contexts: Sequence[tuple[int, ...]],
        continuations: Sequence[Sequence[tuple[int, ...]]],
    ) -> list[tuple[Tensor, Tensor]]:
        """Scores of each continuation's tokens. There are at most ROWS continuations."""
        decoder = self._decoder
        every = [continuation for group in continuations for continuation in group]
        logits: list[list[Tensor]] = []  # of each continuation: (T, V) tensors, in order
        for context, group in zip(contexts, continuations, strict=True):
            first = len(logits)
            behind_V = decoder.prefill(first, list(context))
            for row in range(first, first + len(group)):
                decoder.move(first, row)
                logits.append([behind_V[None]])
        read = max(len(continuation) for continuation in every) - 1
        for begun in range(0, read, CHUNK):
            width = min(CHUNK, read - begun)
            pieces = [continuation[begun : begun + width] for continuation in every]
            # A row that is at its end reads zeros. Nobody looks at what follows them.
            logits_STV = decoder.step([[*ids, *[0] * (width - len(ids))] for ids in pieces])
            decoder.keep([width] * len(every))
            for row, continuation in enumerate(every):
                logits[row].append(logits_STV[row, : max(0, len(continuation) - 1 - begun)])
        return [
            likelihoods(torch.cat(rows), torch.tensor(continuation, device=self.device))
            for rows, continuation in zip(logits, every, strict=True)
        ]

    @functools.cached_property
    def _decoder(self) -> Decoder:
        """Made on first use: it keeps the weights once more, in a form of its own."""
        return Decoder(self.model, ROWS, self.device, self.model.compute_dtype)

    def write(
        self,
        prompts: Sequence[Sequence[int]],
        max_tokens: int,
        stop: Sequence[str],
        decode: Decode,
        stop_ids: Collection[int],
        rows: int,
    ) -> list[str]:
        """The likeliest answer to each prompt. rows: answers that are written together."""
        generator = Generator(
            self.model, rows, stop_ids, decode, str(self.device), self.model.compute_dtype
        )
        asked = (Prompt(tuple(prompt), max_tokens, stop=tuple(stop)) for prompt in prompts)
        answers = dict(generator.generate(asked))
        return [answers[number].text for number in range(len(prompts))]
