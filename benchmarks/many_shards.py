"""The cost of a stage over many small shards: time of each pass, and bytes of receipts.

    python benchmarks/many_shards.py [--shards 2000] [--stage blend|substring] [--work FOLDER]

The stages are blend and substring. Every shard holds `DOCUMENTS` made documents of some 300 bytes.
blend writes as many shards as it reads, substring about half as many parts. One process does
everything. A cost that grows with the square of the shards limits the size of a corpus.

The benchmark prints each pass and one line of JSON, with a digest of all documents that were
written.
"""

import argparse
import hashlib
import json
import random
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from corpusmill.manifests.schema import DOCUMENT  # noqa: E402 - the checkout is the package
from corpusmill.pipeline.recipe import Step  # noqa: E402
from corpusmill.pipeline.run import run_step  # noqa: E402
from corpusmill.pipeline.runner import InlineRunner  # noqa: E402

DOCUMENTS = 5
WORDS = (
    "shard",
    "receipt",
    "of",
    "the",
    "corpus",
    "a",
    "page",
    "window",
    "who",
    "reads",
    "each",
    "file",
    "again",
)


def write_shards(folder: Path, shards: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(shards):
        dice = random.Random(number)
        rows = [
            {
                "id": f"{number:06d}-{row}",
                "text": " ".join(dice.choices(WORDS, k=60)),
                "url": f"https://site{dice.randrange(shards)}.example/{row}",
                "n_tokens": 60,
                "kind": "actual",
            }
            for row in range(DOCUMENTS)
        ]
        pq.write_table(
            pa.Table.from_pylist(rows, schema=DOCUMENT), folder / f"{number:06d}.parquet"
        )


def settings_of(stage: str, source: str, shards: int) -> Mapping[str, Any]:
    if stage == "blend":
        return {"sources": {"web": {"input": source, "weight": 1}}, "shards": shards}
    return {"part_bytes": 3000, "min_text_chars": 0}


def measure(stage: str, source: str, shards: int, output: Path) -> dict[str, Any]:
    started = time.perf_counter()
    step = Step(stage, stage, (), settings_of(stage, source, shards))
    manifest = run_step(step, () if stage == "blend" else (source,), str(output), InlineRunner())
    seconds = time.perf_counter() - started
    receipts = {
        folder.name: sum(file.stat().st_size for file in folder.iterdir())
        for folder in sorted((output / "receipts").iterdir())
    }
    print(f"{stage}: {shards} shards read, {manifest.shards} written, {seconds:.1f} s")
    for name, size in receipts.items():
        print(
            f"  {name:16} {manifest.timing[f'{name}_seconds']:8.1f} s of work "
            f"{size / 1e6:9.2f} MB of receipts"
        )
    digest = hashlib.sha256(
        b"".join(path.read_bytes() for path in sorted((output / "documents").iterdir()))
    )
    return {
        "stage": stage,
        "shards": shards,
        "written": manifest.shards,
        "seconds": round(seconds, 1),
        "receipts_mb": round(sum(receipts.values()) / 1e6, 2),
        "documents": digest.hexdigest()[:16],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shards", type=int, default=2000)
    parser.add_argument("--stage", choices=("blend", "substring"), action="append")
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        write_shards(Path(folder) / "in", options.shards)
        for stage in options.stage or ("blend", "substring"):
            figures = measure(stage, str(Path(folder) / "in"), options.shards, Path(folder) / stage)
            print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
