"""Decontamination: what is found and what is spared, beside the overlap rules of other projects.
Packing: speed beside the bare tokenizer.

    taskset -c 1 python benchmarks/blend.py --data DATA

DATA holds `evals/*.jsonl.zst` (evaluation sets) and folders of documents (`DOCUMENTS`). The
benchmark prints tables, and last one line of JSON.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from corpusmill.manifests.package_data import package_file
from corpusmill.manifests.schema import DOCUMENT
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.stages.decontaminate.settings import EvaluationSet
from corpusmill.stages.decontaminate.stage import Decontaminate
from corpusmill.stages.tokenizer.loaded import batches
from tokenizers import Tokenizer

from benchmarks.contamination import (
    PLANTINGS,
    Case,
    Overlap8,
    Overlap13,
    cases,
    items_of,
    split_sets,
    texts,
)

DOCUMENTS = ("reference", "web_articles", "academic", "code", "math")
FILE_TEXT = 3_000_000  # characters of each file of documents
SHORTEST = 500  # characters of a document
TIMED = 3000  # documents whose scanning is timed
BATCH = 256


class Found(NamedTuple):
    """Of each case: whether it was found, and the items that were named."""

    flags: list[bool]
    items: list[set[tuple[str, str]]]


def measure_decontamination(data: Path, each: int) -> dict[str, float]:
    """All figures about decontamination. each: documents of every planting."""
    documents = [path for name in DOCUMENTS for path in sorted((data / name).glob("*.jsonl.zst"))]
    clean = [text for text in texts(documents, FILE_TEXT) if len(text) > SHORTEST]
    with tempfile.TemporaryDirectory() as folder:
        indexed, apart = split_sets(data / "evals", Path(folder))
        items = items_of(indexed)
        planted = cases(items, items_of(apart), clean, each)
        stage = Decontaminate(
            sets={name: EvaluationSet(input=path) for name, path in indexed.items()},
            action="report",
        )
        finders: dict[str, Callable[[Sequence[Case]], Found]] = {
            "corpusmill": partial(by_stage, stage),
            "13-gram (GPT-3)": partial(by_rule, Overlap13(items).finds),
            "8-gram, half (Tülu 3)": partial(by_rule, Overlap8(items).finds),
        }
        by_stage(stage, planted[:1])  # compiles, and reads the sets
        found = {name: find(planted) for name, find in finders.items()}
        speeds = {name: megabytes_a_second(find, clean) for name, find in finders.items()}
    return report(planted, found, speeds)


def by_stage(stage: Decontaminate, planted: Sequence[Case]) -> Found:
    """What the stage would act on."""
    found = Found([], [])
    for start in range(0, len(planted), BATCH):
        rows = [
            {"id": str(number), "text": case.text}
            for number, case in enumerate(planted[start : start + BATCH])
        ]
        kept = stage.apply(pa.Table.from_pylist(rows, schema=DOCUMENT)).kept
        for hits in kept["contamination"].to_pylist():
            acted = {(hit["set"], hit["item"]) for hit in hits if hit["verdict"] in stage.act_on}
            found.flags.append(bool(acted))
            found.items.append(acted)
    return found


def by_rule(finds: Callable[[str], bool], planted: Sequence[Case]) -> Found:
    return Found([finds(case.text) for case in planted], [])


def megabytes_a_second(find: Callable[[Sequence[Case]], Found], clean: Sequence[str]) -> float:
    """Of documents as they are, in CPU time."""
    chosen = [Case("as it was", text, None) for text in clean[:: len(clean) // TIMED]]
    started = time.process_time()
    find(chosen)
    seconds = time.process_time() - started
    return sum(len(case.text.encode()) for case in chosen) / 1e6 / seconds


def report(
    planted: Sequence[Case], found: dict[str, Found], speeds: dict[str, float]
) -> dict[str, float]:
    """Print the share found of every kind of document, recall and precision. Return the figures."""
    print(f"{'share found':34}{'documents':>10}" + "".join(f"{name:>24}" for name in found))
    for kind in dict.fromkeys(case.kind for case in planted):
        rows = [number for number, case in enumerate(planted) if case.kind == kind]
        shares = [sum(one.flags[row] for row in rows) / len(rows) for one in found.values()]
        label = kind if kind in PLANTINGS else f"{kind} (wanted: 0)"
        print(f"{label:34}{len(rows):10}" + "".join(f"{share:24.3f}" for share in shares))
    figures: dict[str, float] = {}
    for key, (name, one) in zip(("", ".13_gram", ".8_gram"), found.items(), strict=True):
        right = sum(flag for flag, case in zip(one.flags, planted, strict=True) if case.item)
        recall = right / sum(case.item is not None for case in planted)
        precision = right / max(1, sum(one.flags))
        print(
            f"{name:24}recall {recall:.3f}, precision {precision:.3f}, "
            f"{speeds[name]:.1f} MB of clean text a second of CPU time"
        )
        figures[f"decontamination_recall{key}"] = round(recall, 4)
        figures[f"decontamination_precision{key}"] = round(precision, 4)
        figures[f"decontamination_mb_s{key}"] = round(speeds[name], 2)
    named = [
        case.item in items
        for case, items in zip(planted, found["corpusmill"].items, strict=True)
        if case.item and items
    ]
    share = sum(named) / len(named)
    print(f"of contaminated documents that were found, {share:.3f} name the item planted in them")
    return {**figures, "decontamination_item_named": round(share, 4)}


def measure_packing(data: Path, size: int) -> dict[str, float]:
    """Tokens a second of CPU time: of the whole pack stage, from Parquet to token shards, and of
    the bare tokenizer on the same texts. The median of three, in turns. size: characters of text.
    """
    documents = [path for name in DOCUMENTS for path in sorted((data / name).glob("*.jsonl.zst"))]
    chosen = [text for text in texts(documents, size // len(documents)) if text]
    folder = package_file("models", "tiny")
    bare = Tokenizer.from_file(str(folder / "tokenizer.json"))
    bare.encode_special_tokens = True  # as pack does: no text is taken for a special token
    ranges = batches([len(text) for text in chosen])  # small enough for the processor's caches
    seconds: dict[str, list[float]] = {"pack": [], "bare": []}
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        rows = [{"id": str(number), "text": text} for number, text in enumerate(chosen)]
        pq.write_table(pa.Table.from_pylist(rows, schema=DOCUMENT), work / "documents.parquet")
        step = Step("pack", "pack", (), {"tokenizer": str(folder)})
        for number in range(3):
            started = time.process_time()
            counted = 0
            for start, end in ranges:
                encoded = bare.encode_batch_fast(chosen[start:end], add_special_tokens=False)
                counted += sum(len(one.ids) for one in encoded)
            seconds["bare"].append(time.process_time() - started)
            started = time.process_time()
            given = (str(work / "documents.parquet"),)
            manifest = run_step(step, given, str(work / f"pack-{number}"), InlineRunner())
            seconds["pack"].append(time.process_time() - started)
    bare_speed = counted / statistics.median(seconds["bare"])
    speed = manifest.totals[0].tokens / statistics.median(seconds["pack"])
    print(
        f"pack: {speed:,.0f} tokens a second of CPU time; the bare tokenizer: {bare_speed:,.0f}; "
        f"ratio {speed / bare_speed:.2f}"
    )
    return {"pack_tokens_s": round(speed), "tokenizer_tokens_s": round(bare_speed)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--each", type=int, default=300, help="documents of every planting")
    parser.add_argument("--text", type=int, default=20_000_000, help="characters to pack")
    options = parser.parse_args()
    packing = measure_packing(options.data, options.text)
    print(json.dumps({**packing, **measure_decontamination(options.data, options.each)}))


if __name__ == "__main__":
    main()
