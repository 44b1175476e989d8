"""How synthetic rows are compared: without their template, and only with rows of their own
parent.

Rows of one prompt share wording that says nothing about their content: a lead-in, `Question:`
and `Answer:`. Compared whole, short rows about different documents look alike, and a corpus of
them collapses into a few clusters (marin#6851 lost nine tenths of a source that way). The
parent's hash is part of all keys of a synthetic row, so rows of two parents never become
candidates. A row without a parent stands for itself.
"""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests.parquet_files import may_hold, schema_of
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.dedup.settings import DedupSettings
from corpusmill.stages.dedup.signatures.normalization import without_numbers

if TYPE_CHECKING:
    import numpy.typing as npt

ACTUAL_COLUMNS = ("id", "text")
COLUMNS = (*ACTUAL_COLUMNS, "kind", "lineage")
SYNTHETIC = "synthetic"
_MIX = np.uint64(0x9E3779B97F4A7C15)


def columns_of(artifact: Artifact, *further: str) -> list[str]:
    """The columns that are needed to compare, and those of `further` that the shard has.

    Without synthetic rows, fewer columns are needed.
    """
    names = schema_of(artifact).names
    wanted = COLUMNS if may_hold(artifact, "kind", SYNTHETIC) else ACTUAL_COLUMNS
    return [name for name in (*wanted, *further) if name in names or name in ACTUAL_COLUMNS]


def synthetic_rows(table: pa.Table) -> pa.ChunkedArray | None:
    """Which rows are synthetic, or None if none is."""
    if "kind" not in table.column_names:
        return None
    found = pc.fill_null(pc.equal(table["kind"], SYNTHETIC), False)
    return found if pc.any(found).as_py() else None


def compared_texts(table: pa.Table, settings: DedupSettings) -> pa.ChunkedArray:
    """The texts without what the patterns of `template` match in synthetic rows, and normalized as
    far as the kernels do not do it. `table["text"]` itself if all texts are compared whole.
    """
    synthetic, texts = synthetic_rows(table), table["text"]
    if synthetic is not None:
        bare = texts
        for pattern in settings.template:
            bare = pc.replace_substring_regex(bare, pattern, " ")
        texts = pc.if_else(synthetic, bare, texts)
    return without_numbers(texts, settings.normalization)


def parent_hashes(table: pa.Table) -> "npt.NDArray[np.uint64]":
    """A number for each row's parent, to be mixed into its keys: zero for actual documents."""
    from corpusmill.stages.columns.strings import joined
    from corpusmill.stages.dedup.signatures.shingles import exact_hashes

    synthetic = synthetic_rows(table)
    if synthetic is None:
        return np.zeros(table.num_rows, np.uint64)
    parent = table["id"]
    if "lineage" in table.column_names:
        parent = pc.coalesce(pc.struct_field(table["lineage"], "parent"), parent)
    hashes = exact_hashes(*joined(parent))[:, 0] * _MIX
    return np.where(synthetic.to_numpy(), hashes, np.uint64(0))
