"""Manifests as text for a terminal: the funnel table and the one line that a finished stage prints."""

from typing import Any

from manifests.inspect import StageRow
from manifests.manifest import Manifest


def funnel_table(rows: list[StageRow]) -> Any:
    """A rich table, one row a stage."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, justify in (
        ("stage", "left"),
        ("in", "right"),
        ("kept", "right"),
        ("dropped", "right"),
        ("failed", "right"),
        ("size", "right"),
        ("tokens", "right"),
        ("seconds", "right"),
        ("reasons", "left"),
    ):
        table.add_column(name, justify=justify, no_wrap=name != "reasons", overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(
            row.stage,
            f"{row.rows_in:,}",
            f"{row.kept:,}",
            f"{sum(row.excluded.values()):,}",
            f"{row.failed:,}" + (f" (+{row.quarantined} shards)" if row.quarantined else ""),
            size_text(row.text_bytes),
            f"{row.tokens:,}" if row.tokens else "",
            f"{row.seconds:,.1f}",
            reasons_text(row.excluded),
        )
    return table


def print_table(table: Any) -> None:
    """Print at the terminal's width, or at a fixed one where there is no terminal."""
    import sys

    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 140, soft_wrap=False, highlight=False).print(table)


def reasons_text(excluded: dict[str, int], most: int = 4) -> str:
    """The most frequent reasons with their counts, e.g. `http.status 12, page.empty 3, and 2 more`."""
    shown = [f"{reason} {rows:,}" for reason, rows in list(excluded.items())[:most]]
    rest = len(excluded) - most
    return ", ".join(shown) + (f", and {rest} more" if rest > 0 else "")


def size_text(size: int) -> str:
    """Bytes as people read them, e.g. `3.4 MB` (powers of ten)."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def stage_line(folder: str, manifest: Manifest) -> str:
    """What a finished stage prints, e.g. `dedup     1,204 in, 1,010 kept, 194 dropped, 0 failed, 3.2 s`."""
    name = "+".join(manifest.stages)
    first, last = manifest.totals[0], manifest.totals[-1]
    dropped = sum(sum(counts.excluded.values()) for counts in manifest.totals)
    failed = sum(counts.failed for counts in manifest.totals)
    line = (
        f"{name:<16} {first.rows_in:>9,} in {last.kept:>9,} kept {dropped:>9,} dropped {failed:>5,} failed "
        f"{sum(manifest.timing.values()):>8.1f} s  {folder}"
    )
    for item in manifest.quarantined:
        line += f"\n  quarantined shard {item['shard']}: {item['error']}"
    return line
