"""Cut spans out of texts, with a record from which they can be put back."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.stages.columns.table import with_column
from corpusmill.stages.filter import record

CUTS = pa.field("decontaminate_cuts", record.CUTS.type)
REMOVED_BYTES = pa.field("decontaminate_removed_bytes", pa.int32())

Spans = list[tuple[int, int]]  # begin and end in bytes


def joined(spans: Spans) -> Spans:
    """The spans in order; those that overlap or touch become one."""
    found: Spans = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((begin, end))
    return found


def masked(table: pa.Table, spans: Mapping[int, Spans]) -> pa.Table:
    """The table with these spans cut out of its texts. spans: row -> spans that are `joined`.

    The number of tokens of a text that was cut becomes null. If an earlier run of the stage has cut
    a text, its record goes on with the next step.
    """
    earlier = CUTS.name in table.column_names
    cuts = table[CUTS.name].to_pylist() if earlier else [None] * table.num_rows
    removed = [0] * table.num_rows
    texts = table["text"].to_pylist() if spans else []
    for row, places in spans.items():
        text = texts[row].encode()
        pieces = cuts[row] or []
        step = record.steps(pieces)
        kept, at = b"", 0
        for begin, end in places:
            piece = {"step": step, "start": begin, "text": text[begin:end].decode(), "instead": 0}
            pieces = [*pieces, piece]
            kept, at = kept + text[at:begin], end
            removed[row] += end - begin
        texts[row], cuts[row] = (kept + text[at:]).decode(), pieces
    table = with_column(table, CUTS, pa.array(cuts, CUTS.type))
    table = with_column(table, REMOVED_BYTES, pa.array(removed, REMOVED_BYTES.type))
    if not spans:
        return table
    table = with_column(table, table.schema.field("text"), pa.array(texts, pa.string()))
    if "n_tokens" in table.column_names:
        was_cut = pa.array([row in spans for row in range(table.num_rows)])
        counts = pc.if_else(was_cut, None, table["n_tokens"])
        table = with_column(table, table.schema.field("n_tokens"), counts)
    return table
