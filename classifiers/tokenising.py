"""Texts to ids on threads, for the batches of a GPU.

The tokenizer is compiled code that lets other threads run. So threads tokenise blocks of texts
while the GPU computes.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Text beyond max_tokens times this is not tokenised. Real text has fewer characters a token.
CHARACTERS_PER_TOKEN = 32
# Texts that a thread tokenises at a time. The first blocks are small, so that the GPU begins soon.
FIRST_BLOCKS, FIRST_BLOCK, BLOCK = 32, 8, 32
MOST_THREADS = 16  # a core tokenises about 1,000 texts a second to 512 tokens
# Characters a token of the first try. Text is seldom longer; then the whole is tokenised.
FIRST_TRY = 6

Ids = NDArray[np.int32]
Placed = tuple[int, Ids]


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
