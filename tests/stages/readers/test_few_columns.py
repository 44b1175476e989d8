"""Parquet with an id and a text only is enough for every stage that needs no more."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.looking.verify import verify

from tests.classifiers.tiny_encoders import write_encoder
from tests.stages.small_corpus import documents, rows_of, run

STAGES: dict[str, dict[str, Any]] = {
    "filter": {"families": []},
    "sections": {},
    "redact": {},
    "dedup": {"exact": True},
    "substring": {"min_text_chars": 0},
    "templates": {"across": "corpus"},
    "semantic-dedup": {"similarity": 0.9999, "survivor": "first"},
}


@pytest.fixture
def few_columns(tmp_path):
    rows = documents("web", 12)
    (tmp_path / "in").mkdir()
    for number in range(2):
        some = rows[number::2]
        columns = {name: [row[name] for row in some] for name in ("id", "text")}
        pq.write_table(pa.table(columns), tmp_path / f"in/{number}.parquet")
    return str(tmp_path / "in")


@pytest.mark.parametrize("verb", STAGES)
def test_an_id_and_a_text_are_enough(tmp_path, few_columns, verb):
    settings = STAGES[verb]
    if verb == "semantic-dedup":
        encoder = write_encoder(tmp_path / "encoder")
        settings = {**settings, "embedding": {"encoder": encoder, "max_tokens": 32}}
    run(verb, settings, tmp_path / "out", few_columns)
    rows = rows_of(tmp_path / "out") + rows_of(tmp_path / "out", "excluded")
    assert len(rows) == 12
    assert verify(str(tmp_path / "out")).problems == []


@pytest.mark.parametrize(
    ("verb", "setting", "rule", "column"),
    [
        ("substring", "keeper", "newest", "date"),
        ("substring", "keeper", "best_quality", "quality"),
        ("dedup", "survivor", "newest", "date"),
        ("dedup", "survivor", "best_quality", "quality"),
        ("semantic-dedup", "survivor", "best_quality", "quality"),
    ],
)
def test_a_rule_needs_its_column(tmp_path, few_columns, verb, setting, rule, column):
    settings: dict[str, Any] = {setting: rule}
    if verb == "semantic-dedup":
        settings["embedding"] = {"encoder": write_encoder(tmp_path / "encoder"), "max_tokens": 32}
    with pytest.raises(InputError, match=f"{setting} is {rule}, .* no column {column}; "):
        run(verb, settings, tmp_path / "out", few_columns)
    assert not list((tmp_path / "out").rglob("*.parquet"))


def test_a_rule_is_used_if_one_shard_has_its_column(tmp_path, few_columns):
    """Here the column is in the last shard, and the one before cannot be read."""
    rows = [{"id": name, "text": "one text twice, in two shards " * 9} for name in "ab"]
    pq.write_table(pa.Table.from_pylist(rows[:1]), f"{few_columns}/2.parquet")
    Path(f"{few_columns}/3.parquet").write_bytes(b"PAR1 damaged")
    dated = pa.Table.from_pylist([{**rows[1], "date": "2026-01-01"}])
    pq.write_table(dated, f"{few_columns}/4.parquet")
    run("dedup", {"survivor": "newest"}, tmp_path / "out", few_columns)
    (gone,) = rows_of(tmp_path / "out", "excluded")
    assert gone["id"] == "a"


def test_templates_of_sites_need_addresses(tmp_path, few_columns):
    with pytest.raises(InputError, match="no column url; give the output of a stage that writes"):
        run("templates", {}, tmp_path / "out", few_columns)
