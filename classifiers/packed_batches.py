"""Texts through a `PackedEncoder` on a GPU: batches without padding, and their rows.

Texts of full length, which are most pages of a crawl, fill batches of their own. These have one
shape, so a CUDA graph replays them (`replayed`). The rest share batches as they come. Nothing waits
for the GPU until the last batch is under way.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from corpusmill.classifiers.encoder import Pooling, refuse_positions
from corpusmill.classifiers.fp8 import refuse_widths
from corpusmill.classifiers.linear import Embeddings
from corpusmill.classifiers.packed_encoder import (
    FIRST_POSITION,
    Packed,
    PackedEncoder,
    packed,
)
from corpusmill.classifiers.packed_fp8 import Fp8Encoder
from corpusmill.classifiers.replayed import Replayed
from corpusmill.classifiers.tokenising import Placed, tokenised
from torch import Tensor
from torch.nn import functional

FLASH_ATTENTION = (8, 0)  # Ampere: the first GPUs whose attention takes mixed lengths


class Packer:
    """A model and its tokenizer, ready for packed texts.

    model: of transformers, in evaluation mode, on `device`; its head, which is small, is brought to
    float32, so that grades are not rounded to bfloat16. tokenizer: of transformers, with a backend
    of the tokenizers library. pooling, normalise: how a text gets its vector. None: it gets the
    grade of the model's own head. batch_tokens: tokens of a batch, at most. fp8: large products in
    8 bits. replayed: batches of full length by a CUDA graph. Raises ModelError if the model has
    fewer positions than `max_tokens`, or if it wants 8 bits and the GPU has none.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        pooling: Pooling | None,
        normalise: bool,
        max_tokens: int,
        batch_tokens: int,
        device: str,
        fp8: bool = False,
        replayed: bool = True,
    ) -> None:
        tokenizer("", truncation=True, max_length=max_tokens)  # the backend keeps these settings
        # A copy, because threads share it, and the original changes with each caller's settings.
        self.tokenizer = type(tokenizer.backend_tokenizer).from_str(
            tokenizer.backend_tokenizer.to_str()
        )
        self.model, self.padding = model, tokenizer.pad_token_id
        self.pooling, self.normalise = pooling, normalise
        if fp8:
            refuse_widths(model.base_model)
        kind = Fp8Encoder if fp8 else PackedEncoder
        self.encoder: PackedEncoder = kind(model.base_model, compiled=device == "cuda")
        refuse_positions(max_tokens, self.encoder.most_tokens)
        self.max_tokens, self.batch_tokens, self.device = max_tokens, batch_tokens, device
        self.replayed = replayed and device == "cuda"
        self._full: Replayed | None = None
        for part in (getattr(model, "classifier", None), getattr(model.base_model, "pooler", None)):
            if part is not None:
                part.float()

    def rows(self, texts: Sequence[str]) -> Embeddings:
        """The vector of each text, float32 [len(texts), H], or its grade, [len(texts), outputs].

        Equal texts are computed once, so that they get the same row.
        """
        distinct = list(dict.fromkeys(texts))
        waiting: list[tuple[list[int], Tensor]] = []
        placed = tokenised(self.tokenizer, distinct, self.max_tokens)
        with torch.inference_mode():
            for batch in batches(placed, self.max_tokens, self.batch_tokens):
                rows = self._rows_of(self._packed(batch))
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

    def _packed(self, batch: Sequence[Placed]) -> Packed:
        ids = [ids if len(ids) else np.array([self.padding]) for _, ids in batch]
        alike = _is_full(batch, self.max_tokens, self.batch_tokens)
        return packed(ids, self.encoder.padding, self.max_tokens, self.device, alike=alike)

    def _rows_of(self, batch: Packed) -> Tensor:
        """What `_forward` gives; by a CUDA graph where one fits. The next call may overwrite it."""
        if not (self.replayed and batch.length):
            return self._forward(batch)
        if self._full is None:
            self._full = Replayed(self._forward, batch)
        return self._full(batch)

    def _forward(self, batch: Packed) -> Tensor:
        """float32 [texts, H], or [texts, outputs]."""
        if self.pooling is None:
            return self._graded(batch)
        found = self.encoder.pooled(batch, self.pooling)
        return functional.normalize(found, dim=-1) if self.normalise else found

    def _graded(self, batch: Packed) -> Tensor:
        """What the model's own head makes of the first token."""
        first_N1H = self.encoder.pooled(batch, "cls")[:, None]
        pooler = getattr(self.model.base_model, "pooler", None)  # RoBERTa's head does its work
        found: Tensor = self.model.classifier(first_N1H if pooler is None else pooler(first_N1H))
        return found


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
