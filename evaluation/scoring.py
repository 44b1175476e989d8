"""Log-likelihoods of continuations, in batches by length.

A continuation's tokens are what the whole text has beyond the context's own tokens, and spaces at
the end of a context belong to the continuation. This is how lm-evaluation-harness does it, so that
scores agree. Log-probabilities are fp32. The head is applied only where a token is scored: with a
large vocabulary it costs more than the layers.

Letters in tensor names: B batch, T time, V vocabulary, N scored tokens.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

# Padded tokens of a batch. A CPU is quickest with batches whose activations stay in its caches:
# 512 took half the time of 8,192 (models/tiny, one core).
ON_GPU, ON_CPU = 8192, 512
# A context is read once for its continuations if that saves this share of the tokens, and if it has
# so many: shorter ones cost less than the second pass.
WORTH = 0.15
SHORTEST_SHARED = 8


class Tokenizer(Protocol):
    """What is needed of a tokenizer."""

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, without added tokens."""
        ...


class Model(Protocol):
    """A causal language model that scores given tokens."""

    @property
    def device(self) -> torch.device: ...

    @property
    def context(self) -> int | None:
        """The longest input that it declares, in tokens. None: no limit."""
        ...

    @property
    def positions(self) -> int | None:
        """The longest input that it can read at all, in tokens. None: no limit."""
        ...

    @property
    def vocabulary(self) -> int:
        """The number of tokens that it knows."""
        ...

    def token_scores(
        self, tokens_BT: Tensor, rows_N: Tensor, places_N: Tensor, targets_N: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Of each target as the token after `places_N` in row `rows_N`: its log-probability (fp32),
        and whether it is the likeliest. Rows are padded on the right.
        """
        ...

    def shared_scores(
        self,
        contexts: Sequence[tuple[int, ...]],
        continuations: Sequence[Sequence[tuple[int, ...]]],
    ) -> tuple[Tensor, Tensor] | None:
        """The same for every token of every continuation, in order, where each context is read
        once. None if this model cannot do so.
        """
        ...


@dataclass(frozen=True)
class Piece:
    """Ids of a context and of what is scored after it. The context has at least one id."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]

    @property
    def read(self) -> tuple[int, ...]:
        """The ids that the model reads. It need not read the last one."""
        return (*self.context, *self.continuation[:-1])

    @property
    def length(self) -> int:
        """How many ids the model reads."""
        return len(self.context) + len(self.continuation) - 1


@dataclass(frozen=True)
class Score:
    """loglikelihood: natural logarithm, of the whole continuation. greedy: whether each of its
    tokens was the likeliest. tokens: how many were scored.
    """

    loglikelihood: float
    greedy: bool
    tokens: int


def pieces_of(
    tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]], start: Sequence[int], prefix: int
) -> list[Piece]:
    """The ids of (context, continuation) texts.

    start: ids that the tokenizer puts in front of a text. prefix: the id that stands for an empty
    context.
    """
    moved = [_with_spaces(context, continuation) for context, continuation in pairs]
    contexts = tokenizer.encode([context for context, _ in moved])
    wholes = tokenizer.encode([context + continuation for context, continuation in moved])
    pieces = []
    for (text, _), context, whole in zip(moved, contexts, wholes, strict=True):
        if not text:
            pieces.append(Piece((prefix,), tuple(whole)))
        else:
            pieces.append(Piece((*start, *context), tuple(whole[len(context) :])))
    return pieces


def _with_spaces(context: str, continuation: str) -> tuple[str, str]:
    bare = context.rstrip()
    return bare, context[len(bare) :] + continuation


def windows_of(ids: Sequence[int], prefix: int, length: int) -> list[Piece]:
    """A text in windows of at most `length` tokens, so that every token is scored once.

    The first window begins after `prefix`, each other one after the last token of the one before.
    The last one is scored behind as much of the text as fits.
    """
    pieces = []
    for start in range(0, len(ids), length):
        end = min(start + length, len(ids))
        context = ids[end - length - 1 : start] if start else (prefix,)
        pieces.append(Piece(tuple(context), tuple(ids[start:end])))
    return pieces


@torch.inference_mode()
def score(
    model: Model,
    pieces: Sequence[Piece],
    batch_tokens: int | None = None,
    done: Callable[[int], None] = lambda number: None,
) -> list[Score]:
    """The score of each piece, in order.

    batch_tokens: padded tokens of a batch, at most, unless one piece is longer. None: what suits
    the device. done: is told how many pieces are scored so far.
    """
    if batch_tokens is None:
        batch_tokens = ON_GPU if model.device.type == "cuda" else ON_CPU
    scores: dict[int, Score] = {}
    alone, groups = _grouped(pieces)
    for some in batches([_shared_length(pieces, group) for group in groups], batch_tokens):
        chosen = [groups[number] for number in some]
        found = model.shared_scores(
            [pieces[group[0]].context for group in chosen],
            [[pieces[number].continuation for number in group] for group in chosen],
        )
        members = [number for group in chosen for number in group]
        if found is None:
            alone += members
        else:
            scores.update(zip(members, _sums(*found, [pieces[n] for n in members]), strict=True))
            done(len(scores))
    same: dict[tuple[int, ...], list[int]] = {}  # what the model reads -> who needs it
    for number in alone:
        same.setdefault(pieces[number].read, []).append(number)
    rows = list(same.values())
    for batch in batches([pieces[row[0]].length for row in rows], batch_tokens):
        chosen = [rows[number] for number in batch]
        members = [number for row in chosen for number in row]
        alike = [[pieces[number] for number in row] for row in chosen]
        scores.update(zip(members, _scores(model, alike), strict=True))
        done(len(scores))
    return [scores[number] for number in range(len(pieces))]


def batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Numbers of items, longest first: so a batch that does not fit the memory comes at once."""
    batch: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda number: (-lengths[number], number)):
        if batch and (len(batch) + 1) * lengths[batch[0]] > batch_tokens:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _grouped(pieces: Sequence[Piece]) -> tuple[list[int], list[list[int]]]:
    """Pieces to score alone, and groups whose common context is worth reading once.

    Continuations of one token are scored alone: the context is all that they read.
    """
    by_context: dict[tuple[int, ...], list[int]] = {}
    for number, piece in enumerate(pieces):
        by_context.setdefault(piece.context, []).append(number)
    alone: list[int] = []
    groups: list[list[int]] = []
    for context, members in by_context.items():
        apart = sum(pieces[number].length for number in members)
        saved = (len(members) - 1) * len(context)
        one_row = all(len(pieces[number].continuation) == 1 for number in members)
        if saved >= WORTH * apart and len(context) >= SHORTEST_SHARED and not one_row:
            groups.append(members)
        else:
            alone += members
    return alone, groups


def _shared_length(pieces: Sequence[Piece], group: Sequence[int]) -> int:
    """Of a group in a batch: what its cache holds for the longest of its continuations."""
    return len(group) * max(pieces[number].length for number in group)


def _scores(model: Model, groups: Sequence[Sequence[Piece]]) -> list[Score]:
    """Scores in the order of the groups. The pieces of a group read the same: one row serves them,
    as choices of one letter each.
    """
    longest = max(group[0].length for group in groups)
    tokens_BT = torch.zeros(len(groups), longest, dtype=torch.long)
    rows: list[int] = []
    places: list[int] = []
    targets: list[int] = []
    for row, group in enumerate(groups):
        tokens_BT[row, : group[0].length] = torch.tensor(group[0].read, dtype=torch.long)
        for piece in group:
            rows += [row] * len(piece.continuation)
            places += range(len(piece.context) - 1, piece.length)
            targets += piece.continuation
    where = (torch.tensor(numbers, device=model.device) for numbers in (rows, places, targets))
    pieces = [piece for group in groups for piece in group]
    return _sums(*model.token_scores(tokens_BT.to(model.device), *where), pieces)


def likelihoods(logits_NV: Tensor, targets_N: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probability of each target in fp32, and whether it is the likeliest token."""
    wide_NV = logits_NV.float()
    chosen_N = wide_NV.gather(1, targets_N[:, None])[:, 0]
    return chosen_N - wide_NV.logsumexp(-1), wide_NV.argmax(-1) == targets_N


def _sums(found_N: Tensor, greedy_N: Tensor, pieces: Sequence[Piece]) -> list[Score]:
    """Token scores as one score a piece. Sums are float64, so their order does not matter."""
    sizes = [len(piece.continuation) for piece in pieces]
    parts = zip(
        found_N.double().cpu().split(sizes), greedy_N.cpu().split(sizes), sizes, strict=True
    )
    return [Score(float(found.sum()), bool(greedy.all()), size) for found, greedy, size in parts]
