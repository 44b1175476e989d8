"""Manifests as text for a terminal: the funnel table, remarks, the line of a finished stage."""

from collections.abc import Iterator
from typing import Any

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.looking.inspect import Funnel, StageRow, Unfinished, funnel, stage_rows
from corpusmill.manifests.looking.loss_curve import sparkline
from corpusmill.manifests.looking.verify import Verdict
from corpusmill.manifests.manifest import Manifest


def funnel_table(rows: list[StageRow], all_reasons: bool = False) -> Any:
    """A rich table with one row a stage. all_reasons: all, not only the four most frequent."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, justify in (
        ("stage", "left"),
        ("in", "right"),
        ("kept", "right"),
        ("excluded", "right"),
        ("unused", "right"),
        ("failed", "right"),
        ("size", "right"),
        ("tokens", "right"),
        ("seconds", "right"),
        ("reasons", "left"),
    ):
        table.add_column(name, justify=justify, no_wrap=name != "reasons", overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(
            row.name,
            f"{row.rows_in:,}",
            f"{row.kept:,}",
            f"{sum(row.excluded.values()):,}",
            f"{sum(row.unused.values()):,}",
            f"{row.failed:,}" + (f" (+{len(row.quarantined):,} shards)" if row.quarantined else ""),
            size_text(row.text_bytes),
            f"{row.tokens:,}" if row.tokens else "",
            f"{row.seconds:,.1f}",
            _reasons(row, None if all_reasons else 4),
        )
    return table


def _reasons(row: StageRow, most: int | None) -> str:
    """Why rows were excluded, failed or not used, and how many are copies or parts of others."""
    parts = [
        reasons_text(row.excluded, row.failures, most),
        reasons_text(row.unused, {}, most),
        f"{row.repeats:,} copies or parts" if row.repeats else "",
        f"{row.edited:,} edited, {size_text(row.cut_bytes)} cut" if row.edited else "",
    ]
    return ", ".join(filter(None, parts))


def print_table(table: Any) -> None:
    """Print at the terminal's width, or 140 characters wide if there is no terminal."""
    import sys

    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 140, soft_wrap=False, highlight=False).print(
        table
    )


def reasons_text(excluded: dict[str, int], failures: dict[str, int], most: int | None = 4) -> str:
    """The reasons of excluded rows, then of failures, with their counts.

    most: only so many of each, the most frequent ones. None means all. E.g.
    `http.status 12, page.empty 3, and 2 more`.
    """
    parts = []
    for reasons in (excluded, failures):
        parts += [f"{reason} {rows:,}" for reason, rows in list(reasons.items())[:most]]
        if most is not None and len(reasons) > most:
            parts.append(f"and {len(reasons) - most} more")
    return ", ".join(parts)


def remarks(found: Funnel) -> Iterator[str]:
    """What the table does not show, one line each.

    These are empty results, quarantined shards, and outdated, unfinished and damaged stages.
    """
    for row in found.rows:
        yield from row_remarks(row)
    for folder, changed in found.outdated.items():
        name, inputs = storage.name_of(folder), ", ".join(map(storage.name_of, changed))
        yield f"outdated: {name} read {inputs}, which has changed since; run {name} again"
    for item in found.unfinished:
        yield unfinished_text(item)
        yield from quarantined_lines(item.folder, item.quarantined)
    yield from found.damaged


SHARED_PART = "dedup.shared_part"  # as in `stages.dedup.resolve`


def row_remarks(row: StageRow) -> Iterator[str]:
    """The warnings about a stage, and its quarantined shards.

    It warns if the stage kept nothing, gave fewer tokens than asked, or removed documents that only
    share a part.
    """
    if not row.kept:
        why = reasons_text({**row.excluded, **row.unused}, row.failures)
        why = why if row.rows_in else "it got none"
        yield f"warning: {row.name} kept no document" + (f" ({why})" if why else "")
    if row.missing_tokens:
        yield (
            f"warning: {row.name} was asked for {row.tokens + row.missing_tokens:,} tokens and "
            f"gave {row.tokens:,}: its sources hold no more; add sources, raise their "
            "max_epochs, or lower tokens"
        )
    if shared := row.excluded.get(SHARED_PART, 0):
        yield (
            f"warning: {row.name} removed {shared:,} of {row.rows_in:,} documents for a beginning "
            f"or end that they share (a prompt, a licence) while the rest differs "
            f"({SHARED_PART}); set dedup.shared_parts=ignore to compare the rest alone"
        )
    for text in row.warnings:
        yield f"warning: {row.name}: {text}"
    yield from quarantined_lines(row.name, row.quarantined)


def quarantined_lines(stage: str, shards: dict[str, str], most: int = 5) -> Iterator[str]:
    """One line for each quarantined shard, at most `most`, and how many more there are.

    shards: shard -> error.
    """
    for shard, error in list(shards.items())[:most]:
        yield f"quarantined: shard {shard} of {stage}: {error}"
    if len(shards) > most:
        yield f"quarantined: {len(shards) - most:,} more shards of {stage}"


def verdict_line(verdict: Verdict) -> str:
    """E.g. `208 files checked, all hold; 1 shard is quarantined: run the stage again to retry`."""
    line = f"{verdict.files:,} files checked, " + (
        f"{len(verdict.problems):,} problems" if verdict.problems else "all hold"
    )
    if not verdict.quarantined:
        return line
    shards = (
        "1 shard is"
        if len(verdict.quarantined) == 1
        else f"{len(verdict.quarantined):,} shards are"
    )
    missing = "its documents are" if len(verdict.quarantined) == 1 else "their documents are"
    return f"{line}; {shards} quarantined, {missing} missing: run the stage again to retry"


def demo_text(root: str) -> str:
    """What the demo wrote, and what to try next."""
    return f"""
loss     {sparkline(storage.join(root, "train", "log.jsonl"))}
report   {storage.join(root, "report.html")}
model    {storage.join(root, "export")} (transformers and vLLM load it)

next     corpusmill verify {root}
         corpusmill trace {root} ID      (ids are in the shards' id column)
         corpusmill run recipes/nemotron_cc.yaml --input 'crawl/*.warc.gz' --output OUT"""


def finished_text(root: str) -> str:
    """What an interrupted run finished, e.g. `filter, dedup finished, classify has 12 shards`."""
    try:
        found = funnel(root)
    except InputError:
        return "nothing is finished yet"
    finished = ", ".join(dict.fromkeys(row.step or row.stage for row in found.rows))
    unfinished = [
        f"{item.folder.rstrip('/').rsplit('/', 1)[-1]} has {sum(item.done.values()):,} shards"
        for item in found.unfinished
    ]
    return ", ".join([f"{finished} finished"] * bool(finished) + unfinished)


def unfinished_text(item: Unfinished) -> str:
    """A line about an unfinished stage.

    E.g. `out/dedup is not finished: 12 shards done (signatures 8, edges 4); run the same command
    again to go on`.
    """
    passes = ", ".join(f"{name} {shards:,}" for name, shards in item.done.items())
    parts = [
        f"{sum(item.done.values()):,} shards done" + (f" ({passes})" if len(item.done) > 1 else "")
    ]
    parts += [f"{len(item.quarantined):,} quarantined"] if item.quarantined else []
    parts += [f"{item.damaged:,} receipts damaged"] if item.damaged else []
    return f"{item.folder} is not finished: {', '.join(parts)}; run the same command again to go on"


def size_text(size: int) -> str:
    """A number of bytes with its unit, e.g. `3.4 MB` (powers of ten)."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def work_text(manifest: Manifest) -> str:
    """Worker time of the run that made the manifest, and how many shards it reused."""
    work = manifest.work
    if not work.made:
        return "reused" if work.reused else f"{sum(manifest.timing.values()):.1f} s"
    reused = f" ({work.reused:,} of {work.made + work.reused:,} shards reused)"
    return f"{work.seconds:.1f} s" + (reused if work.reused else "")


def stage_line(folder: str, manifest: Manifest) -> str:
    """The line of a finished stage, and its remarks below.

    E.g. `dedup     1,204 in 1,010 kept 194 excluded 0 failed 3.2 s  out/dedup`.
    """
    name = "+".join(manifest.stages)
    first, last = manifest.totals[0], manifest.totals[-1]
    excluded = sum(sum(counts.excluded.values()) for counts in manifest.totals)
    failed = sum(counts.failed for counts in manifest.totals)
    line = (
        f"{name:<16} {first.rows_in:>9,} in {last.kept:>9,} kept {excluded:>9,} excluded "
        f"{failed:>5,} failed {work_text(manifest):>10}  {folder}"
    )
    row = stage_rows(manifest)[-1]
    unused = {name: rows for counts in manifest.totals for name, rows in counts.unused.items()}
    why = [f"not used: {reasons_text(unused, {})}"] if unused else []
    return "\n  ".join([line, *why, *row_remarks(row)])
