"""What a run did, as numbers: one row a stage, from the manifests alone (no document is read)."""

from dataclasses import dataclass

from manifests.manifest import find_manifests, read_manifest


@dataclass(frozen=True)
class StageRow:
    """One line of the funnel. seconds: worker time, summed over shards."""

    folder: str
    stage: str
    rows_in: int
    kept: int
    excluded: dict[str, int]
    failed: int
    text_bytes: int
    tokens: int
    seconds: float
    quarantined: int

    def as_json(self) -> dict[str, object]:
        return {
            "stage": self.stage,
            "in": self.rows_in,
            "kept": self.kept,
            "excluded": self.excluded,
            "failed": self.failed,
            "bytes": self.text_bytes,
            "tokens": self.tokens,
            "seconds": round(self.seconds, 3),
        }


def inspect(root: str) -> list[StageRow]:
    """The stages below `root` (a run's output or one stage's folder), in the order in which they feed each other."""
    rows = []
    for folder in find_manifests(root):
        manifest = read_manifest(folder)
        outputs = sum(output.size for output in manifest.outputs)
        spent = sum(manifest.timing.values())
        measured = sum(counts.seconds for counts in manifest.totals)
        for counts in manifest.totals:
            last = counts is manifest.totals[-1]
            tokens = counts.tokens or (sum(output.tokens for output in manifest.documents()) if last else 0)
            text_bytes = counts.text_bytes or (
                sum(output.text_bytes for output in manifest.documents()) if last else 0
            )
            rows.append(
                StageRow(
                    folder=folder,
                    stage=counts.stage,
                    rows_in=counts.rows_in,
                    kept=counts.kept,
                    excluded=dict(sorted(counts.excluded.items(), key=lambda item: (-item[1], item[0]))),
                    failed=counts.failed,
                    text_bytes=text_bytes or (outputs if last else 0),
                    tokens=tokens,
                    seconds=counts.seconds if len(manifest.totals) > 1 and measured else spent,
                    quarantined=len(manifest.quarantined) if last else 0,
                )
            )
    return rows
