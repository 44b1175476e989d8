"""A balanced sample of labelled text. It is the same for any order of files and any workers.

Files are read twice. The first pass counts the records of each label. The second takes each file's
share. Every file gives equally many records until it is empty, so one large file does not drown the
others. Within a file, the documents are taken whose ids have the smallest seeded hashes. A hash of
the text decides whether a document is held out. So equal texts are on one side.
"""

import heapq
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from corpusmill.classifiers.scorer import readable_texts
from corpusmill.manifests.errors import ModelError
from corpusmill.manifests.parquet_files import read_parquet, schema_of
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import seed_for
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact, open_read
from corpusmill.stages.readers import ReaderSettings
from corpusmill.stages.readers.compression import opened
from corpusmill.stages.readers.documents import read_documents
from corpusmill.stages.readers.record import without_surrogates
from corpusmill.stages.readers.streams import chunks_of, lines

SAMPLE = pa.schema(
    [
        ("rank", pa.int64()),  # the seeded hash of the id; files are sorted by it
        ("id", pa.string()),
        ("text", pa.string()),
        ("label", pa.float32()),
        ("held_out", pa.bool_()),
    ]
)
SENT = ["rank", "label"]  # the training pass compares the sums of these columns
ROW_GROUP_BYTES = 1 << 20
MERGED_ROWS = 1024
LARGEST_LABEL = float(np.finfo(np.float32).max)
POSITIVE, NEGATIVE, LABELLED = "positive", "negative", "labelled"


@dataclass(frozen=True)
class Labelled:
    """One record. text, label: None if absent. A label that is no number is None too. failure: why
    the record could not be read; empty if it was read.
    """

    id: str
    text: str | None
    label: float | None
    failure: str = ""

    @property
    def stratum(self) -> str | None:
        """The label as a whole number, as text. None if the record cannot be learned from."""
        if self.failure or self.label is None or not self.text or self.text.isspace():
            return None
        return str(round(self.label))


def labelled_records(
    artifact: Artifact, role: str, label_column: str, reader: ReaderSettings, stage: str
) -> Iterator[Labelled]:
    """The records of the file.

    role: `positive` (label 1), `negative` (label 0), or `labelled` (`label_column` holds the
    label). Raises InputError if the file cannot be read or has no such column.
    """
    if role != LABELLED:
        fixed = 1.0 if role == POSITIVE else 0.0
        for table in read_documents(artifact, reader, stage):
            failures = table["reason"].to_pylist()
            for identity, text, failure in zip(
                table["id"].to_pylist(), readable_texts(table["text"]), failures, strict=True
            ):
                yield Labelled(identity, text, fixed, failure or "")
    elif artifact.name.endswith(".parquet"):
        columns = [reader.text_column, label_column]
        identities = [reader.id_column] if reader.id_column in schema_of(artifact).names else []
        row = 0
        for table in read_parquet(artifact, columns + identities):
            texts, labels = readable_texts(table[columns[0]]), table[label_column].to_pylist()
            ids = table[identities[0]].to_pylist() if identities else [None] * len(texts)
            for identity, text, label in zip(ids, texts, labels, strict=True):
                read = text if isinstance(text, str) else None  # a column can hold numbers
                yield Labelled(_id(artifact, identity, row), read, _number(label))
                row += 1
    else:
        for row, (line, failure) in enumerate(_lines(artifact, reader.max_payload_bytes)):
            yield _from_json(artifact, row, line, failure, label_column, reader)


def count(role: str, label_column: str, reader: ReaderSettings, stage: str, shard: Shard) -> None:
    """Write `work/count/<shard>.json`: how many records of each label the file holds."""
    counted: Counter[str] = Counter()
    for record in labelled_records(shard.inputs[0], role, label_column, reader, stage):
        if record.stratum is not None:
            counted[record.stratum] += 1
    shard.file("work/count", f"{shard.name}.json", json.dumps(counted, sort_keys=True).encode())


def share_out(
    counted: Mapping[str, Mapping[str, int]], documents_per_label: int, seed: int
) -> dict[str, dict[str, int]]:
    """file -> label -> documents to take. counted: what each file holds.

    If the labels are 0 and 1, equally many of both are taken. Raises ModelError if there is only
    one label.
    """
    totals: dict[str, int] = {}
    for labels in counted.values():
        for label, number in labels.items():
            totals[label] = totals.get(label, 0) + number
    if len(totals) < 2:
        found = (
            f"only documents labelled {next(iter(totals))}"
            if totals
            else "no document that has text and a label"
        )
        raise ModelError(
            f"there is nothing to learn from: {found}",
            "check the inputs: records need text (HTML must go through extract first), and "
            "`label_column` must name numbers, 0 and 1 or grades",
        )
    most = min([documents_per_label, *(totals.values() if set(totals) == {"0", "1"} else ())])
    quotas: dict[str, dict[str, int]] = {name: {} for name in counted}
    for label in sorted(totals):
        available = {name: labels[label] for name, labels in counted.items() if label in labels}
        for name, number in fill(available, most, seed).items():
            quotas[name][label] = number
    return quotas


def fill(available: Mapping[str, int], wanted: int, seed: int) -> dict[str, int]:
    """How many to take from each file: equally many, as far as each has them, `wanted` in all.

    The remainder goes to the files whose names have the smallest hashes.
    """
    taken: dict[str, int] = {}
    left = min(wanted, sum(available.values()))
    waiting = sorted(available, key=lambda name: (available[name], seed_for("share", seed, name)))
    for place, name in enumerate(waiting):
        share = left // (len(waiting) - place)
        taken[name] = min(available[name], share)
        left -= taken[name]
    for name in sorted(waiting, key=lambda name: seed_for("share", seed, name)):
        extra = min(left, 1, available[name] - taken[name])
        taken[name] += extra
        left -= extra
    return taken


def select(
    role: str,
    label_column: str,
    reader: ReaderSettings,
    stage: str,
    wanted: Mapping[str, int],
    held_out: float,
    max_chars: int,
    seed: int,
    shard: Shard,
) -> Counts:
    """Write the file's share as `work/select/<shard>.parquet` (`SAMPLE`, sorted by rank).

    wanted: label -> documents to take. Memory holds no more than these. Returns the account of the
    file.
    """
    account = Counts(stage)
    heaps: dict[str, list[tuple[int, int, Labelled]]] = {
        label: [] for label, number in wanted.items() if number
    }
    records = labelled_records(shard.inputs[0], role, label_column, reader, stage)
    for place, record in enumerate(records):
        shard.count_rows(shard.inputs[0], 1)
        if record.failure:
            account.failed += 1
            account.failures[record.failure] = account.failures.get(record.failure, 0) + 1
            continue
        if record.stratum is None:
            account.leave_out(f"{stage}.no_text_or_label", 1)
            continue
        if record.stratum not in heaps:
            account.leave_out(f"{stage}.not_sampled", 1)
            continue
        heap = heaps[record.stratum]
        rank = seed_for("sample", seed, record.id)
        if len(heap) < wanted[record.stratum]:
            heapq.heappush(heap, (-rank, -place, _cut(record, max_chars)))
            continue
        account.leave_out(f"{stage}.not_sampled", 1)  # this record, or the one that it replaces
        if (-rank, -place) > heap[0][:2]:
            heapq.heapreplace(heap, (-rank, -place, _cut(record, max_chars)))
    chosen = sorted(
        (item for heap in heaps.values() for item in heap), key=lambda item: (-item[0], -item[1])
    )
    limit = int(held_out * 2**63)
    with shard.parquet("work/select", SAMPLE, row_group_bytes=ROW_GROUP_BYTES) as output:
        for start in range(0, len(chosen), 64):
            rows = [
                {
                    "rank": -rank,
                    "id": record.id,
                    "text": record.text,
                    "label": record.label,
                    "held_out": seed_for("held_out", seed, record.text or "") < limit,
                }
                for rank, _, record in chosen[start : start + 64]
            ]
            table = pa.Table.from_pylist(rows, schema=SAMPLE)
            output.send(table.select(SENT))
            output.write(table)
    account.rows_in, account.sent = shard.rows_read, shard.rows_sent
    return account


def merged_rows(artifacts: tuple[Artifact, ...], *columns: str) -> Iterator[dict[str, Any]]:
    """The rows of all files by rank. Equal ranks keep the order of files and rows.

    The sample is bounded, so it is one table in memory. Files are opened one after the other.
    """
    tables = [
        table for artifact in artifacts for table in read_parquet(artifact, ["rank", *columns])
    ]
    if not tables:
        return
    table = pa.concat_tables(tables)
    order = np.argsort(table["rank"].to_numpy(), kind="stable")
    for start in range(0, len(order), MERGED_ROWS):
        yield from table.take(pa.array(order[start : start + MERGED_ROWS])).to_pylist()


def _cut(record: Labelled, max_chars: int) -> Labelled:
    return Labelled(record.id, (record.text or "")[:max_chars], record.label)


def _lines(artifact: Artifact, limit: int) -> Iterator[tuple[bytes, str]]:
    """The non-blank lines of a plain or compressed file, each with a reason. The reason is empty
    unless the line is longer than `limit` or lost to damage.
    """
    with open_read(artifact.path) as file:
        stream = opened(file, artifact.path)
        for line, length in lines(chunks_of(stream), limit):
            if line.strip():
                yield line, "" if length <= limit else "page.too_large"
        if stream.damage is not None:
            yield b"", f"error_read.{stream.damage.kind}"


def _from_json(
    artifact: Artifact,
    row: int,
    line: bytes,
    failure: str,
    label_column: str,
    reader: ReaderSettings,
) -> Labelled:
    try:
        record = None if failure else json.loads(line)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        return Labelled(_id(artifact, None, row), None, None, failure or "error_read.json")
    text = record.get(reader.text_column)
    return Labelled(
        _id(artifact, record.get(reader.id_column), row),
        without_surrogates(text) if isinstance(text, str) else None,
        _number(record.get(label_column)),
    )


def _id(artifact: Artifact, found: object, row: int) -> str:
    return f"{artifact.digest[:16]}:{row}" if found is None else str(found)


def _number(value: object) -> float | None:
    """The label as a number, finite in 32 bits. A text that spells a number counts as one."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):  # the last: an integer beyond float's range
        return None
    return number if abs(number) <= LARGEST_LABEL else None  # false for NaN
