"""The work of one shard: scans are looked at, the engine reads their pieces, documents come out."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from corpusmill.manifests import storage
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.stages.contract import DOCUMENTS
from corpusmill.stages.ocr.asked_pages import AskedPage, pages_of
from corpusmill.stages.ocr.documents import (
    BLANK,
    EMPTY,
    LAYER,
    LOST,
    READ,
    SCHEMA,
    Document,
    sampling_of,
)
from corpusmill.stages.ocr.scans import scans_of
from corpusmill.stages.synthesize.answered_rows import answered
from corpusmill.stages.synthesize.ledger import ledger
from corpusmill.stages.synthesize.row_files import RowFiles

if TYPE_CHECKING:
    from corpusmill.stages.ocr.stage import Ocr

COUNTED = "work/pieces"


def read_shard(settings: "Ocr", shard: Shard) -> list[Counts]:
    """Read the scans of the shard's files."""
    prompt, model = settings.loaded_prompt(), settings.engine.identity()
    sampling = sampling_of(prompt, settings.cut.model_dump(mode="json"), settings.seed)
    counts, read = Counts(settings.name), Counts(settings.name)
    looking, limits = settings.looking(), settings.limits()

    def planned() -> Iterator[list[AskedPage]]:
        for scan in scans_of(shard, settings.reader, read):
            for page in pages_of(scan, prompt, looking, limits, settings.seed):
                yield [page]

    with ExitStack() as stack:
        known = stack.enter_context(ledger(shard.scratch))
        shard.earlier += known.earlier
        files = RowFiles(shard, counts, SCHEMA, [DOCUMENTS], lambda row: DOCUMENTS, stack)
        document: Document | None = None
        shard.report(0, unit="pages")
        for done, page in enumerate(answered(planned(), settings.engine.answers, known), 1):
            document = document or Document(page.scan, prompt)
            document.add(page)
            if page.is_last:
                files.write(document.finished(model, sampling, settings.min_read_share))
                document = None
            shard.report(done, unit="pages")
        files.flush()
    counts.add(read)
    counts.rows_in = shard.rows_read
    return [counts]


def count_pieces(shard: Shard) -> list[Counts]:
    """Write `work/pieces/SHARD.json`: of kept documents, how often pieces are of each kind, and the
    reasons of lost ones.
    """
    found: Counter[str] = Counter(dict.fromkeys((LAYER, READ, BLANK, EMPTY, LOST), 0))
    lost: Counter[str] = Counter()
    pages = 0
    documents = storage.join(shard.folder, DOCUMENTS) + "/"
    for artifact in shard.inputs:
        if not artifact.path.startswith(documents):
            continue
        for table in read_parquet(artifact, ["pages", "pieces"]):
            pages += sum(table["pages"].to_pylist())
            for pieces in table["pieces"].to_pylist():
                found.update(piece["how"] for piece in pieces)
                lost.update(piece["reason"] for piece in pieces if piece["how"] == LOST)
    counted = {"pages": pages, "pieces": found, "lost": lost}
    shard.file(COUNTED, f"{shard.name}.json", json.dumps(counted, sort_keys=True).encode())
    return []
