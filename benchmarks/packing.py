"""Packings side by side: padding, documents that are cut, and the loader's speed.

    python benchmarks/packing.py --data OUT/pack --lengths 512 2048 8192

Speed is tokens in rows per second of CPU time, decoding and packing included, over one epoch.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any, get_args

from corpusmill.trainer.config import Packing
from corpusmill.trainer.data import PackedStream
from corpusmill.trainer.loader import collate
from corpusmill.trainer.sequences import describe
from corpusmill.trainer.token_shards import Catalogue, catalogue, find_shards

BATCH = 16


def measure(corpus: Catalogue, pack: Packing) -> dict[str, Any]:
    """What one packing makes of the corpus, and tokens a second of its loader on one core."""
    figures = json.loads(describe(corpus, pack))["packings"][pack]
    stream = PackedStream(corpus, 0, pack)
    start = time.process_time()
    for first in range(0, stream.epoch_rows, BATCH):
        collate(stream.row(row) for row in range(first, min(first + BATCH, stream.epoch_rows)))
    seconds = time.process_time() - start
    filled = stream.epoch_rows * corpus.sequence_length * (1 - figures["padding"])
    return {**figures, "loader_tokens_s": round(filled / seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="output folder of pack")
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 2048, 8192])
    options = parser.parse_args()
    shards = find_shards(options.data)
    results = {}
    print("length  packing   sequences   padding  documents cut      tokens/s")
    for length in options.lengths:
        corpus = catalogue(shards, length)
        for pack in get_args(Packing):
            found = measure(corpus, pack)
            results[f"{length}_{pack}"] = found
            print(
                f"{length:6}  {pack:8}  {found['sequences']:9,}  {found['padding']:8.2%}  "
                f"{found['documents_cut']:13.2%}  {found['loader_tokens_s']:12,}"
            )
    print(json.dumps(results))


if __name__ == "__main__":
    main()
