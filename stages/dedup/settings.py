"""The settings of dedup, and the columns that it adds."""

from typing import ClassVar, Literal

import pyarrow as pa

from manifests.config import config
from manifests.errors import RecipeError

BANDINGS = {"fineweb": (14, 8), "nemotron_cc": (20, 13), "dolma": (26, 11)}
CLUSTER_COLUMNS = (
    pa.field("cluster_id", pa.string()),  # id of the document that stands for the cluster; a kept row's own id
    pa.field(
        "cluster_size", pa.int32()
    ),  # the survivor and what was removed for it; 1 for a document without duplicates
)


@config
class DedupSettings:
    """Settings of the dedup stage.

    exact: find documents that are equal but for white space. fuzzy: find near duplicates.
    ngram: words in a shingle (FineWeb: 5).
    preset: the banding: fineweb (14 x 8, candidates from about 0.72 similarity), nemotron_cc (20 x 13, about 0.79) or dolma (26 x 11,
    about 0.74). bands, rows: instead of the preset's. seed: of the permutations.
    verify_threshold: least Jaccard similarity of the shingle sets of a removed document and its survivor (Dolma 3: 0.8).
    survivor: which document of a cluster stays: the longest, the first (smallest id), the newest (largest `date`, compared as text;
    undated ones last) or the one of best `quality` (unscored ones last). Ties go to the smallest id.
    partitions: of keys and of clusters; by default one for each GiB of text. More partitions need less memory each.
    max_comparisons: most similarity checks spent on one document, so that the work on a cluster of any size grows with its size and
    not with its square. A document that finds no survivor within them is kept.
    """

    name: ClassVar[str] = "dedup"

    exact: bool = True
    fuzzy: bool = True
    ngram: int = 5
    preset: Literal["fineweb", "nemotron_cc", "dolma"] = "fineweb"
    bands: int | None = None
    rows: int | None = None
    seed: int = 1
    verify_threshold: float = 0.8
    survivor: Literal["longest", "first", "newest", "best_quality"] = "longest"
    partitions: int | None = None
    max_comparisons: int = 64

    def __post_init__(self) -> None:
        for key in ("ngram", "bands", "rows", "partitions", "max_comparisons"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise RecipeError(f"dedup.{key} is {value}", "give a whole number of at least 1")
        if not 0 < self.verify_threshold <= 1:
            raise RecipeError(f"dedup.verify_threshold is {self.verify_threshold}", "give a number above 0, at most 1")
        if not 0 <= self.seed < 2**64:
            raise RecipeError(f"dedup.seed is {self.seed}", "give a whole number from 0 to 2**64 - 1")
        if not (self.exact or self.fuzzy):
            raise RecipeError("dedup has neither exact nor fuzzy", "switch one of them on, or leave the stage out")

    @property
    def banding(self) -> tuple[int, int]:
        """(bands, rows a band)."""
        bands, rows = BANDINGS[self.preset]
        return self.bands or bands, self.rows or rows
