"""Rows with ids of their own: documents never share an id, whatever the files' names and
content.
"""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.looking.verify import verify
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner

from tests.stages.small_corpus import rows_of

PROSE = "The river had risen in the night, and the people of the town went to look at it. "


def put(path, ids, word, as_parquet):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"id": own, "text": f"{word} {number}. {PROSE * 3}"} for number, own in enumerate(ids)]
    if as_parquet:
        pq.write_table(pa.Table.from_pylist(rows), path.with_suffix(".parquet"))
    else:
        path.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def extract(folder, *inputs, **reader):
    settings = {"page_seconds": 0, "reader": reader}
    run_step(Step("extract", "extract", (), settings), inputs, str(folder), InlineRunner())
    return rows_of(folder)


@pytest.mark.parametrize("as_parquet", [False, True])
def test_files_of_one_name_do_not_share_ids(tmp_path, as_parquet):
    for name in ("da", "db"):
        put(tmp_path / name / "part-0", range(5), name, as_parquet)
    rows = extract(tmp_path / "out", str(tmp_path / "da"), str(tmp_path / "db"))
    assert len({row["id"] for row in rows}) == len(rows) == 10
    assert verify(str(tmp_path / "out")).problems == []


@pytest.mark.parametrize("as_parquet", [False, True])
def test_an_id_that_repeats_in_a_file_is_the_first_rows(tmp_path, as_parquet):
    put(tmp_path / "a", ["same", "other", "same", "same"], "word", as_parquet)
    rows = extract(tmp_path / "out", str(tmp_path / "a.*"))
    assert len({row["id"] for row in rows}) == 4
    assert verify(str(tmp_path / "out")).problems == []
    put(tmp_path / "a", ["same", "other"], "word", as_parquet)
    first = extract(tmp_path / "fewer", str(tmp_path / "a.*"))
    assert [row["id"] for row in first] == [row["id"] for row in rows[:2]]


def test_with_a_source_ids_outlive_a_move(tmp_path):
    found = []
    for place in ("here/a", "there/b"):
        put(tmp_path / place, range(3), "word", False)
        rows = extract(tmp_path / "out" / place[0], str(tmp_path / f"{place}.jsonl"), source="wiki")
        found.append([row["id"] for row in rows])
    assert found[0] == found[1]


def test_ids_that_two_shards_share_are_a_problem(tmp_path):
    for name in ("a", "b"):
        put(tmp_path / "in" / name, range(3), name, False)
    extract(tmp_path / "out", str(tmp_path / "in"), source="wiki")
    (problem,) = verify(str(tmp_path / "out")).problems
    assert "a.parquet and " in problem
    assert "both hold document" in problem
    assert "the reader's `id_column` or `source`" in problem
