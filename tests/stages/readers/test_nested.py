"""A dot in a column's name leads into an object, as datatrove, Dolma and RedPajama write them."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.storage import Artifact

from tests.stages.readers.warc_bytes import rows_of

ROWS = [
    {"doc": {"text": "one"}, "meta": {"url": "http://a.org/", "at": {"date": "2020-01-02"}}},
    {"doc": {"text": "two"}, "meta": {"url": None, "at": None}},
    {"doc": {"text": None}, "meta": None},
]
NAMES = {
    "text_column": "doc.text",
    "url_column": "meta.url",
    "date_columns": ["date", "meta.at.date"],
}


def read(folder, kind, rows=ROWS, **settings):
    path = folder / f"a.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("\n".join(map(json.dumps, rows)))
    return rows_of(Artifact(str(path), "", 0), **settings)


BOTH = pytest.mark.parametrize("kind", ["jsonl", "parquet"])


@BOTH
def test_a_dot_leads_into_an_object(tmp_path, kind):
    found = read(tmp_path, kind, **NAMES)
    assert [row["text"] for row in found] == ["one", "two", ""]
    assert [row["url"] for row in found] == ["http://a.org/", None, None]
    assert [row["date"] for row in found] == ["2020-01-02", None, None]


@BOTH
def test_a_name_that_has_the_dot_itself_comes_first(tmp_path, kind):
    rows = [{"text": "one", "meta.url": "http://own.org/", "meta": {"url": "http://a.org/"}}]
    (found,) = read(tmp_path, kind, rows, url_column="meta.url")
    assert found["url"] == "http://own.org/"


@BOTH
@pytest.mark.parametrize("name", ["doc.body", "none.text", "doc.text.more", "."])
def test_a_field_that_is_not_there_is_refused(tmp_path, kind, name):
    has = "doc, doc.text, meta, .*meta.at.date.*"
    with pytest.raises(InputError, match=f"has no column '{name}'; it has {has}; set the"):
        read(tmp_path, kind, text_column=name)


@BOTH
def test_an_inner_name_may_have_a_dot_too(tmp_path, kind):
    rows = [{"text": "one", "m": {"a.b": "http://a.org/"}, "m.c": {"d": {"e": "2020-01-02"}}}]
    (found,) = read(tmp_path, kind, rows, url_column="m.a.b", date_columns=["m.c.d.e"])
    assert (found["url"], found["date"]) == ("http://a.org/", "2020-01-02")
