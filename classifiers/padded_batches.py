"""Texts through any encoder of transformers: tokenised, sorted by length, batched with padding."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from corpusmill.classifiers.linear import Embeddings
from corpusmill.classifiers.one_thread import one_thread
from corpusmill.classifiers.tokenising import CHARACTERS_PER_TOKEN

_BLOCK = 512  # texts tokenised at a time


def padded_rows(
    texts: Sequence[str],
    tokenizer: Any,
    forward: Callable[[dict[str, Any]], Any],
    width: int,
    *,
    max_tokens: int,
    batch_tokens: int,
    device: str,
) -> Embeddings:
    """The rows of `forward`, float32 [len(texts), width], in the order of `texts`.

    forward: from the tensors `input_ids` and `attention_mask` of a batch. batch_tokens: of a batch
    at most, padding included, but at least one text.
    """
    import torch

    found = np.empty((len(texts), width), dtype=np.float32)
    with torch.inference_mode(), one_thread(device):
        for first in range(0, len(texts), _BLOCK):
            cut = [
                text[: max_tokens * CHARACTERS_PER_TOKEN] for text in texts[first : first + _BLOCK]
            ]
            tokens = tokenizer(cut, truncation=True, max_length=max_tokens)["input_ids"]
            order = sorted(range(len(tokens)), key=lambda place: (len(tokens[place]), place))
            for batch in _batches(order, tokens, batch_tokens):
                padded = tokenizer.pad(
                    {"input_ids": [tokens[place] for place in batch]}, return_tensors="pt"
                )
                inputs = {key: padded[key].to(device) for key in ("input_ids", "attention_mask")}
                found[[first + place for place in batch]] = forward(inputs).cpu().numpy()
    return found


def _batches(order: list[int], tokens: list[list[int]], batch_tokens: int) -> Iterator[list[int]]:
    batch: list[int] = []
    for place in order:  # lengths ascend, so the newest text is the longest
        if batch and (len(batch) + 1) * len(tokens[place]) > batch_tokens:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
