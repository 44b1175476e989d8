"""The columns that the filter stage adds to a table: statistics, failed rules, edits."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.stages.columns.cuts import with_cuts
from corpusmill.stages.columns.table import with_column
from corpusmill.stages.filter import record
from corpusmill.stages.filter.measuring import Measurement
from corpusmill.stages.filter.rules import Rule
from corpusmill.stages.filter.statistics import STATISTICS, Measured
from numpy.typing import NDArray

FAILED_RULES = pa.field("failed_rules", pa.list_(pa.string()))


def with_measures(table: pa.Table, measured: Measured, failed: pa.Array) -> pa.Table:
    """The table with the columns of its statistics and verdicts, and room for those of the
    edits.
    """
    for statistic in STATISTICS:
        table = with_column(table, statistic.field, pa.array(measured[statistic.name]))
    table = with_column(table, FAILED_RULES, failed)
    for column in (record.CUTS, record.REMOVED_BYTES):
        if column.name not in table.column_names:
            table = table.append_column(column, pa.nulls(table.num_rows, column.type))
    return table


def with_edits(table: pa.Table, found: Measurement) -> pa.Table:
    """The table with the edited texts, and the record of the edits, behind that of an earlier
    `filter`.
    """
    cuts = found.cuts
    if (
        record.CUTS.name in table.column_names
        and pc.any(pc.is_valid(table[record.CUTS.name])).as_py()
    ):
        earlier, now = table[record.CUTS.name].to_pylist(), cuts.to_pylist()
        both = [
            [*(first or ()), *record.later(pieces, record.steps(first))] or None
            for first, pieces in zip(earlier, now, strict=True)
        ]
        cuts = pa.chunked_array([pa.array(both, record.CUTS.type)])
    return with_cuts(table, (record.CUTS, record.REMOVED_BYTES), cuts, found.texts)


def failed_rules(verdicts: NDArray[np.bool_], rules: Sequence[Rule]) -> pa.Array:
    """The codes of the rules that each document fails; null where it fails none."""
    rows, indices = np.nonzero(verdicts.T)
    counts = np.bincount(rows, minlength=verdicts.shape[1])
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    codes = pa.array([rule.code for rule in rules], pa.string()).take(pa.array(indices))
    return pa.ListArray.from_arrays(pa.array(offsets), codes, mask=pa.array(counts == 0))
