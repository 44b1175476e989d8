"""Images: read image-text corpora, and drop images that teach nothing.

    look    each file: every image is decoded once, for its size, its deviation and its hash
    near    all hashes: which images are near duplicates of an earlier one
    images  each file again: kept pairs as documents with an image, the others with their reason

Defaults of `min_side` and `max_ratio` are the basic filter of DataComp (Gadre et al. 2023, arXiv
2304.14108, section 3.3). `near` holds one hash and one row number of every image in memory, 24
bytes each.
"""

import hashlib
import itertools
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import EXCLUSION, IMAGE, LICENCE, actual_id, extended
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.contract import (
    DOCUMENTS,
    EXCLUDED,
    GlobalStage,
    Inputs,
    Pass,
    Passes,
    Reads,
)
from corpusmill.stages.images.measure import measure_all
from corpusmill.stages.images.near import survivors
from corpusmill.stages.images.pair import Pair, PairReader, licensed
from corpusmill.stages.images.pairs import read_pairs
from corpusmill.stages.licences.asked import single_licences
from corpusmill.stages.readers.documents import count_reasons, input_shards
from pydantic import Field, NonNegativeFloat, NonNegativeInt, field_validator

BATCH_ROWS = 64
BATCH_BYTES = 32 << 20
LOOKED_ROWS = 1000  # rows without images, written or read at a time
SIZE = (pa.field("width", pa.int32()), pa.field("height", pa.int32()))
HASH = pa.field("image_hash", pa.uint64())
LOOKED = pa.schema(
    [
        ("row", pa.int64()),
        ("digest", pa.binary(32)),  # SHA-256 of the image file; null without one
        *SIZE,
        HASH,
        ("reason", pa.string()),
        EXCLUSION[2],
    ]
)
NEAR = pa.schema([("shard", pa.string()), ("row", pa.int64()), EXCLUSION[2]])
ADDED = (IMAGE, LICENCE, *SIZE, HASH)
SCHEMA = extended(*ADDED)
DROPPED = extended(*EXCLUSION, of=SCHEMA)
SHOWN = (*(field.name for field in SIZE), HASH.name)
NEAR_REASON = "images.near_duplicate"


class Images(GlobalStage):
    """Read pairs of image and text, and filter the images."""

    name: ClassVar[str] = "images"
    version: ClassVar[int] = 7
    reads: ClassVar[Reads] = Reads.RECORDS

    reader: PairReader = PairReader()
    """How files become pairs."""
    licences: tuple[str, ...] = ()
    """Licences that may be kept, such as CC-BY-4.0, each alone. Empty keeps all, known or not."""
    min_side: NonNegativeInt = 200
    """Pixels of the shorter side, at least."""
    max_ratio: float = Field(default=3.0, ge=1)
    """Longer side by shorter side, at most."""
    min_deviation: NonNegativeFloat = 4.0
    """Standard deviation of the grey levels (of 256), at least. A blank page has less."""
    near: int | None = Field(default=3, ge=0, le=16)
    """Drop an image whose hash differs in at most so many of 64 bits from an earlier one's. Null:
    keep all."""
    image_seconds: float = Field(default=60, ge=0, le=86_400)
    """Processor time for one image, in seconds. 0 decodes in the worker itself, without limits."""
    image_memory_mb: int = Field(default=4096, ge=512, le=16 << 20)
    """Memory of the process that decodes, in MB."""

    @field_validator("licences")
    @classmethod
    def _licences_are_single(cls, licences: tuple[str, ...]) -> tuple[str, ...]:
        return single_licences("images.licences", licences)

    def adds(self) -> tuple[pa.Field, ...]:
        return ADDED

    def depends_on(self) -> str:
        """The versions of what decodes and hashes."""
        import imagehash
        import PIL

        return f"pillow {PIL.__version__} imagehash {imagehash.__version__}"

    def passes(self, inputs: Inputs) -> Passes:
        files = input_shards(inputs.documents, self.name)
        looked = yield Pass(
            "look", {name: (file,) for name, file in files.items()}, partial(look, self)
        )
        near: tuple[Artifact, ...] = ()
        if self.near is not None:
            found = yield Pass(
                "near",
                {"near": looked.outputs()},
                partial(find_near, self.near),
                depends_on=" ".join(looked.receipts),
            )
            near = found.outputs()
        shards = {
            name: (files[name], *receipt.outputs, *near)
            for name, receipt in looked.receipts.items()
        }
        yield Pass(self.name, shards, partial(write, self), final=True)


def look(settings: Images, shard: Shard) -> list[Counts]:
    """Measure every image of a file."""
    waiting: list[dict[str, Any]] = []
    done = 0
    with shard.parquet("work/look", LOOKED, temporary=True) as output:
        pairs = (
            (pair, _seen(pair, settings.licences))
            for pair in read_pairs(shard.inputs[0], settings.reader)
        )
        for batch in _batches(pairs):
            waiting += _with_measures(batch, settings)
            done += len(batch)
            shard.report(done, unit="images")
            if len(waiting) >= LOOKED_ROWS:
                output.write(pa.Table.from_pylist(waiting, schema=LOOKED))
                waiting = []
        output.write(pa.Table.from_pylist(waiting, schema=LOOKED))
    return []


def _seen(pair: Pair, licences: tuple[str, ...]) -> dict[str, Any]:
    """The row of `LOOKED` before its image is measured."""
    judged = licensed(pair, licences)
    digest = digest_of(pair)
    return {"row": pair.row, "digest": digest, "reason": judged.reason, "detail": judged.detail}


def _with_measures(
    pairs: list[tuple[Pair, dict[str, Any]]], settings: Images
) -> list[dict[str, Any]]:
    """The rows of these pairs, each with what was measured in its image."""
    limits = (settings.min_side, settings.max_ratio, settings.min_deviation)
    measures = iter(
        measure_all(
            [(pair.image or b"", *limits) for pair, row in pairs if row["reason"] is None],
            settings.image_seconds,
            settings.image_memory_mb,
        )
    )
    return [{**row, **next(measures)} if row["reason"] is None else row for _, row in pairs]


def digest_of(pair: Pair) -> bytes | None:
    """SHA-256 of the image file, or None without one."""
    return hashlib.sha256(pair.image).digest() if pair.image is not None else None


def find_near(most: int, shard: Shard) -> list[Counts]:
    """Which images fall to an earlier one: earlier by file name, then by row."""
    names, rows, hashes = [], [], []
    for artifact in sorted(shard.inputs, key=lambda item: item.name):
        name = storage.stem_of(artifact.path)
        for table in read_parquet(artifact, ["row", "image_hash"]):
            table = table.drop_null()
            names += [name] * table.num_rows
            rows.append(table["row"].to_numpy())
            hashes.append(table["image_hash"].to_numpy())
    with shard.parquet("work/near", NEAR, temporary=True) as output:
        if rows:
            row = np.concatenate(rows)
            stays = survivors(np.concatenate(hashes), most)
            gone = np.flatnonzero(stays != np.arange(len(stays)))
            output.write(
                pa.Table.from_pylist(
                    [
                        {
                            "shard": names[place],
                            "row": int(row[place]),
                            "detail": f"like row {row[stays[place]]} of {names[stays[place]]}",
                        }
                        for place in gone
                    ],
                    schema=NEAR,
                )
            )
    return []


def write(settings: Images, shard: Shard) -> list[Counts]:
    """Read a file again, and write its kept and its dropped pairs."""
    started = time.perf_counter()
    file, looked, *near = shard.inputs
    account = Counts(settings.name)
    fallen = {
        row["row"]: row["detail"]
        for artifact in near
        for table in read_parquet(artifact)
        for row in table.filter(pc.equal(table["shard"], shard.name)).to_pylist()
    }
    source = settings.reader.source or storage.stem_of(file.path)
    with (
        shard.parquet(DOCUMENTS, SCHEMA) as output,
        shard.parquet(EXCLUDED, DROPPED) as excluded_output,
    ):
        for pairs in _batches(_measured(file, looked, settings)):
            kept, dropped = [], []
            for pair, found in pairs:
                row = {**document(pair, file.path, source), **{key: found[key] for key in SHOWN}}
                reason, detail = found["reason"], found["detail"]
                if pair.row in fallen:
                    reason, detail = NEAR_REASON, fallen[pair.row]
                if reason is None:
                    kept.append(row)
                else:
                    gone = {"stage": settings.name, "reason": reason, "detail": detail}
                    dropped.append({**row, **gone})
            output.write(pa.Table.from_pylist(kept, schema=SCHEMA))
            excluded_output.write(pa.Table.from_pylist(dropped, schema=DROPPED))
            count_reasons(account, [row["reason"] for row in dropped])
            shard.count_rows(file, len(pairs))
    output.count_kept(account)
    account.rows_in = shard.rows_read
    account.seconds = time.perf_counter() - started
    return [account]


def document(pair: Pair, path: str, source: str) -> dict[str, Any]:
    """The pair as a row of documents. An excluded one keeps its image, if it could be read."""
    return {
        "id": actual_id(source, path, pair.row),
        "text": pair.text,
        "url": pair.url,
        "source": source,
        "kind": "actual",
        "origin": {"file": path, "row": pair.row},
        "image": pair.image,
        "licence": pair.licence,
    }


def _measured(
    file: Artifact, looked: Artifact, settings: Images
) -> Iterator[tuple[Pair, dict[str, Any]]]:
    """The pairs of a file, each with its row of `LOOKED`.

    Raises InputError if they are not the pairs that were looked at.
    """
    rows = (
        row
        for table in read_parquet(looked)
        for batch in table.to_batches(LOOKED_ROWS)
        for row in batch.to_pylist()
    )
    for pair, found in itertools.zip_longest(read_pairs(file, settings.reader), rows):
        if pair is None or found is None:
            raise _changed(file, "has another number of pairs")
        if (pair.row, digest_of(pair)) != (found["row"], found["digest"]):
            raise _changed(file, f"has another image in row {pair.row}")
        yield pair, found


def _changed(file: Artifact, what: str) -> InputError:
    return InputError(
        f"{file.path} {what} than before: it changed during the run", "run again with --replace"
    )


def _batches(
    pairs: Iterator[tuple[Pair, dict[str, Any]]],
) -> Iterator[list[tuple[Pair, dict[str, Any]]]]:
    waiting = []
    size = 0
    for pair, found in pairs:
        waiting.append((pair, found))
        size += len(pair.image or b"")
        if len(waiting) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield waiting
            waiting, size = [], 0
    if waiting:
        yield waiting
