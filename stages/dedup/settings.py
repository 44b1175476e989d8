"""The settings of dedup, and the columns that it adds."""

import re
from typing import TYPE_CHECKING, ClassVar, Literal

import pyarrow as pa
from corpusmill.manifests.config import config
from corpusmill.manifests.errors import RecipeError

if TYPE_CHECKING:
    from corpusmill.stages.dedup.signatures.minhash import Scheme

CLUSTER_COLUMNS = (
    pa.field(
        "cluster_id", pa.string()
    ),  # id of the document that stands for the cluster; a kept row's own id
    pa.field(
        "cluster_size", pa.int32()
    ),  # the survivor and what was removed for it; 1 for one without duplicates
    pa.field(
        "cluster_similarity", pa.float32()
    ),  # with the document that stands for the cluster; 1 for itself
)
TEMPLATE = (
    r"(?i)^\s*(here (is|are)|questions and answers|the following)\b[^\n]{0,120}:",  # a lead-in
    r"(?im)^\s*(question|answer|q|a)\s*\d*\s*[:.)]",  # tags
)


@config
class DedupSettings:
    """Settings of the dedup stage.

    exact: find documents that are equal but for white space. fuzzy: find near duplicates.
    ngram: words in a shingle (FineWeb: 5).
    preset: the banding: fineweb (14 x 8, candidates from about 0.72 similarity), nemotron_cc (20 x 13, about 0.79) or dolma (26 x 11,
    about 0.74). bands, rows: instead of the preset's.
    threshold: choose bands and rows for this similarity instead, as datasketch does, out of `hashes` values. hashes: of a signature, only
    with `threshold`. miss_weight: of missed pairs against needless candidates, in [0, 1].
    scheme: of the signatures: one_permutation (fast) or classic (datasketch's, bit for bit). seed: of the permutations.
    verify_threshold: least Jaccard similarity of the shingle sets of a removed document and its survivor (Dolma 3: 0.8).
    survivor: which document of a cluster stays: the longest, the first (smallest id), the newest (largest `date`, compared as text;
    undated ones last) or the one of best `quality` (unscored ones last). Ties go to the smallest id.
    template: regular expressions; what matches them in a synthetic row is not compared (tags and lead-ins of the prompt). Synthetic rows
    are compared only with others of the same parent.
    signatures: leave the signatures of what is kept below `signatures/`, for later runs. against: folders of earlier runs with
    `signatures`: their documents count as there already, and always win.
    partitions: of keys and of clusters; by default one for each GiB of text or million documents, and for less text up to four of at
    least 48 MiB, for as many workers. More of them need less memory each.
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
    threshold: float | None = None
    hashes: int = 128
    miss_weight: float = 0.5
    scheme: Literal["one_permutation", "classic"] = "one_permutation"
    seed: int = 1
    verify_threshold: float = 0.8
    survivor: Literal["longest", "first", "newest", "best_quality"] = "longest"
    template: tuple[str, ...] = TEMPLATE
    signatures: bool = False
    against: tuple[str, ...] = ()
    partitions: int | None = None
    max_comparisons: int = 64

    def __post_init__(self) -> None:
        for key in ("ngram", "bands", "rows", "hashes", "partitions", "max_comparisons"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise RecipeError(f"dedup.{key} is {value}", "give a whole number of at least 1")
        for key in ("threshold", "verify_threshold"):
            value = getattr(self, key)
            if value is not None and not 0 < value <= 1:
                raise RecipeError(f"dedup.{key} is {value}", "give a number above 0, at most 1")
        if not 0 <= self.miss_weight <= 1:
            raise RecipeError(
                f"dedup.miss_weight is {self.miss_weight}", "give a number from 0 to 1"
            )
        if not 0 <= self.seed < 2**64:
            raise RecipeError(
                f"dedup.seed is {self.seed}", "give a whole number from 0 to 2**64 - 1"
            )
        for pattern in self.template:
            try:
                re.compile(pattern)
            except re.error as error:
                raise RecipeError(
                    f"dedup.template holds {pattern!r}, which is no regular expression ({error})",
                    "mend it",
                ) from error
        if self.threshold is not None and (self.bands or self.rows):
            raise RecipeError(
                "dedup has both a threshold and bands or rows", "leave one of them out"
            )
        if not (self.exact or self.fuzzy):
            raise RecipeError(
                "dedup has neither exact nor fuzzy", "switch one of them on, or leave the stage out"
            )

    @property
    def banding(self) -> tuple[int, int]:
        """(bands, rows a band)."""
        from corpusmill.stages.dedup.banding import PRESETS, best_banding

        if self.threshold is not None:
            return best_banding(self.threshold, self.hashes, self.miss_weight)
        bands, rows = PRESETS[self.preset]
        return self.bands or bands, self.rows or rows

    def make_scheme(self) -> "Scheme":
        """How texts are signed."""
        from corpusmill.stages.dedup.signatures.minhash import make_scheme

        return make_scheme(*self.banding, self.seed, self.scheme == "one_permutation")
