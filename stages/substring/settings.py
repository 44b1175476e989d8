"""The settings of substring, and the columns that it adds."""

from typing import ClassVar, Literal

import pyarrow as pa
from corpusmill.manifests.settings import PositiveShare, Settings
from corpusmill.stages.columns.cuts import cuts_field
from pydantic import Field, NonNegativeInt, PositiveInt

CUTS = cuts_field(
    "substring_cuts",
    pa.field("start", pa.int32()),
    pa.field("length", pa.int32()),
    # Id of the document that has the same bytes before; null if the piece was bridged.
    pa.field("keeper", pa.string()),
    pa.field("keeper_start", pa.int32()),
    pa.field("text", pa.string()),  # of a bridged piece, which stands nowhere else
)
REMOVED_BYTES = pa.field("substring_removed_bytes", pa.int32())
SUBSTRING_COLUMNS = (CUTS, REMOVED_BYTES)

# A part's largest allowed target, so that real parts stay within 32-bit positions.
MOST_PART_BYTES = 1 << 30


class SubstringSettings(Settings):
    """Settings of the substring stage.

    A part's documents are read one after the other. A span is cut if it lies in windows of
    `min_bytes` bytes that were read before, in documents that stay, and if it still has
    `min_bytes` bytes when trimmed to whole lines.
    """

    name: ClassVar[str] = "substring"

    min_bytes: PositiveInt = 100
    """Bytes of UTF-8 in a window.

    Lee et al. and Nemotron-CC: 50 tokens, which are 100 bytes of their token files and some 200
    bytes of text. Dolma 3: 500.
    """
    min_words: NonNegativeInt = 0
    """A trimmed span of fewer words stays.

    A word stands between white space, or is a character of a script without spaces.
    """
    own_repeats: bool = False
    """Also cut what one document says twice (as in Lee et al.)."""
    bridge_bytes: NonNegativeInt = 0
    """If at most so many bytes lie between two spans, they are cut too."""
    boundary: Literal["line", "paragraph", "word", "character"] = "line"
    """What spans are trimmed to. Paragraphs stand between empty lines."""
    keeper: Literal["longest", "first", "newest", "best_quality"] = "longest"
    """Which document is read first, and so keeps what it shares. Ties go to the smallest id.

    first: the smallest id. newest: the largest `date`, compared as text; undated ones come last.
    best_quality: the best `quality`; unscored ones come last.
    """
    min_text_chars: NonNegativeInt = 200
    """A document with fewer characters left is dropped."""
    max_removed_share: PositiveShare = 0.8
    """A document that loses a larger share of its bytes is dropped."""
    parts_by: Literal["host", "id"] = "host"
    """What decides a document's part: the host of its URL (its id where it has none), or its id."""
    part_bytes: int = Field(default=96 << 20, ge=1, le=MOST_PART_BYTES)
    """Bytes of text in a part, about. A worker needs some 12 bytes of memory for each."""
