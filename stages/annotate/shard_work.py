"""The work of one shard: drawn documents go through the engine, and come back with labels."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import DOCUMENT
from corpusmill.manifests.shard import Shard
from corpusmill.prompts.loader import Prompt
from corpusmill.stages.annotate.labels import labelled, schema_of
from corpusmill.stages.contract import DOCUMENTS
from corpusmill.stages.synthesize.answered_rows import answered
from corpusmill.stages.synthesize.ledger import ledger
from corpusmill.stages.synthesize.planned_rows import PlannedRow
from corpusmill.stages.synthesize.planner import Planner
from corpusmill.stages.synthesize.routed_documents import EVERY_KIND, documents_of, drawn
from corpusmill.stages.synthesize.row_files import RowFiles

if TYPE_CHECKING:
    from corpusmill.stages.annotate.stage import Annotate


def annotate_shard(settings: "Annotate", shard: Shard) -> list[Counts]:
    """Grade the shard's documents, as many as its setting says. Empty: all."""
    prompt, planner, engine = settings.rubric(), settings.planner(), settings.engine
    model, stage = engine.identity(), settings.name
    counts, read = Counts(stage), Counts(stage)
    taken = drawn(EVERY_KIND, shard, planner.seed)
    documents = documents_of(EVERY_KIND, shard, taken, stage, read, DOCUMENT.names)

    def planned() -> Iterator[list[PlannedRow]]:
        for document in documents:
            yield [plan(document, prompt, planner)]

    with ExitStack() as stack:
        known = stack.enter_context(ledger(shard.scratch))
        shard.earlier += known.earlier
        files = RowFiles(
            shard, counts, schema_of(prompt), [DOCUMENTS], lambda row: DOCUMENTS, stack
        )
        shard.report(0)
        for done, row in enumerate(answered(planned(), engine.answers, known), 1):
            files.write(labelled(row, model))
            shard.report(done)
        files.flush()
    counts.add(read)
    counts.rows_in = shard.rows_read
    return [counts]


def plan(document: Mapping[str, Any], prompt: Prompt, planner: Planner) -> PlannedRow:
    """The one row of a document. The model reads its beginning, as much as the prompt has room for.

    Reference: FineWeb-Edu shows the model an extract of the page too.
    """
    text = document["text"] or ""
    starts, room = planner.tokenizer.starts(text), planner.room(prompt)
    beginning = text[: starts[room]] if len(starts) > room else text
    return replace(
        next(planner.plan({**document, "text": beginning, "linked": None}, [prompt])),
        document=document,
    )
