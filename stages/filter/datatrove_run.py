"""datatrove blocks run on the documents of a table, one document after the other."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from corpusmill.stages.filter import datatrove_block, record
from corpusmill.stages.filter.measuring import Measurement


def run_blocks(
    blocks: Sequence[datatrove_block.Block],
    table: pa.Table,
    found: Measurement,
    drops: dict[int, tuple[str, str]],
) -> tuple[pa.ChunkedArray, pa.ChunkedArray] | None:
    """Run the blocks on the rows that are not in `drops`, and add the rows that they drop.

    found: the texts and cuts so far. Returns the texts and cuts of all rows, or None if no block
    edits a text.
    """
    texts: list[str | None] = found.texts.to_pylist()
    cuts: dict[int, list[Any]] = {}
    others = table.drop_columns("text")
    for row in range(table.num_rows):
        if row in drops:
            continue
        document = others.slice(row, 1).to_pylist()[0]
        for block in blocks:
            before = texts[row] or ""
            verdict = datatrove_block.judge(block, {**document, "text": texts[row]})
            if verdict.reason:
                drops[row] = verdict.reason, verdict.detail
                break
            if verdict.text != before:
                pieces = cuts.setdefault(row, found.cuts[row].as_py() or [])
                pieces += record.replaced(before, verdict.text, record.steps(pieces))
                texts[row] = verdict.text
    if not cuts:
        return None
    all_cuts = found.cuts.to_pylist()
    for row, pieces in cuts.items():
        all_cuts[row] = pieces
    return (
        pa.chunked_array([pa.array(texts, table.schema.field("text").type)]),
        pa.chunked_array([pa.array(all_cuts, record.CUTS.type)]),
    )
