"""The last pass: the lines of its sites' templates are removed from one shard, and recorded."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import EXCLUSION, excluded, extended
from corpusmill.manifests.shard import Shard, schema_of
from corpusmill.stages.columns.strings import joined, string_array
from corpusmill.stages.columns.table import with_column
from corpusmill.stages.contract import DOCUMENTS, EXCLUDED
from corpusmill.stages.readers.documents import count_reasons
from corpusmill.stages.shuffle.row_groups import home_of, read_range
from corpusmill.stages.templates.settings import (
    CUTS,
    REMOVED_BYTES,
    TEMPLATE_COLUMNS,
    TemplateSettings,
)
from corpusmill.stages.templates.sites import READ_ROWS, TEMPLATES, host_hashes, keys_of

NOTHING_LEFT = "templates.nothing_left"


def cut(settings: TemplateSettings, shard: Shard) -> list[Counts]:
    """Read one shard and the templates of its hosts. Write its kept rows, cut, and its excluded
    rows, whole.
    """
    started = time.perf_counter()
    document, *judged = shard.inputs
    home, name = home_of(shard.name), shard.name.split("-", 1)[1]
    templates = np.unique(
        read_range(shard, judged, "partition", home, home + 1, TEMPLATES)["key"].to_numpy()
    )
    schema = extended(*TEMPLATE_COLUMNS, of=schema_of(document))
    counts = Counts(settings.name)
    with (
        shard.parquet(DOCUMENTS, schema, name=name) as kept_output,
        shard.parquet(EXCLUDED, extended(*EXCLUSION, of=schema), name=name) as excluded_output,
    ):
        for group in shard.read(document):
            for start in range(0, group.num_rows, READ_ROWS):
                whole = group.slice(start, READ_ROWS)
                edited, gone = cut_rows(settings, whole, templates)
                kept_output.write(edited.filter(pc.invert(gone)))
                dropped = whole.filter(gone)
                for field in TEMPLATE_COLUMNS:
                    dropped = with_column(dropped, field, edited[field.name].filter(gone))
                reasons = [NOTHING_LEFT] * dropped.num_rows
                removed = dropped[REMOVED_BYTES.name].to_pylist()
                details = [f"template_bytes={size}" for size in removed]
                excluded_output.write(excluded(dropped, settings.name, reasons, details))
                count_reasons(counts, reasons)
            counts.rows_in = shard.rows_read
            shard.report(counts.rows_in)
    counts.kept, counts.text_bytes, counts.tokens = (
        kept_output.rows,
        kept_output.text_bytes,
        kept_output.tokens,
    )
    counts.seconds = time.perf_counter() - started
    return [counts]


def cut_rows(
    settings: TemplateSettings, table: pa.Table, templates: npt.NDArray[np.uint64]
) -> tuple[pa.Table, pa.Array]:
    """The rows without the lines of their sites' templates, and which of them have nothing left.

    templates: keys of host and line, sorted.
    """
    from corpusmill.stages.templates.lines import BLANK, PROTECTED, cut_spans, lines_of

    texts, hosts = joined(table["text"]), host_hashes(table["url"])
    data, places = texts
    lines = lines_of(texts)
    host = np.repeat(hosts, np.diff(lines.offsets))
    known = np.isin(keys_of(host, lines.hashes), templates)
    template = known & (host != 0) & ~np.isin(lines.kinds, (BLANK, PROTECTED))
    offsets, begins, ends = cut_spans(
        lines, places, template, settings.min_words, settings.headings
    )
    spans = np.diff(offsets)
    sums = np.concatenate([[0], np.cumsum(ends - begins)])
    removed = sums[offsets[1:]] - sums[offsets[:-1]]
    cuts, was_cut = _record(data, places, offsets, begins, ends), pa.array(spans > 0)
    table = with_column(table, CUTS, cuts)
    table = with_column(table, REMOVED_BYTES, pa.array(removed.astype(np.int32)))
    bounds = np.concatenate([[places[0]], np.stack([begins, ends], 1).reshape(-1), [places[-1]]])
    pieces = [
        data[begin:end].tobytes()
        for begin, end in zip(bounds[0::2].tolist(), bounds[1::2].tolist(), strict=True)
    ]
    new_places = places - places[0] - np.concatenate([[0], np.cumsum(removed)])
    edited = string_array(b"".join(pieces), new_places, pa.large_string())
    field = table.schema.field("text")
    text = pc.if_else(was_cut, edited.cast(field.type), table["text"])
    table = with_column(table, field, text)
    if "n_tokens" in table.column_names:
        n_tokens = pc.if_else(was_cut, None, table["n_tokens"])
        table = with_column(table, table.schema.field("n_tokens"), n_tokens)
    short = pc.less(pc.utf8_length(pc.utf8_trim_whitespace(edited)), settings.min_text_chars)
    return table, pc.and_(was_cut, short)


def restore(text: str, cuts: Sequence[Mapping[str, Any]] | None) -> str:
    """The original text of a kept row. cuts: its `template_cuts`."""
    whole, rest = bytearray(), memoryview(text.encode())
    for piece in cuts or ():
        kept = piece["start"] - len(whole)
        whole += rest[:kept]
        whole += piece["text"].encode()
        rest = rest[kept:]
    return (whole + rest).decode()


def _record(
    data: npt.NDArray[np.uint8],
    places: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    begins: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
) -> pa.Array:
    """The column `template_cuts`."""
    text = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    pieces = [
        data[begin:end].tobytes().decode()
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
    ]
    columns = [
        pa.array((begins - places[text]).astype(np.int32)),
        pa.array(pieces, pa.string()),
    ]
    values = pa.StructArray.from_arrays(columns, fields=list(CUTS.type.value_type))
    nothing = pa.array(np.diff(offsets) == 0)
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values, mask=nothing).cast(
        CUTS.type
    )
