"""A run in a notebook: stages by name, documents as Arrow, pandas and Polars."""

import pyarrow as pa
import pytest
from corpusmill.manifests.errors import CorpusmillError, InputError
from corpusmill.manifests.looking.opened import open_run

from tests.report.small_run import make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return open_run(make_run(tmp_path_factory.mktemp("opened")))


def test_stages_are_found_by_name(run):
    assert run.stages == ["extract", "filter", "dedup"]
    assert [(row.name, row.kept) for row in run.funnel()] == [
        ("extract", 10),
        ("filter", 7),
        ("dedup", 6),
    ]
    assert run.stage("filter").settings["filter.families"] == []
    with pytest.raises(InputError, match="did you mean 'filter'"):
        run.stage("filtr")


def test_documents_are_arrow_pandas_and_polars(run):
    found = run.stage("filter").documents(["id", "text"])
    assert len(found) == 7
    assert [table.num_rows for table in found] == [7]
    assert found.arrow().column_names == ["id", "text"]
    assert list(found.pandas().columns) == ["id", "text"]
    polars = pytest.importorskip("polars")
    frame = found.polars()
    assert frame.shape == (7, 2)
    assert polars.DataFrame(found).equals(frame)
    assert pa.table(found) == found.arrow()


def test_dropped_documents_have_reasons(run):
    found = run.stage("filter").documents(excluded=True)
    assert set(found.pandas()["reason"]) == {"recipe.few_words"}


def test_no_documents_have_columns_still(run):
    nothing = run.stage("extract").documents(excluded=True)
    assert len(nothing.arrow()) == 0
    assert dict(nothing.pandas()["reason"].value_counts()) == {}
    assert pa.table(nothing).schema == nothing.arrow().schema
    few = run.stage("extract").documents(["id", "reason"], excluded=True)
    assert few.arrow().column_names == ["id", "reason"]
    with pytest.raises(InputError, match="no column txt"):
        run.stage("extract").documents(["txt"], excluded=True).arrow()


def test_a_sample_is_that_of_the_command(run):
    rows = run.stage("filter").sample("stat_words > 50", count=3)
    assert len(rows) == 3
    assert min(row["stat_words"] for row in rows) > 50


def test_a_missing_column_and_a_missing_package_are_named(run, monkeypatch):
    with pytest.raises(InputError, match="no column txt"):
        run.stage("dedup").documents(["txt"]).arrow()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CorpusmillError, match="pip install polars"):
        run.stage("dedup").documents().polars()
