"""The work of one shard: documents become planned rows, the engine answers, rows are written."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import LINKED_PARENT, extended
from corpusmill.manifests.shard import Shard
from corpusmill.prompts.loader import Prompt
from corpusmill.stages.contract import DOCUMENTS
from corpusmill.stages.engines.contract import Engine
from corpusmill.stages.synthesize.answered_rows import answered
from corpusmill.stages.synthesize.finished_rows import SCHEMA, Finished
from corpusmill.stages.synthesize.judging import Bench, Judge, columns
from corpusmill.stages.synthesize.ledger import ledger
from corpusmill.stages.synthesize.planned_rows import PlannedRow
from corpusmill.stages.synthesize.planner import Planner
from corpusmill.stages.synthesize.routed_documents import UNSCORED, by_kind, documents_of, drawn
from corpusmill.stages.synthesize.row_files import RowFiles


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
    kinds = by_kind(prompts)
    taken = drawn(kinds, shard, planner.seed)
    counts, read = Counts(stage), Counts(stage)
    documents = documents_of(kinds, shard, taken, stage, read)
    with ExitStack() as stack:
        known = stack.enter_context(ledger(shard.scratch))
        shard.earlier += known.earlier
        bench = None
        about_two = any(in_pair for _, in_pair in kinds)
        schema = extended(*([LINKED_PARENT] if about_two else []), of=SCHEMA)
        if judge:
            asked = judge.loaded()
            schema = extended(*columns(asked), of=schema)
            bench = Bench(asked, judge.least, planner, engine, known, shard.scratch)
        places = [(level, prompt.name) for level, routed in prompts.items() for prompt in routed]
        rows = RowFiles(
            shard,
            counts,
            schema,
            [_folder(level, prompt) for level, prompt in places],
            lambda row: _folder(row["level"] or UNSCORED, row["prompt"]),
            stack,
        )
        complete = answered(_planned(documents, prompts, planner, read), engine.answers, known)

        def finished() -> Iterator[tuple[PlannedRow, Finished]]:
            seen = 0
            shard.report(seen)
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
    """The rows of each document. read: the account of the documents, where repeats are counted."""
    for document in documents:
        rows = list(planner.plan(document, prompts[document["level"] or UNSCORED]))
        read.repeats += sum(not row.is_first for row in rows)
        yield rows


def _folder(level: str, prompt: str) -> str:
    return f"{DOCUMENTS}/level={level}/kind=synthetic/prompt={prompt}"
