"""The redact stage: it takes personal data out of the text and leaves a tag of its kind.

Kinds: e-mail addresses, public IP addresses (v4 and v6), telephone numbers, payment cards, IBANs,
and national identity, tax and health numbers. `addresses`, `phone`, `numbers` and `national_ids`
have the rules. A kernel finds the few places where personal data
could stand (`stages.redact.candidates`), and Python looks only at these.

No document is dropped. The columns `pii_<kind>` count the personal data of the text before
redaction, and `redact_removed_bytes` its bytes. Nothing else of it is kept, so there is no undo. A
second run of the stage finds none, since tags are no personal data.
"""

import importlib.metadata
from collections.abc import Mapping
from typing import ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.schema import excluded
from corpusmill.stages.columns.linked import refuse_linked
from corpusmill.stages.columns.strings import string_array
from corpusmill.stages.columns.table import with_column
from corpusmill.stages.contract import MapStage, Outcome, Reads
from corpusmill.stages.redact.find import KINDS, Chunk, Kind, find, find_in_column
from corpusmill.stages.redact.national_kinds import NATIONAL_IDS, NationalIdName
from numpy.typing import NDArray
from pydantic import Field, model_validator

PREFIX = "pii_"
REMOVED_BYTES = pa.field("redact_removed_bytes", pa.int32())  # of personal data
TAGS: Mapping[Kind, str] = {kind: f"<{kind.upper()}>" for kind in KINDS}


class Redact(MapStage):
    """Replace personal data in texts by tags, and count it."""

    name: ClassVar[str] = "redact"
    version: ClassVar[int] = 5
    reads: ClassVar[Reads] = Reads.DOCUMENTS
    leaves_texts_if: ClassVar[str] = "set mode to count"

    kinds: tuple[Kind, ...] = Field(default=KINDS, min_length=1)
    """The kinds of personal data to look for. Each is named at most once."""
    mode: Literal["replace", "count"] = "replace"
    """`replace` puts tags into the text. `count` leaves the text as it is."""
    tags: Mapping[Kind, str] = {}
    """The tag for a kind. Kinds not named here keep <EMAIL>, <IP>, ..., <NATIONAL_ID>."""
    national_ids: tuple[NationalIdName, ...] = Field(default=tuple(NATIONAL_IDS), min_length=1)
    """The national numbers that `national_id` looks for."""

    @model_validator(mode="after")
    def _each_kind_once(self) -> Self:
        if len(set(self.kinds)) < len(self.kinds):
            raise RecipeError(f"kinds is [{', '.join(self.kinds)}]", "name each kind at most once")
        return self

    def edits_texts(self) -> bool:
        return self.mode == "replace"

    def adds(self) -> tuple[pa.Field, ...]:
        counts = tuple(pa.field(PREFIX + kind, pa.int32()) for kind in self.kinds)
        return (*counts, REMOVED_BYTES) if self.mode == "replace" else counts

    def depends_on(self) -> str:
        """The version of the telephone plans, if they are used. Raises RecipeError for a tag that
        is itself personal data.
        """
        for kind, tag in self.tags.items():
            if find(f"Call {tag} "):
                raise RecipeError(
                    f"the tag {tag!r} of {kind} would be taken for personal data",
                    "take another tag",
                )
        return (
            f"phonenumbers {importlib.metadata.version('phonenumbers')}"
            if "phone" in self.kinds
            else ""
        )

    def apply(self, table: pa.Table) -> Outcome:
        """Every row of `table`, counted and redacted. Needs the columns `id` and `text`. The column
        `language` helps to find telephone and national numbers.

        Raises InputError if it would leave personal data in the column `linked`.
        """
        if self.edits_texts():
            refuse_linked(table, self.name, self.leaves_texts_if)
        texts = table["text"]
        languages = table["language"].to_pylist() if "language" in table.column_names else None
        tags = {kind: tag.encode() for kind, tag in {**TAGS, **self.tags}.items()}
        counts = {kind: np.zeros(table.num_rows, np.int32) for kind in self.kinds}
        removed = np.zeros(table.num_rows, np.int32)
        parts: list[pa.Array] = []
        first = 0
        chunks = find_in_column(texts, self.kinds, languages, self.national_ids)
        for original, chunk in zip(texts.chunks, chunks, strict=True):
            for row, spans in chunk.spans.items():
                for span in spans:
                    counts[span.kind][first + row] += 1
                    removed[first + row] += span.end - span.begin
            parts.append(replaced(original, chunk, tags) if chunk.spans else original)
            first += len(original)
        if self.mode == "replace":
            table = with_column(
                table, table.schema.field("text"), pa.chunked_array(parts, type=texts.type)
            )
        for kind, values in counts.items():
            table = with_column(table, PREFIX + kind, pa.array(values))
        if self.mode == "replace":
            table = with_column(table, REMOVED_BYTES, pa.array(removed))
        return Outcome(table, excluded(table.slice(0, 0), self.name, [], []))


def replaced(original: pa.Array, chunk: Chunk, tags: Mapping[Kind, bytes]) -> pa.Array:
    """The texts of a chunk with each span replaced by its tag; nulls stay null."""
    data, offsets = chunk.data.data, chunk.offsets
    pieces: list[bytes | memoryview] = []
    growth: NDArray[np.int64] = np.zeros(offsets.size, np.int64)
    at = int(offsets[0])
    for row, spans in sorted(chunk.spans.items()):
        for span in spans:
            pieces += [data[at : span.begin], tags[span.kind]]
            at = span.end
            growth[row + 1] += len(tags[span.kind]) - (span.end - span.begin)
    pieces.append(data[at : int(offsets[-1])])
    places = offsets - offsets[0] + np.cumsum(growth)
    valid = original.is_valid() if original.null_count else None
    return string_array(b"".join(pieces), places, original.type, valid)
