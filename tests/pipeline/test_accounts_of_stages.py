"""Each stage's account fails if the stage loses a row: at its input, on its way, in its files."""

import json
from contextlib import contextmanager
from typing import Any

import pytest
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.looking.verify import verify
from corpusmill.manifests.parquet_output import ParquetOutput
from corpusmill.manifests.shard import Shard
from corpusmill.pipeline.accounts import LostRows
from corpusmill.stages.contract import DOCUMENTS
from corpusmill.stages.convert.dataset import DATA

from tests.stages.small_corpus import documents, run, small_tokenizer, write_shard

STAGES: dict[str, dict[str, Any]] = {
    "extract": {"languages": [], "language_threshold": 0},
    "filter": {"families": []},
    "sections": {},
    "redact": {},
    "templates": {},
    "dedup": {},
    "decontaminate": {"sets": {"q": {"input": "ITEMS", "text": ["text"]}}},
    "substring": {"part_bytes": 2000, "min_bytes": 50},
    "render": {"paper": {"width": 224, "height": 224, "max_font_size": 16}, "max_pages": 1},
    "blend": {"shards": 2, "sources": {"web": {"input": "WEB", "weight": 1}}},
    "pack": {"tokenizer": "TOKENIZER"},
    "convert": {"format": "datasets"},
}
EVERY_STAGE = pytest.mark.parametrize("verb", STAGES)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Documents that a stage wrote, a tokenizer and an evaluation set."""
    folder = tmp_path_factory.mktemp("given")
    for number in range(3):
        rows = documents(f"web{number}", 12, url=f"https://example{number}.org/")
        write_shard(folder / f"raw/{number:05d}.parquet", rows)
    run("filter", {"families": []}, folder / "web", str(folder / "raw"))
    (folder / "items.jsonl").write_text(json.dumps({"text": "an item that no document has"}))
    return {
        "WEB": str(folder / "web"),
        "TOKENIZER": small_tokenizer(folder / "tokenizer"),
        "ITEMS": str(folder / "items.jsonl"),
    }


@pytest.fixture
def made(folders, tmp_path):
    """Runs a stage on the documents."""

    def running(verb: str) -> None:
        settings = json.dumps(STAGES[verb])
        for name, path in folders.items():
            settings = settings.replace(name, path)
        inputs = [folders["WEB"]] if verb != "blend" else []
        run(verb, json.loads(settings), tmp_path / verb, *inputs)

    return running


@EVERY_STAGE
def test_without_a_fault_the_account_holds(made, tmp_path, verb):
    made(verb)
    assert verify(str(tmp_path / verb)).problems == []


@EVERY_STAGE
def test_a_file_that_a_stage_passes_over(monkeypatch, made, verb):
    for name in ("read", "counted"):
        right = getattr(Shard, name)

        def wrong(self, artifact, *others, right=right):
            lost = "/web/documents/00001" in artifact.path
            return iter(()) if lost else right(self, artifact, *others)

        monkeypatch.setattr(Shard, name, wrong)
    with pytest.raises(LostRows):
        made(verb)


@EVERY_STAGE
def test_a_row_that_a_stage_does_not_write(monkeypatch, made, verb):
    right = Shard.parquet

    @contextmanager
    def wrong(self, where, *others, **settings):
        with right(self, where, *others, **settings) as output:
            if where.startswith((DOCUMENTS, DATA)):
                write = output.write
                monkeypatch.setattr(output, "write", lambda table: write(table.slice(1)))
            yield output

    monkeypatch.setattr(Shard, "parquet", wrong)
    with pytest.raises(LostRows):
        made(verb)


@EVERY_STAGE
def test_a_row_that_is_not_in_the_file(monkeypatch, made, verb):
    right = ParquetOutput.flush

    def wrong(self):
        self._waiting = [table.slice(1) for table in self._waiting]
        right(self)

    monkeypatch.setattr(ParquetOutput, "flush", wrong)
    with pytest.raises(CorpusmillError, match="rows were written, the file holds"):
        made(verb)
