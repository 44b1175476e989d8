"""Cut spans out of texts, with a record from which they can be put back."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from corpusmill.stages.columns.cuts import cuts_field, with_cuts

CUTS = cuts_field(
    "decontaminate_cuts",
    pa.field("step", pa.int32(), nullable=False),
    pa.field("start", pa.int32(), nullable=False),
    pa.field("text", pa.string(), nullable=False),
)
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

    If an earlier run of the stage has cut a text, its record goes on with the next step.
    """
    earlier = CUTS.name in table.column_names
    cuts: list[list[dict[str, Any]] | None] = (
        table[CUTS.name].to_pylist() if earlier else [None] * table.num_rows
    )
    now = [table["text"][row].as_py() if pieces else None for row, pieces in enumerate(cuts)]
    for row, places in spans.items():
        text = table["text"][row].as_py().encode()
        pieces = cuts[row] or []
        step = pieces[-1]["step"] + 1 if pieces else 0
        kept, at = b"", 0
        for begin, end in places:
            piece = {"step": step, "start": begin, "text": text[begin:end].decode()}
            pieces = [*pieces, piece]
            kept, at = kept + text[at:begin], end
        now[row], cuts[row] = (kept + text[at:]).decode(), pieces
    edited = pa.array(now, pa.string())
    return with_cuts(table, (CUTS, REMOVED_BYTES), pa.array(cuts, CUTS.type), edited)
