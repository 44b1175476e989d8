"""Documents with their quality, sorted into the files of their levels: pass `classify`."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.classifiers.buckets import bucket_of, combined, level_of
from corpusmill.classifiers.scorer import readable_texts
from corpusmill.classifiers.thresholds import read_thresholds
from corpusmill.manifests.parquet_files import schema_of
from corpusmill.manifests.parquet_output import ParquetOutput
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import EXCLUSION, LEVELS, conform, excluded, extended
from corpusmill.manifests.shard import Shard
from corpusmill.stages.columns.table import with_column
from corpusmill.stages.contract import DOCUMENTS, EXCLUDED
from corpusmill.stages.readers.documents import count_reasons

if TYPE_CHECKING:
    from corpusmill.stages.classify.stage import Classify

_ROW_GROUP_BYTES = 16 << 20  # small, because five files are open at a time
KINDS = ("actual", "synthetic")


def assign(config: "Classify", shard: Shard) -> list[Counts]:
    """Write every document with its scores, buckets, quality and level into its level's file."""
    documents, scores, thresholds = shard.inputs
    edges = {name: item.edges for name, item in read_thresholds(thresholds.path).items()}
    schema = extended(*config.adds(), of=extended(*schema_of(documents)))
    scored = pa.concat_tables([schema_of(scores).empty_table(), *shard.read(scores)])
    account = Counts(config.name)
    with (
        shard.parquet(EXCLUDED, extended(*EXCLUSION, of=schema)) as excluded_output,
        ExitStack() as stack,
    ):
        outputs = _open_levels(shard, schema, stack, KINDS[0])
        for group in shard.read(documents):
            group = conform(group, schema)
            here = scored.slice(account.rows_in, group.num_rows)
            assert here["id"].equals(group["id"]), "scores belong to the documents in their order"
            account.rows_in = shard.rows_read
            kept, dropped = _split(config, group, here)
            excluded_output.write(dropped)
            count_reasons(account, dropped["reason"].to_pylist())
            kept = _with_quality(config, kept, edges)
            synthetic = pc.fill_null(pc.equal(kept["kind"], KINDS[1]), False)
            for kind, rows in (
                (KINDS[0], kept.filter(pc.invert(synthetic))),
                (KINDS[1], kept.filter(synthetic)),
            ):
                if rows.num_rows and (kind, LEVELS[0]) not in outputs:
                    outputs |= _open_levels(shard, schema, stack, kind)
                for level in LEVELS if rows.num_rows else ():
                    outputs[kind, level].write(rows.filter(pc.equal(rows["level"], level)))
            shard.report(account.rows_in, documents.rows or None)
    account.kept = sum(output.rows for output in outputs.values())
    account.text_bytes = sum(output.text_bytes for output in outputs.values())
    account.tokens = sum(output.tokens for output in outputs.values())
    return [account]


def _open_levels(
    shard: Shard, schema: pa.Schema, stack: ExitStack, kind: str
) -> dict[tuple[str, str], ParquetOutput]:
    return {
        (kind, level): stack.enter_context(
            shard.parquet(
                f"{DOCUMENTS}/level={level}/kind={kind}",
                schema,
                row_group_bytes=_ROW_GROUP_BYTES,
            )
        )
        for level in LEVELS
    }


def _split(config: "Classify", table: pa.Table, scored: pa.Table) -> tuple[pa.Table, pa.Table]:
    """(documents with all their scores, documents without, as excluded rows)."""
    for name in config.scorers:
        table = _with(table, f"score_{name}", scored[name])
    failed = pa.array(
        np.any([scored[name].is_null().to_numpy() for name in config.scorers], axis=0)
    )
    dropped = table.filter(failed)
    reasons, details = [], []
    for row, text in enumerate(readable_texts(dropped["text"])):
        failing = next(
            name for name in config.scorers if not dropped[f"score_{name}"][row].is_valid
        )
        if text is None:
            reasons.append("error_classify.no_text")
            details.append("the text is missing or is not UTF-8")
        else:
            reasons.append(f"error_classify.{failing}")
            details.append(f"the scorer {failing} has no score for this text")
    return table.filter(pc.invert(failed)), excluded(dropped, config.name, reasons, details)


def _with_quality(
    config: "Classify", table: pa.Table, edges: Mapping[str, tuple[float | None, ...]]
) -> pa.Table:
    found: list[npt.NDArray[np.uint8]] = []
    for name in config.scorers:
        found.append(bucket_of(table[f"score_{name}"].to_numpy(), edges[name]))
        table = _with(table, f"bucket_{name}", pa.array(found[-1]))
    quality = combined(np.stack(found), config.combine)
    levels = pa.array(LEVELS).take(pa.array(level_of(quality, config.borders)))
    return _with(_with(table, "quality", pa.array(quality)), "level", levels)


def _with(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    return with_column(table, table.schema.field(name), values)
