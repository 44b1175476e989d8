"""The peers of the dedup benchmark, each on one core: MB of text a CPU second, shingling included.

datatrove: its four MinHash stages, as FineWeb runs them (14 x 8, word 5-grams). datasketch: update,
update_batch and bulk with 112 permutations and xxhash; the fastest counts. rensa: RMinHash with 112
permutations. With the last two, callers make words and shingles: lower-cased text, split at white
space, five words joined.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.writers.jsonl import JsonlWriter

PERMUTATIONS = 112


def shingles(text: str) -> list[str]:
    """Word 5-grams, as users of datasketch and rensa make them."""
    words = text.lower().split()
    return [" ".join(words[i : i + 5]) for i in range(max(1, len(words) - 4))]


def datatrove(texts: list[str], folder: Path) -> tuple[float, float]:
    """MB/s of (signing, all four stages)."""
    config = MinhashConfig()
    signing = MinhashDedupSignature(str(folder / "signatures"), config=config)
    started = time.process_time()
    signing.run(_documents(texts), rank=0, world_size=1)
    signed = time.process_time()
    for bucket in range(config.num_buckets):
        step = MinhashDedupBuckets(
            str(folder / "signatures"), str(folder / "buckets"), config=config
        )
        step.run(None, bucket, config.num_buckets)
    MinhashDedupCluster(str(folder / "buckets"), str(folder / "remove"), config=config).run(
        None, 0, 1
    )
    kept = MinhashDedupFilter(str(folder / "remove")).run(_documents(texts), rank=0, world_size=1)
    for _ in JsonlWriter(str(folder / "kept")).run(kept, rank=0, world_size=1):
        pass
    size = _megabytes(texts)
    return size / (signed - started), size / (time.process_time() - started)


def datasketch(texts: list[str]) -> dict[str, float]:
    """MB/s of each way to sign. `update` is slow, so it gets a tenth of the texts."""
    import xxhash
    from datasketch import MinHash

    def items(text: str) -> list[bytes]:
        return [shingle.encode() for shingle in shingles(text)]

    def blank() -> MinHash:
        return MinHash(num_perm=PERMUTATIONS, hashfunc=xxhash.xxh32_intdigest)

    template = blank()

    def update(text: str) -> None:
        signature = template.copy()
        for item in items(text):
            signature.update(item)

    few = texts[: len(texts) // 10]
    return {
        "update": _speed(few, lambda: deque(map(update, few), 0)),
        "update_batch": _speed(
            texts, lambda: [template.copy().update_batch(items(text)) for text in texts]
        ),
        "bulk": _speed(
            texts,
            lambda: MinHash.bulk(
                (items(text) for text in texts),
                num_perm=PERMUTATIONS,
                hashfunc=xxhash.xxh32_intdigest,
            ),
        ),
    }


def rensa(texts: list[str]) -> float:
    """MB/s."""
    from rensa import RMinHash

    def sign(text: str) -> list[int]:
        signature = RMinHash(num_perm=PERMUTATIONS, seed=1)
        signature.update(shingles(text))
        return signature.digest()

    return _speed(texts, lambda: [sign(text) for text in texts])


def _speed(texts: list[str], work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return _megabytes(texts) / (time.process_time() - started)


def _megabytes(texts: list[str]) -> float:
    return sum(len(text.encode()) for text in texts) / 1e6


def _documents(texts: list[str]) -> Iterator[Document]:
    numbers = count()
    return (Document(text=text, id=str(next(numbers))) for text in texts)
