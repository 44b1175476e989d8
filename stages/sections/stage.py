"""The sections stage: lists of references, and other sections by name, are cut out of papers.

A reference list is a tenth of a paper's words, and nothing that a model should write from memory.
All other sections stay, with their headings. A section called References stays too if it does not
read like a list of them: in a manual of C++ it is a chapter. What is cut is recorded in
`sections_cuts`, so it can be put back (`stages.columns.cuts.restore`).
"""

from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from corpusmill.manifests.schema import excluded
from corpusmill.stages.columns.cuts import cuts_field, with_cuts
from corpusmill.stages.columns.linked import refuse_linked
from corpusmill.stages.contract import MapStage, Outcome, Reads
from corpusmill.stages.sections.find import wanted_sections

CUTS = cuts_field(
    "sections_cuts",
    pa.field("start", pa.int32(), nullable=False),
    pa.field("text", pa.string(), nullable=False),
)
REMOVED_BYTES = pa.field("sections_removed_bytes", pa.int32())
REFERENCES = (
    *("references", "reference list", "list of references", "references and notes"),
    *("notes and references", "references cited", "cited references", "bibliography"),
    *("selected bibliography", "works cited", "literature cited", "literature", "thebibliography"),
    *("literatur", "literaturverzeichnis", "bibliographie", "références", "referencias"),
    *("bibliografía", "bibliografia", "referências", "riferimenti bibliografici"),
    *("список литературы", "литература", "参考文献", "참고문헌"),
)


class Sections(MapStage):
    """Cut lists of references, and other sections by name, out of papers."""

    name: ClassVar[str] = "sections"
    version: ClassVar[int] = 2
    reads: ClassVar[Reads] = Reads.DOCUMENTS

    references: tuple[str, ...] = REFERENCES
    """Headings of lists of references, in small letters. A section of such a name is cut if it
    reads like a list of references.
    """
    others: tuple[str, ...] = ()
    """Headings of other sections to cut, in small letters, such as acknowledgements."""

    def edits_texts(self) -> bool:
        return True

    def adds(self) -> tuple[pa.Field, ...]:
        return (CUTS, REMOVED_BYTES)

    def apply(self, table: pa.Table) -> Outcome:
        """The rows without these sections. One that held nothing else is excluded.

        Raises InputError if it would leave sections in the column `linked`.
        """
        refuse_linked(table, self.name)
        texts: list[str] = []
        cuts: list[list[dict[str, Any]] | None] = []
        for text in table["text"].to_pylist():
            kept, pieces = self.cut(text or "")
            texts.append(kept)
            cuts.append(pieces or None)
        empty = np.array(
            [bool(c) and not t.strip() for t, c in zip(texts, cuts, strict=True)], bool
        )
        edited = with_cuts(
            table,
            (CUTS, REMOVED_BYTES),
            pa.array(cuts, CUTS.type),
            pa.array(texts, pa.large_string()),
        )
        whole = table.filter(pa.array(empty))
        for field in (CUTS, REMOVED_BYTES):
            if field.name not in whole.column_names:
                whole = whole.append_column(field, pa.nulls(whole.num_rows, field.type))
        reasons, details = ["sections.empty"] * whole.num_rows, [None] * whole.num_rows
        return Outcome(
            edited.filter(pa.array(~empty)), excluded(whole, self.name, reasons, details)
        )

    def cut(self, text: str) -> tuple[str, list[dict[str, Any]]]:
        """The text without the sections, and the pieces that were cut."""
        kept, pieces, at = [], [], 0
        for section in wanted_sections(text, self.references, self.others):
            begin = section.begin
            if section.end == len(text):  # no blank lines at the end
                begin = at + len(text[at:begin].rstrip())
            kept.append(text[at:begin])
            start = len(text[:begin].encode())
            pieces.append({"start": start, "text": text[begin : section.end]})
            at = section.end
        return "".join([*kept, text[at:]]), pieces
