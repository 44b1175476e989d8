"""What a run took: tokens in and out of each prompt, hours of engines, and GPU hours.

Receipts say when the work on a shard began and how long it took. A worker may do two shards beside
each other, and a server may work for many workers. So the hours are those in which at least one
shard was at work: of each worker, or of any if the engine is a server. Of a run that was cut off,
the time until its last answer in the ledger counts, as these answers' tokens do. What it threw away
does not. A judge's tokens and time count, under the name of its prompt.
"""

import json
from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests import storage
from corpusmill.manifests.parquet_files import read_parquet, schema_of
from corpusmill.manifests.receipt import Counts, Receipt
from corpusmill.manifests.shard import Shard
from corpusmill.stages.contract import DOCUMENTS, Pass, PassResult
from corpusmill.stages.engines.contract import Answering
from corpusmill.stages.synthesize.judging import TOKENS as JUDGED

_WHERE = "work/usage"
_TOKENS, _REQUESTS = ("prompt_tokens", "output_tokens"), "requests"


def measure(
    made: PassResult, engine: Answering, judge: str = ""
) -> Generator[Pass, PassResult, dict[str, Any]]:
    """The pass that counts tokens. made: of the pass that asked the engine. judge: its prompt.

    Returns what the manifest holds as `usage`.
    """
    shards = {name: tuple(receipt.outputs) for name, receipt in made.receipts.items()}
    counted = yield Pass(name="usage", shards=shards, work=partial(count, judge))
    prompts: dict[str, Counter[str]] = {}
    for written in counted.outputs(_WHERE):
        for name, counts in json.loads(storage.read_bytes(written.path)).items():
            prompts.setdefault(name, Counter()).update(counts)
    plain = {name: dict(counts) for name, counts in sorted(prompts.items())}
    return summary(plain, made.receipts, engine)


def count(judge: str, shard: Shard) -> list[Counts]:
    """Write `work/usage/SHARD.json`: prompt -> rows, kept rows, tokens in and out. Of scans also
    requests: a row has several.
    """
    found: dict[str, Counter[str]] = {}
    documents = storage.join(shard.folder, DOCUMENTS) + "/"
    for artifact in shard.inputs:
        kept = artifact.path.startswith(documents)
        # A label's tokens are a part of its annotation.
        there = schema_of(artifact).names
        within = "annotation" in there
        requests = [_REQUESTS] if _REQUESTS in there else []
        own = ["prompt", *_TOKENS, *requests, *(JUDGED if judge else ())]
        columns = ["annotation"] if within else own
        for table in read_parquet(artifact, columns):
            _add(found, _flat(table) if within else table, kept)
            if judge:
                graded = table.select(list(JUDGED)).drop_null().rename_columns(list(_TOKENS))
                _add(found, graded.append_column("prompt", pa.repeat(judge, len(graded))), kept)
    shard.file(_WHERE, f"{shard.name}.json", json.dumps(found, sort_keys=True).encode())
    return []


def _add(found: dict[str, Counter[str]], rows: pa.Table, kept: bool) -> None:
    rows = rows.filter(pc.is_valid(rows["prompt"]))  # a PDF file may need no request
    summed = [name for name in (*_TOKENS, _REQUESTS) if name in rows.column_names]
    sums = [("prompt", "count"), *((name, "sum") for name in summed)]
    for group in rows.group_by("prompt").aggregate(sums).to_pylist():
        counter = found.setdefault(group["prompt"], Counter())
        counter["rows"] += group["prompt_count"]
        counter["kept"] += group["prompt_count"] * kept
        for name in summed:
            counter[name] += group[f"{name}_sum"] or 0


def _flat(table: pa.Table) -> pa.Table:
    return pa.table(
        {name: pc.struct_field(table["annotation"], name) for name in ("prompt", *_TOKENS)}
    )


def summary(
    prompts: Mapping[str, Mapping[str, int]], receipts: Mapping[str, Receipt], engine: Answering
) -> dict[str, Any]:
    """What the manifest holds.

    prompts: as `count` writes them. `gpus`: of one engine, or of all servers. 0: none, or not told.
    `output_tokens_per_second`: of one GPU, or of one engine that has none.
    """
    done = list(receipts.values())
    servers = engine.gpus_behind is not None
    seconds = busy_seconds(done, together=servers)
    gpus = engine.gpus_behind or 0.0 if servers else max((each.gpus for each in done), default=0.0)
    read, written = (sum(prompt[name] for prompt in prompts.values()) for name in _TOKENS)
    kept = sum(counts.tokens for receipt in done for counts in receipt.counts)
    gpu_hours = seconds * gpus / 3600
    units = seconds * (gpus or 1)
    return {
        "prompts": prompts,
        "engine_hours": round(seconds / 3600, 6),
        "gpus": gpus,
        "gpu_hours": round(gpu_hours, 6) if gpus else None,
        "output_tokens_per_second": round(written / units, 3) if units else None,
        "gpu_hours_per_billion_tokens": {
            name: round(gpu_hours / tokens * 1e9, 3) if gpus and tokens else None
            for name, tokens in (("read", read), ("written", written), ("kept", kept))
        },
    }


def busy_seconds(receipts: Iterable[Receipt], together: bool) -> float:
    """Seconds in which at least one shard was at work. together: of any worker, not of each."""
    spans: dict[str, list[tuple[float, float]]] = {}
    for receipt in receipts:
        last = (receipt.worker, receipt.started, receipt.seconds)
        for worker, started, seconds in (last, *receipt.earlier):
            spans.setdefault("" if together else worker, []).append((started, started + seconds))
    return sum(map(_covered, spans.values()))


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """The length of the union of spans."""
    total, end = 0.0, float("-inf")
    for start, stop in sorted(spans):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total
