"""The settings of substring, and the columns that it adds."""

from typing import ClassVar, Literal

import pyarrow as pa
from corpusmill.manifests.config import config
from corpusmill.manifests.errors import RecipeError

PIECE = pa.struct(
    [
        ("start", pa.int32()),  # bytes of UTF-8 into the text before the cut
        ("length", pa.int32()),  # bytes
        (
            "keeper",
            pa.string(),
        ),  # id of the document that has the same bytes before; null for what was bridged
        ("keeper_start", pa.int32()),  # bytes into the keeper's text before its own cuts
        ("text", pa.string()),  # what was bridged: it stands nowhere else
    ]
)
CUTS = pa.field("substring_cuts", pa.list_(PIECE))  # in order; null where nothing was cut
REMOVED_BYTES = pa.field("substring_removed_bytes", pa.int32())
SUBSTRING_COLUMNS = (CUTS, REMOVED_BYTES)

MOST_PART_BYTES = (
    1 << 30
)  # a part's largest allowed target, so that real parts stay within 32-bit positions


@config
class SubstringSettings:
    """Settings of the substring stage.

    A part's documents are read one after the other. A span is cut if it lies in windows of `min_bytes` bytes that were read before, in
    documents that stay, and if trimmed to whole lines it still has `min_bytes` bytes.

    min_bytes: bytes of UTF-8 in a window (Lee et al. and Nemotron-CC: 50 tokens, kept as 100 bytes, some 200 bytes of text; Dolma 3: 500).
    min_words: a trimmed span of fewer words stays. A word stands between white space, or is a character of a script without spaces.
    own_repeats: what a document says twice by itself counts as well (as in Lee et al.).
    bridge_bytes: a gap of at most so many bytes between two spans is cut with them.
    boundary: what spans are trimmed to: whole lines, paragraphs (between empty lines), words or characters.
    keeper: which document is read first, and so keeps what it shares with others: the longest, the first (smallest id), the newest
    (largest `date`, compared as text; undated ones last) or the one of best `quality` (unscored ones last). Ties go to the smallest id.
    min_text_chars: a document with less text left is dropped. max_removed_share: one that loses a larger share of its bytes is too.
    parts_by: what decides a document's part: the host of its URL (its id where there is none) or its id alone.
    part_bytes: text in a part, about; a worker needs some 12 bytes for each.
    """

    name: ClassVar[str] = "substring"

    min_bytes: int = 100
    min_words: int = 0
    own_repeats: bool = False
    bridge_bytes: int = 0
    boundary: Literal["line", "paragraph", "word", "character"] = "line"
    keeper: Literal["longest", "first", "newest", "best_quality"] = "longest"
    min_text_chars: int = 200
    max_removed_share: float = 0.8
    parts_by: Literal["host", "id"] = "host"
    part_bytes: int = 96 << 20

    def __post_init__(self) -> None:
        for key, least in (
            ("min_bytes", 1),
            ("bridge_bytes", 0),
            ("min_words", 0),
            ("min_text_chars", 0),
        ):
            value = getattr(self, key)
            if value < least:
                raise RecipeError(
                    f"substring.{key} is {value}", f"give a whole number of at least {least}"
                )
        if not 0 < self.max_removed_share <= 1:
            raise RecipeError(
                f"substring.max_removed_share is {self.max_removed_share}",
                "give a number above 0, at most 1",
            )
        if not 1 <= self.part_bytes <= MOST_PART_BYTES:
            raise RecipeError(
                f"substring.part_bytes is {self.part_bytes}",
                f"give a whole number from 1 to {MOST_PART_BYTES}",
            )
