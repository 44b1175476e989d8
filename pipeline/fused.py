"""Consecutive map stages as one pass.

The pass reads a batch, applies one stage after the other, and writes kept and excluded documents.
So a document is read and written only once. If a stage fails on a batch, the batch is halved until
the bad record is alone. This record becomes an excluded row with the reason
`error_<stage>.<exception>`. All other records go on.
"""

import itertools
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests.errors import CorpusmillError, InputError
from corpusmill.manifests.parquet_files import schema_of
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import DOCUMENT, EXCLUSION, FAILED_PREFIX, excluded, extended
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.shard_names import shard_names
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.contract import (
    DOCUMENTS,
    EXCLUDED,
    GlobalStage,
    Inputs,
    MapStage,
    Outcome,
    Pass,
    Passes,
    Reads,
    Stage,
)
from corpusmill.stages.readers.documents import count_reasons


class Fused(GlobalStage):
    """One or several map stages as a stage of one pass.

    names: of their steps. The folder has the last one's name. keeps_batches: each batch becomes a
    row group. The next map stage then reads the batches that it would get in memory. So it writes
    the same bytes.
    """

    stages: tuple[MapStage, ...]
    names: tuple[str, ...] = ()
    keeps_batches: bool = False

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.accounts[-1]

    @property
    def accounts(self) -> tuple[str, ...]:
        """The steps' names, or the stages' own names if the steps have none."""
        return self.names or tuple(stage.name for stage in self.stages)

    @property
    def reads(self) -> Reads:  # type: ignore[override]
        return self.stages[0].reads

    def depends_on(self) -> str:
        return "+".join(
            f"{stage.name}@{stage.version}:{stage.depends_on()}" for stage in self.stages
        )

    @property
    def fused(self) -> tuple[Stage, ...]:
        return self.stages

    def passes(self, inputs: Inputs) -> Passes:
        shards = {name: (artifact,) for name, artifact in shard_names(inputs.documents).items()}
        yield Pass(
            name=self.name,
            shards=shards,
            work=partial(run_map_stages, self.stages, self.accounts, self.keeps_batches),
            final=True,
        )


def run_map_stages(
    stages: tuple[MapStage, ...], names: tuple[str, ...], keeps_batches: bool, shard: Shard
) -> list[Counts]:
    """The work of one shard: every stage over every batch. Returns one account for each step."""
    accounts = [Counts(name) for name in names]
    failures: list[dict[str, str]] = [{} for _ in names]
    schema = _output_schema(stages, shard)
    with (
        shard.parquet(DOCUMENTS, schema) as kept_output,
        shard.parquet(EXCLUDED, extended(*EXCLUSION, of=schema)) as excluded_output,
    ):
        seen = 0
        clock = time.perf_counter()
        for table in _batches(stages[0], shard):
            seen += table.num_rows
            for stage, account, failed in zip(stages, accounts, failures, strict=True):
                started = time.perf_counter()
                # the first stage's time includes reading
                account.seconds += started - clock if account is accounts[0] else 0.0
                outcome = apply_isolating(stage, table)
                table = outcome.kept
                account.kept += table.num_rows
                account.text_bytes += (
                    pc.sum(pc.binary_length(table["text"])).as_py() or 0 if table.num_rows else 0
                )
                if f"{stage.name}_removed_bytes" in table.column_names:
                    account.count_cuts(table[f"{stage.name}_removed_bytes"].to_pylist())
                reasons = outcome.excluded["reason"].to_pylist()
                count_reasons(account, reasons)
                for row, reason in enumerate(reasons):
                    if reason.startswith(FAILED_PREFIX) and reason not in failed:
                        failed[reason] = outcome.excluded["detail"][row].as_py() or ""
                excluded_output.write(outcome.excluded)
                clock = time.perf_counter()
                account.seconds += clock - started
            kept_output.write(table)
            if keeps_batches:
                kept_output.flush()
            accounts[-1].seconds += time.perf_counter() - clock
            clock = time.perf_counter()
            shard.report(seen)
    accounts[0].rows_in = shard.rows_read
    for before, account in itertools.pairwise(accounts):
        account.rows_in = before.kept
    for stage, account, failed in zip(stages, accounts, failures, strict=True):
        stage.check(account, failed)
    return accounts


def apply_isolating(stage: MapStage, table: pa.Table) -> Outcome:
    """`stage.apply(table)`. If it fails, halving finds the bad records. They are excluded."""
    try:
        return stage.apply(table)
    except (CorpusmillError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - one bad record must not stop the others
        if table.num_rows == 1:
            reason = f"{FAILED_PREFIX}{stage.name}.{type(error).__name__}"
            kept = table.slice(0, 0)
            for added in stage.adds():
                kept = (
                    kept.append_column(added, pa.nulls(0, added.type))
                    if added.name not in kept.column_names
                    else kept
                )
            return Outcome(kept, excluded(table, stage.name, [reason], [str(error)[:500]]))
        half = table.num_rows // 2
        outcomes = [
            apply_isolating(stage, part) for part in (table.slice(0, half), table.slice(half))
        ]
        return Outcome(
            pa.concat_tables([outcome.kept for outcome in outcomes], promote_options="default"),
            pa.concat_tables([outcome.excluded for outcome in outcomes], promote_options="default"),
        )


def _batches(first: MapStage, shard: Shard) -> Iterator[pa.Table]:
    for artifact in shard.inputs:
        if first.reads == "records":
            from corpusmill.stages.readers import read_records

            settings: Any = first
            yield from shard.counted(artifact, read_records(artifact, settings.reader))
        else:
            _check_columns(artifact)
            yield from shard.read(artifact)


def _check_columns(artifact: Artifact) -> None:
    """Raises InputError if a document shard lacks `id` or `text`, or a column has a wrong type."""
    found = schema_of(artifact)
    mend = (
        "give a stage's output, or run extract on other files first "
        "(extract.reader names their columns)"
    )
    for name in ("id", "text"):
        if name not in found.names:
            there = ", ".join(found.names) or "none"
            raise InputError(f"{artifact.path} has no column {name!r}; it has {there}", mend)
    for field in DOCUMENT:
        if field.name in found.names and found.field(field.name).type != field.type:
            there = found.field(field.name).type
            raise InputError(
                f"{artifact.path}: column {field.name!r} is {there}, not {field.type}", mend
            )


def _output_schema(stages: tuple[MapStage, ...], shard: Shard) -> pa.Schema:
    added = [field for stage in stages for field in stage.adds()]
    if stages[0].reads == "records":
        return extended(*added)
    return extended(*added, of=schema_of(shard.inputs[0]))
