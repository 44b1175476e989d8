"""Stages that edit texts refuse pairs, whose second text they do not see."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.schema import DOCUMENT, LINKED, conform, extended

from tests.stages.small_corpus import documents, rows_of, run

PAIR = {"id": "b", "url": "https://b.org/", "text": "Another text.", "mutual": False}


@pytest.fixture
def pairs(tmp_path):
    """A folder of documents of which one is in a pair."""
    rows = documents("web", 12, url="https://a.org/")
    table = pa.Table.from_pylist(rows, schema=DOCUMENT)
    linked = pa.array([PAIR, *[None] * (len(rows) - 1)], LINKED.type)
    (tmp_path / "pairs").mkdir()
    table = conform(table.append_column(LINKED, linked), extended(LINKED))
    pq.write_table(table, tmp_path / "pairs/0.parquet")
    return str(tmp_path / "pairs")


@pytest.mark.parametrize("verb", ["filter", "sections", "redact", "templates", "substring"])
def test_a_stage_that_edits_texts_refuses_pairs(tmp_path, pairs, verb):
    with pytest.raises(InputError, match=rf"linked would stay as it is.*run {verb} before link"):
        run(verb, {}, tmp_path / verb, pairs)


@pytest.mark.parametrize(
    ("verb", "way"), [("filter", "set families without c4"), ("redact", "set mode to count")]
)
def test_the_refusal_names_the_setting_that_edits_nothing(tmp_path, pairs, verb, way):
    with pytest.raises(InputError, match=f"before link, or .*{way}"):
        run(verb, {}, tmp_path / verb, pairs)


@pytest.mark.parametrize(
    ("verb", "settings"), [("filter", {"families": ["gopher_quality"]}), ("dedup", {})]
)
def test_a_stage_that_only_drops_documents_takes_pairs(tmp_path, pairs, verb, settings):
    run(verb, settings, tmp_path / verb, pairs)
    rows = rows_of(tmp_path / verb) + rows_of(tmp_path / verb, "excluded")
    assert [row["linked"] for row in rows if row["linked"]] == [PAIR]
