"""The table of all stages: rows, reasons, sizes, worker time and speed."""

from dataclasses import dataclass

from corpusmill.manifests.looking.inspect import StageRow
from corpusmill.report.reading.run import Run


@dataclass(frozen=True)
class StageLine:
    """row: the account. unit: what it counts. busy: its part of all worker time, from 0 to 1.

    rows_s, size_s: rows and bytes of text that one worker does in a second; None without a time.
    """

    row: StageRow
    unit: str
    busy: float
    rows_s: float | None
    size_s: float | None

    @property
    def ended(self) -> list[tuple[str, int]]:
        """Rows that ended here, by reason: excluded, failed and not used."""
        found = {**self.row.excluded, **self.row.failures, **self.row.unused}
        return sorted(found.items(), key=lambda item: (-item[1], item[0]))

    @property
    def dropped(self) -> int:
        return sum(self.row.excluded.values())


def stage_lines(run: Run) -> list[StageLine]:
    whole = sum(row.seconds for row in run.accounts) or 1.0
    return [
        StageLine(
            row,
            stage.manifest.unit,
            row.seconds / whole,
            row.rows_in / row.seconds if row.seconds else None,
            row.text_bytes / row.seconds if row.seconds and row.text_bytes else None,
        )
        for stage in run.stages
        for row in stage.rows
    ]
