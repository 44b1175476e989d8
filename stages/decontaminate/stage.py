"""The decontaminate stage: documents against evaluation sets.

Sets are JSON lines, JSON lists or Parquet files of the usual layouts (`layouts`). Their items are
found although case, punctuation or a few words differ (`scan`), and weighed by the information of
the words that match (`rarity`). The verdict tells a question with its answer from a question alone
and an answer alone (`judge`).

What was found stands in the column `contamination`: set, item, verdict, and the bytes where it
stands. A document that is removed goes to `excluded/` with the reason `decontaminate.<verdict>`.
With `action: mask`, the spans leave the text, and the column `decontaminate_cuts` records them.
`stages.columns.cuts.restore` puts them back.

Sources: the n-gram overlap of GPT-3 (Brown et al. 2020, arXiv:2005.14165, appendix C); scores of
question, answer and passage by the rarity of their n-grams, as in Ai2's `decon`, with which OLMo 3
was cleaned (github.com/allenai/decon).
"""

from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests import storage
from corpusmill.manifests.schema import excluded
from corpusmill.stages.columns.linked import refuse_linked
from corpusmill.stages.columns.table import with_column
from corpusmill.stages.contract import MapStage, Outcome, Reads
from corpusmill.stages.decontaminate.items import files_of
from corpusmill.stages.decontaminate.masking import CUTS, REMOVED_BYTES, Spans, joined, masked
from corpusmill.stages.decontaminate.settings import CONTAMINATION, DecontaminateSettings

if TYPE_CHECKING:
    from corpusmill.stages.decontaminate.judge import Hit


class Decontaminate(DecontaminateSettings, MapStage):
    """Find evaluation items in documents, and take them out."""

    name: ClassVar[str] = "decontaminate"
    reads: ClassVar[Reads] = Reads.DOCUMENTS
    leaves_texts_if: ClassVar[str] = "set action to report"

    def edits_texts(self) -> bool:
        return self.action != "report"

    def adds(self) -> tuple[pa.Field, ...]:
        masks = (CUTS, REMOVED_BYTES) if self.action == "mask" else ()
        return (CONTAMINATION, *masks)

    def depends_on(self) -> str:
        """The digests of the sets' files. Raises InputError if a set has no files."""
        return "\n".join(
            f"{storage.digest_of(path)} {name}"
            for name, chosen in sorted(self.sets.items())
            for path in files_of(name, chosen)
        )

    def apply(self, table: pa.Table) -> Outcome:
        """Every row of `table`, with what of the sets it has. Needs the columns `id` and `text`.

        Raises InputError if it would leave items in the column `linked`.
        """
        from corpusmill.stages.decontaminate.find import find_hits

        if self.edits_texts():
            refuse_linked(table, self.name, self.leaves_texts_if)
        hits = find_hits(self, table["text"])
        table = with_column(
            table,
            CONTAMINATION,
            pa.array([[hit.row() for hit in found] for found in hits], CONTAMINATION.type),
        )
        acted = [[hit for hit in found if hit.verdict in self.act_on] for found in hits]
        reasons: list[str | None] = [None] * table.num_rows
        if self.action == "remove":
            reasons = [f"{self.name}.{_worst(found).verdict}" if found else None for found in acted]
        elif self.action == "mask":
            table, reasons = self._masked(table, acted)
        gone = pa.array([reason is not None for reason in reasons], pa.bool_())
        dropped = [
            (reason, _detail(found)) for reason, found in zip(reasons, acted, strict=True) if reason
        ]
        return Outcome(
            table.filter(pa.array([reason is None for reason in reasons], pa.bool_())),
            excluded(
                table.filter(gone),
                self.name,
                [reason for reason, _ in dropped],
                [detail for _, detail in dropped],
            ),
        )

    def _masked(
        self, table: pa.Table, hits: "list[list[Hit]]"
    ) -> tuple[pa.Table, list[str | None]]:
        """The table with the spans cut, and the reasons for drops. A text of which too much would
        go is dropped whole.
        """
        sizes = pc.fill_null(pc.binary_length(table["text"]), 0).to_pylist()
        reasons: list[str | None] = [None] * table.num_rows
        chosen: dict[int, Spans] = {}
        for row, found in enumerate(hits):
            spans = joined([span for hit in found for span in hit.spans])
            if sum(end - begin for begin, end in spans) > self.max_masked_share * sizes[row]:
                reasons[row] = f"{self.name}.mostly_masked"
            elif spans:
                chosen[row] = spans
        return masked(table, chosen), reasons


def _worst(hits: "list[Hit]") -> "Hit":
    """The hit with the most bits."""
    return max(hits, key=lambda hit: hit.bits)


def _detail(hits: "list[Hit]") -> str:
    """The item that matches most, for the column `detail`."""
    hit = _worst(hits)
    begin, end = hit.spans[0][0], hit.spans[-1][1]
    more = f" and {len(hits) - 1} more" if len(hits) > 1 else ""
    return f"set={hit.set} item={hit.item} share={hit.share:.2f} bytes={begin}:{end}{more}"
