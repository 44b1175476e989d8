"""The settings of dedup, and the columns that it adds."""

import re
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import pyarrow as pa
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.settings import PositiveShare, Settings, Share
from corpusmill.stages.dedup.signatures.normalization import Normalization
from pydantic import Field, PositiveInt, model_validator

if TYPE_CHECKING:
    from corpusmill.stages.dedup.signatures.minhash import Scheme

CLUSTER_COLUMNS = (
    # Id of the document that stands for the cluster. A kept row has its own id here.
    pa.field("cluster_id", pa.string()),
    # The number of documents in the cluster: the survivor and all removed for it. 1 if there are no
    # duplicates.
    pa.field("cluster_size", pa.int32()),
    # Similarity with the document that stands for the cluster. 1 for that document itself.
    pa.field("cluster_similarity", pa.float32()),
)
TEMPLATE = (
    r"(?i)^\s*(here (is|are)|questions and answers|the following)\b[^\n]{0,120}:",  # a lead-in
    r"(?im)^\s*(question|answer|q|a)\s*\d*\s*[:.)]",  # tags
)


class DedupSettings(Settings):
    """Settings of the dedup stage."""

    name: ClassVar[str] = "dedup"

    exact: bool = True
    """Find documents that are equal but for white space."""
    fuzzy: bool = True
    """Find near duplicates."""
    normalization: Normalization = "meaning"
    """What of a text is compared. All rules lower-case letters and drop ordinary punctuation.

    meaning: numbers keep their decimal points, and signs, operators, currencies, symbols and
    brackets count. Texts of fewer than 200 words that differ in these alone both stay.
    words: letters and digits alone. datatrove: as FineWeb's code does; each number becomes 0.
    """
    ngram: PositiveInt = 5
    """Words in a shingle (FineWeb: 5)."""
    preset: Literal["fineweb", "nemotron_cc", "dolma"] = "fineweb"
    """Bands x rows of the signatures, and the similarity from which pairs become candidates.

    fineweb: 14 x 8, about 0.72. nemotron_cc: 20 x 13, about 0.79. dolma: 26 x 11, about 0.74.
    """
    bands: PositiveInt | None = None
    """Bands of a signature. Null: the preset's."""
    rows: PositiveInt | None = None
    """Rows of a band. Null: the preset's."""
    threshold: PositiveShare | None = None
    """Choose bands and rows for this similarity out of `hashes` values, as datasketch does."""
    hashes: PositiveInt = 128
    """Values of a signature. Only with `threshold`."""
    miss_weight: Share = 0.5
    """Weight of missed pairs against needless candidates. Only with `threshold`."""
    scheme: Literal["one_permutation", "classic"] = "one_permutation"
    """How texts are signed. one_permutation is fast; classic equals datasketch bit for bit."""
    seed: int = Field(default=1, ge=0, le=2**64 - 1)
    """Seed of the permutations."""
    verify_threshold: PositiveShare = 0.8
    """Least Jaccard similarity of the shingles of a removed document and its survivor (Dolma 3)."""
    shared_parts: Literal["compare", "ignore"] = "compare"
    """What is compared if two texts share a long beginning or end, such as a prompt or a licence.

    compare: the whole texts. A warning names documents that were removed for what they share
    (`dedup.shared_part`). ignore: the texts without it. If these are unlike, both documents stay.
    """
    survivor: Literal["longest", "first", "newest", "best_quality"] = "longest"
    """Which document of a cluster stays. Ties go to the smallest id.

    first: the smallest id. newest: the largest `date`, compared as text; undated ones come last.
    best_quality: the best `quality`; unscored ones come last.
    """
    template: tuple[str, ...] = TEMPLATE
    """Regular expressions. What matches them in a synthetic row is not compared.

    They are for tags and lead-ins that the prompt asks for. Synthetic rows are compared only with
    others of the same parent.
    """
    signatures: bool = False
    """Leave the signatures of kept documents below `signatures/`, for later runs."""
    against: tuple[str, ...] = ()
    """Folders of earlier runs with `signatures`. Their documents always stay."""
    partitions: PositiveInt | None = None
    """Partitions of keys and of clusters. More of them need less memory each.

    Null: one for each GiB of text or million documents; for less text, up to four of at least
    48 MiB.
    """
    max_comparisons: PositiveInt = 64
    """Most similarity checks for one document. It stays if none of them finds a survivor.

    So the work on a cluster grows with its size and not with the square of its size.
    """

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for pattern in self.template:
            try:
                re.compile(pattern)
            except re.error as error:
                raise RecipeError(
                    f"template holds {pattern!r}, which is no regular expression ({error})",
                    "mend it",
                ) from error
        if self.threshold is not None and (self.bands or self.rows):
            raise RecipeError(
                "dedup has both a threshold and bands or rows", "leave one of them out"
            )
        if self.shared_parts == "ignore" and self.fuzzy and self.against:
            raise RecipeError(
                "dedup has shared_parts: ignore and against, but earlier signatures hold no text "
                "whose parts could be left out",
                "leave one of them out, or set dedup.fuzzy=false",
            )
        if not (self.exact or self.fuzzy):
            raise RecipeError(
                "dedup has neither exact nor fuzzy", "switch one of them on, or leave the stage out"
            )
        return self

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
