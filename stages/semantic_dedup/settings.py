"""The settings of semantic dedup."""

from typing import ClassVar, Literal

from corpusmill.classifiers.encoder import EncoderSettings
from corpusmill.manifests.settings import PositiveShare, Settings
from pydantic import PositiveInt


class SemanticDedupSettings(Settings):
    """Settings of the semantic-dedup stage."""

    name: ClassVar[str] = "semantic_dedup"

    embedding: EncoderSettings
    """The sentence encoder whose vectors are compared."""
    similarity: PositiveShare = 0.95
    """A document is removed if its cosine with one that stays is at least this.

    It depends on the encoder: read some removed documents before you trust a value.
    """
    survivor: Literal["longest", "best_quality", "first"] = "longest"
    """Which document stays. Ties go to the smallest id.

    best_quality: the best `quality`; unscored ones come last. first: the smallest id.
    """
    clusters: PositiveInt | None = None
    """Clusters of the vectors. Only documents of one cluster are compared.

    Null: one for each 1,000 documents.
    """
    sample: PositiveInt = 256
    """The centres are found from so many documents for each cluster."""
    rounds: PositiveInt = 20
    """Rounds of k-means."""
    partitions: PositiveInt | None = None
    """Partitions of the clusters. Null: one for each 256 MiB of vectors."""
