"""Texts through a `PackedEncoder`: tokenised beside the GPU, batched without padding.

Threads tokenise blocks of texts while the GPU computes; the tokenizer is compiled code that lets
other threads run. Texts of full length, which are most pages of a crawl, fill batches of their own.
The rest share batches as they come. Nothing waits for the GPU until the last batch is under way.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from corpusmill.classifiers.encoder import CHARACTERS_PER_TOKEN, Embeddings
from corpusmill.classifiers.packed_encoder import (
    FIRST_POSITION,
    Ids,
    Packed,
    PackedEncoder,
    Pooling,
    packed,
)
from corpusmill.manifests.errors import ModelError
from torch import Tensor
from torch.nn import functional

# Texts that a thread tokenises at a time. The first blocks are small, so that the GPU begins soon.
FIRST_BLOCKS, FIRST_BLOCK, BLOCK = 32, 8, 32
MOST_THREADS = 16  # a core tokenises about 1,000 texts a second to 512 tokens
# Characters a token of the first try. Text is seldom longer; then the whole is tokenised.
FIRST_TRY = 6
FLASH_ATTENTION = (8, 0)  # Ampere: the first GPUs whose attention takes mixed lengths

Placed = tuple[int, Ids]


class Packer:
    """A model and its tokenizer, ready for packed texts.

    model: of transformers, in evaluation mode, on `device`; its head, which is small, is brought to
    float32, so that grades are not rounded to bfloat16. tokenizer: of transformers, with a backend
    of the tokenizers library. batch_tokens: tokens of a batch, at most. Raises ModelError if the
    model has fewer positions than `max_tokens`.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        max_tokens: int,
        batch_tokens: int,
        device: str,
    ) -> None:
        tokenizer("", truncation=True, max_length=max_tokens)  # the backend keeps these settings
        # A copy, because threads share it, and the original changes with each caller's settings.
        self.tokenizer = type(tokenizer.backend_tokenizer).from_str(
            tokenizer.backend_tokenizer.to_str()
        )
        self.model, self.padding = model, tokenizer.pad_token_id
        self.encoder = PackedEncoder(model.base_model, compiled=device == "cuda")
        if max_tokens > self.encoder.most_tokens:
            raise ModelError(
                f"max_tokens is {max_tokens}, and the encoder knows {self.encoder.most_tokens} "
                "positions",
                f"set max_tokens to {self.encoder.most_tokens} or less",
            )
        self.max_tokens, self.batch_tokens, self.device = max_tokens, batch_tokens, device
        for part in (getattr(model, "classifier", None), getattr(model.base_model, "pooler", None)):
            if part is not None:
                part.float()

    def run(self, texts: Sequence[str], forward: Callable[[Packed], Tensor]) -> Embeddings:
        """The rows of `forward` for batches, in the order of `texts`.

        Equal texts are computed once, so that they get the same row.
        """
        distinct = list(dict.fromkeys(texts))
        waiting: list[tuple[list[int], Tensor]] = []
        placed = tokenised(self.tokenizer, distinct, self.max_tokens)
        with torch.inference_mode():
            for batch in batches(placed, self.max_tokens, self.batch_tokens):
                ids = [ids if len(ids) else np.array([self.padding]) for _, ids in batch]
                alike = _is_full(batch, self.max_tokens, self.batch_tokens)
                padding = self.encoder.padding
                rows = forward(packed(ids, padding, self.max_tokens, self.device, alike=alike))
                here = torch.empty(rows.shape, dtype=rows.dtype, pin_memory=self.device == "cuda")
                here.copy_(rows, non_blocking=True)
                waiting.append(([place for place, _ in batch], here))
            if self.device == "cuda":
                torch.cuda.synchronize()
        found = np.empty((len(distinct), waiting[0][1].shape[1]), dtype=np.float32)
        for places, rows in waiting:
            found[places] = rows.numpy()
        row_of = {text: row for row, text in enumerate(distinct)}
        return found[[row_of[text] for text in texts]]


def can_pack(model: Any, tokenizer: Any, device: str) -> bool:
    """Whether model and tokenizer are of the kinds that are packed, and the GPU can do it."""
    if device == "cuda" and torch.cuda.get_device_capability() < FLASH_ATTENTION:
        return False
    config = model.config
    return (
        config.model_type in FIRST_POSITION
        and getattr(config, "position_embedding_type", "absolute") == "absolute"
        and not config.is_decoder
        and tokenizer.is_fast
        and tokenizer.truncation_side == "right"
    )


def token_ids(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> list[Ids]:
    """The first `max_tokens` ids of each text, special tokens included, as the tokenizer cuts them.

    tokenizer: of the tokenizers library, which truncates to `max_tokens`. A long text is cut at a
    blank first, as far as its tokens will probably reach. Words do not join over a blank, so the
    ids are those of the whole text. Text beyond CHARACTERS_PER_TOKEN is not read.
    """
    cut = [text[: max_tokens * CHARACTERS_PER_TOKEN] for text in texts]
    short = [_cut_at_blank(text, max_tokens * FIRST_TRY) for text in cut]
    found = [np.array(coded.ids, dtype=np.int32) for coded in tokenizer.encode_batch_fast(short)]
    again = [
        place
        for place, text in enumerate(cut)
        if len(short[place]) < len(text) and len(found[place]) < max_tokens
    ]
    whole = tokenizer.encode_batch_fast([cut[place] for place in again])
    for place, coded in zip(again, whole, strict=True):
        found[place] = np.array(coded.ids, dtype=np.int32)
    return found


def _cut_at_blank(text: str, characters: int) -> str:
    if len(text) <= characters:
        return text
    blank = text.rfind(" ", 0, characters)
    return text[:blank] if blank > 0 else text


def tokenised(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> Iterator[Placed]:
    """(place, ids) of each text in order, some blocks ahead of who takes them."""
    threads = min(MOST_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[list[Ids]]] = deque()
        place = 0
        for block in _blocks(texts):
            waiting.append(pool.submit(token_ids, tokenizer, block, max_tokens))
            if len(waiting) > 4 * threads:
                for ids in waiting.popleft().result():
                    yield place, ids
                    place += 1
        for future in waiting:
            for ids in future.result():
                yield place, ids
                place += 1


def _blocks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    small = FIRST_BLOCKS * FIRST_BLOCK
    for start in range(0, min(small, len(texts)), FIRST_BLOCK):
        yield texts[start : start + FIRST_BLOCK]
    for start in range(small, len(texts), BLOCK):
        yield texts[start : start + BLOCK]


def batches(texts: Iterable[Placed], full_length: int, batch_tokens: int) -> Iterator[list[Placed]]:
    """Batches of at most `batch_tokens` tokens, but at least one text.

    Texts of `full_length` tokens wait for others until a batch is full. What is left of them at
    the end goes with the rest, so that batches of one length all have one shape.
    """
    full: list[Placed] = []
    mixed: list[Placed] = []
    size = 0
    room = _room(full_length, batch_tokens)
    for placed in texts:
        if len(placed[1]) == full_length:
            full.append(placed)
            if len(full) == room:
                yield full
                full = []
            continue
        if mixed and size + len(placed[1]) > batch_tokens:
            yield mixed
            mixed, size = [], 0
        mixed.append(placed)
        size += len(placed[1])
    for placed in full:
        if mixed and size + len(placed[1]) > batch_tokens:
            yield mixed
            mixed, size = [], 0
        mixed.append(placed)
        size += len(placed[1])
    if mixed:
        yield mixed


def _is_full(batch: Sequence[Placed], full_length: int, batch_tokens: int) -> bool:
    """Whether it is a batch of texts of full length, with as many as there is room for."""
    lengths = {len(ids) for _, ids in batch}
    return len(batch) == _room(full_length, batch_tokens) and lengths == {full_length}


def _room(full_length: int, batch_tokens: int) -> int:
    return max(1, batch_tokens // full_length)


def vectors(
    packer: Packer, texts: Sequence[str], pooling: Pooling, *, normalise: bool
) -> Embeddings:
    """float32 [len(texts), H]."""

    def pooled(batch: Packed) -> Tensor:
        found = packer.encoder.pooled(batch, pooling)
        return functional.normalize(found, dim=-1) if normalise else found

    return packer.run(texts, pooled)


def logits(packer: Packer, texts: Sequence[str]) -> Embeddings:
    """float32 [len(texts), outputs] of the model's own head, which reads the first token."""
    body, classifier = packer.model.base_model, packer.model.classifier
    pooler = getattr(body, "pooler", None)  # BERT has one, RoBERTa's head does its work

    def graded(batch: Packed) -> Tensor:
        first_N1H = packer.encoder.pooled(batch, "cls")[:, None]
        found: Tensor = classifier(pooler(first_N1H) if pooler is not None else first_N1H)
        return found

    return packer.run(texts, graded)
