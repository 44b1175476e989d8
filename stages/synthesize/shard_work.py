"""The work of one shard: documents become planned rows, the engine answers, rows are written."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import pyarrow as pa
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import EXCLUSION, extended
from corpusmill.manifests.shard import ROW_GROUP_BYTES, ParquetOutput, Shard
from corpusmill.prompts.loader import Prompt
from corpusmill.stages.contract import DOCUMENTS, EXCLUDED
from corpusmill.stages.engines.contract import Engine
from corpusmill.stages.readers.documents import count_reasons
from corpusmill.stages.synthesize.answered_rows import answered
from corpusmill.stages.synthesize.judging import Bench, Judge, columns
from corpusmill.stages.synthesize.ledger import ledger
from corpusmill.stages.synthesize.planned_rows import SCHEMA, Finished, PlannedRow, Planner
from corpusmill.stages.synthesize.routed_documents import UNSCORED, documents_of, drawn

_WRITTEN_TOGETHER = 256  # rows; a fixed number, so that files do not depend on timing


def synthesize_shard(
    shard: Shard,
    stage: str,
    engine: Engine,
    prompts: Mapping[str, Sequence[Prompt]],
    planner: Planner,
    least_covered: float,
    judge: Judge | None = None,
) -> list[Counts]:
    """Ask about the shard's documents and write what comes of it. Returns the account of `stage`.

    prompts: level -> its prompts. least_covered: share of a joined document's tokens that usable
    answers must cover.
    """
    model = engine.identity()
    levels = [level for level, routed in prompts.items() if routed]
    taken = drawn(levels, shard, planner.seed)
    counts, read = Counts(stage), Counts(stage)
    documents = documents_of(levels, shard, taken, stage, read)
    with ExitStack() as stack:
        known = stack.enter_context(ledger(shard.scratch))
        bench = None
        schema = SCHEMA
        if judge:
            asked = judge.loaded()
            schema = extended(*columns(asked), of=SCHEMA)
            bench = Bench(asked, judge.least, planner, engine, known, shard.scratch)
        rows = _Output(shard, prompts, stage, counts, schema, stack)
        complete = answered(_planned(documents, prompts, planner, read), engine.answers, known)

        def finished() -> Iterator[tuple[PlannedRow, Finished]]:
            seen = 0
            for row in complete:
                yield row, planner.finish(row, model, least_covered)
                seen += row.is_first
                shard.report(seen)

        for item in bench.judged(finished()) if bench else (item for _, item in finished()):
            rows.write(item)
        rows.flush()
    counts.add(read)
    counts.rows_in = shard.rows_read
    return [counts]


def _planned(
    documents: Iterable[dict[str, Any]],
    prompts: Mapping[str, Sequence[Prompt]],
    planner: Planner,
    read: Counts,
) -> Iterator[list[PlannedRow]]:
    """The rows of each document. read: the account of the documents."""
    for document in documents:
        rows = list(planner.plan(document, prompts[document["level"] or UNSCORED]))
        read.repeats += sum(not row.is_first for row in rows)
        yield rows


class _Output:
    """The shard's files: one for each level and prompt, and one for excluded rows."""

    def __init__(
        self,
        shard: Shard,
        prompts: Mapping[str, Sequence[Prompt]],
        stage: str,
        counts: Counts,
        schema: pa.Schema,
        stack: ExitStack,
    ) -> None:
        self._schema, self._excluded_schema = schema, extended(*EXCLUSION, of=schema)
        places = [(level, prompt.name) for level, routed in prompts.items() for prompt in routed]
        # All files together hold as much in memory as one file of another stage.
        limit = ROW_GROUP_BYTES // (len(places) + 1)

        def opened(where: str, schema: pa.Schema) -> ParquetOutput:
            return stack.enter_context(shard.parquet(where, schema, row_group_bytes=limit))

        self._kept = {
            (level, prompt): opened(
                f"{DOCUMENTS}/level={level}/kind=synthetic/prompt={prompt}", schema
            )
            for level, prompt in places
        }
        self._excluded = opened(EXCLUDED, self._excluded_schema)
        self._stage = stage
        self._counts = counts
        self._waiting: list[Finished] = []

    def write(self, row: Finished) -> None:
        """Write a row by level and prompt, or as excluded, and count it."""
        self._waiting.append(row)
        if len(self._waiting) >= _WRITTEN_TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        kept: dict[tuple[str, str], list[dict[str, Any]]] = {}
        excluded = []
        for item in self._waiting:
            row, rejection = item.row, item.rejection
            if rejection is None:
                kept.setdefault((row["level"] or UNSCORED, row["prompt"]), []).append(row)
                self._counts.kept += 1
                self._counts.text_bytes += len(row["text"].encode())
                self._counts.tokens += item.text_tokens
                continue
            reason = {"stage": self._stage, "reason": rejection.reason, "detail": rejection.detail}
            excluded.append({**row, **reason})
            count_reasons(self._counts, [rejection.reason])
        for place, rows in kept.items():
            self._kept[place].write(pa.Table.from_pylist(rows, schema=self._schema))
        if excluded:
            self._excluded.write(pa.Table.from_pylist(excluded, schema=self._excluded_schema))
        self._waiting = []
