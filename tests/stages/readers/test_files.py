"""JSON lines, Parquet and plain files: columns as the settings say, one row for anything that
cannot be read, and formats found by content.
"""

import bz2
import datetime
import gzip
import json
import lzma

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.readers import format_of, locate

from tests.stages.readers.warc_bytes import pages, put, rows_of

LINES = b'{"text": "one"}\n{"text": "two"}\n{"text": "three"}\n'


def texts(rows):
    return [None if row["error"] else row["text"] for row in rows]


def jsonl(*objects):
    return b"".join(json.dumps(item).encode() + b"\n" for item in objects)


def parquet(folder, name="data.parquet", **columns):
    pq.write_table(pa.table(columns), folder / name)
    return Artifact(str(folder / name), "", 0)


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.jsonl", bytes),
        ("a.json.gz", gzip.compress),
        ("a.jsonl.zst", zstandard.compress),
        ("a.jsonl.bz2", bz2.compress),
        ("a.ndjson.xz", lzma.compress),
        ("no-suffix", bytes),
    ],
)
def test_json_lines_are_read_whatever_they_are_compressed_with(tmp_path, name, pack):
    rows = rows_of(put(tmp_path, name, pack(LINES)))
    assert texts(rows) == ["one", "two", "three"]
    assert [row["origin"]["row"] for row in rows] == [0, 1, 2]
    assert locate(rows[1]["origin"]) == b'{"text": "two"}'


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_json_lines_with_a_byte_order_mark_are_read(tmp_path, encoding, pack):
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    given = [json.dumps({"text": f"Grüße {n} 😀"}, ensure_ascii=False) for n in range(9000)]
    data = (mark + "\r\n".join(given)).encode(encoding)
    rows = rows_of(put(tmp_path, "a.jsonl", pack(data)))
    assert texts(rows) == [f"Grüße {n} 😀" for n in range(9000)]
    assert json.loads(locate(rows[8000]["origin"])) == json.loads(given[8000])


def test_a_last_line_without_its_newline_and_blank_lines_are_fine(tmp_path):
    rows = rows_of(put(tmp_path, "a.jsonl", b'\n{"text": "one"}\r\n\n{"text": "two"}'))
    assert texts(rows) == ["one", "two"]
    assert [row["origin"]["row"] for row in rows] == [1, 3]


def test_documented_columns_are_taken_and_others_ignored(tmp_path):
    line = {
        "text": "t",
        "id": 7,
        "url": "http://a",
        "timestamp": "2020-01-01",
        "lang": "de",
        "title": "ignored",
    }
    (row,) = rows_of(put(tmp_path, "a.jsonl", jsonl(line)))
    assert (row["url"], row["date"], row["language"]) == ("http://a", "2020-01-01", "de")
    assert "title" not in row


def test_named_columns_are_taken(tmp_path):
    data = put(tmp_path, "a.jsonl", jsonl({"body": "t", "key": "k", "link": "http://a"}))
    (row,) = rows_of(data, text_column="body", id_column="key", url_column="link")
    assert (row["text"], row["url"]) == ("t", "http://a")


def test_an_id_column_makes_the_id_independent_of_the_place(tmp_path):
    first = rows_of(
        put(tmp_path, "a.jsonl", jsonl({"text": "t", "id": "x"}, {"text": "u", "id": "y"})),
        source="s",
    )
    second = rows_of(
        put(tmp_path, "b.jsonl", jsonl({"text": "u", "id": "y"}, {"text": "t", "id": "x"})),
        source="s",
    )
    assert [row["id"] for row in first] == [row["id"] for row in reversed(second)]


def test_without_an_id_column_every_row_has_an_id_of_its_own(tmp_path):
    rows = rows_of(put(tmp_path, "a.jsonl", LINES)) + rows_of(put(tmp_path, "b.jsonl", LINES))
    assert len({row["id"] for row in rows}) == 6


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b'{"text": "cut', "error_read.json"),
        (b'["text"]', "error_read.json"),
        (b"[" * 100_000, "error_read.json"),
        (b'{"n": ' + b"9" * 5000 + b"}", "error_read.column"),
        (b'{"text": "\xff\xfe"}', "error_read.utf8"),
        (b'{"text": 5}', "error_read.type"),
        (b'{"text": ["a"]}', "error_read.type"),
        (b'{"other": "a"}', "error_read.column"),
    ],
)
def test_a_line_that_cannot_be_used_costs_one_row(tmp_path, line, error):
    rows = rows_of(put(tmp_path, "a.jsonl", b'{"text": "one"}\n' + line + b'\n{"text": "two"}\n'))
    assert texts(rows) == ["one", None, "two"]
    assert rows[1]["error"] == error
    assert "row 1" in rows[1]["error_detail"]


def test_half_a_surrogate_pair_becomes_a_replacement_character(tmp_path):
    (row,) = rows_of(put(tmp_path, "a.jsonl", b'{"text": "a\\ud800b \\ud83d\\ude00"}'))
    assert row["text"] == "a\ufffdb \U0001f600"


def test_a_line_over_the_limit_is_not_kept_and_the_next_is(tmp_path):
    rows = rows_of(
        put(tmp_path, "a.jsonl", jsonl({"text": "x" * 5000}, {"text": "two"})),
        max_payload_bytes=1000,
    )
    assert texts(rows) == [None, "two"]
    assert rows[0]["error"] == "page.too_large"


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, bz2.compress, lzma.compress])
def test_compressed_lines_cut_off_leave_what_was_whole_and_one_row(tmp_path, pack):
    data = put(tmp_path, "a.jsonl.gz", pack(LINES) + pack(LINES)[:-9])
    rows = rows_of(data)
    assert texts(rows)[:3] == ["one", "two", "three"]
    assert rows[-1]["error"] == "error_read.truncated"


def test_a_text_column_that_is_in_no_line_refuses_the_file(tmp_path):
    with pytest.raises(
        InputError, match=r"no column 'text'; it has body, id.*set the reader's `text_column`"
    ):
        rows_of(put(tmp_path, "a.jsonl", jsonl({"body": "t", "id": 1}, {"body": "u", "id": 2})))


def test_a_named_id_column_must_be_there(tmp_path):
    with pytest.raises(InputError, match="no column 'key'"):
        rows_of(put(tmp_path, "a.jsonl", LINES), id_column="key")


def test_a_file_without_any_json_object_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no JSON object"):
        rows_of(put(tmp_path, "a.jsonl", b"<html>\n</html>\n"))


def test_parquet_rows_are_records_with_their_columns(tmp_path):
    data = parquet(
        tmp_path,
        text=pa.array(["one", None, "three"]).dictionary_encode(),
        id=[1, 2, 3],
        date=[datetime.datetime(2020, 1, 2, 3, 4)] * 3,
        extra=[1.5] * 3,
    )
    rows = rows_of(data)
    assert texts(rows) == ["one", "", "three"]
    assert rows[0]["date"] == "2020-01-02T03:04:00"
    assert json.loads(locate(rows[2]["origin"]))["extra"] == 1.5


def test_parquet_rows_are_counted_over_row_groups(tmp_path):
    pq.write_table(
        pa.table({"text": [str(n) for n in range(1000)]}),
        tmp_path / "a.parquet",
        row_group_size=300,
    )
    rows = rows_of(Artifact(str(tmp_path / "a.parquet"), "", 0))
    assert [row["origin"]["row"] for row in rows] == list(range(1000))
    assert json.loads(locate(rows[950]["origin"])) == {"text": "950"}


def test_a_parquet_file_without_the_text_column_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no column 'text'; it has body"):
        rows_of(parquet(tmp_path, body=["a"]))


def test_a_parquet_text_column_of_another_type_is_refused(tmp_path):
    with pytest.raises(InputError, match="column 'text' is int64, not text"):
        rows_of(parquet(tmp_path, text=[1, 2]))


def test_a_damaged_parquet_file_is_refused_or_costs_its_rows(tmp_path):
    pq.write_table(
        pa.table({"text": [f"row {n} " * 20 for n in range(600)]}),
        tmp_path / "a.parquet",
        row_group_size=300,
    )
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    with pytest.raises(InputError, match="not a readable Parquet file"):
        rows_of(put(tmp_path, "cut.parquet", bytes(data[:-100])))
    data[4:60] = bytes(56)
    rows = rows_of(put(tmp_path, "broken.parquet", bytes(data)))
    assert len(rows) == 600
    assert {row["error"] for row in rows[:300]} == {"error_read.corrupt"}
    assert {row["error"] for row in rows[300:]} == {None}


def test_a_text_file_is_one_document(tmp_path):
    (row,) = rows_of(put(tmp_path, "notes.txt", "Zwei Zeilen\nmit Grüßen".encode("latin-1")))
    assert row["text"] == "Zwei Zeilen\nmit Grüßen"
    assert row["source"] == "notes"
    assert locate(row["origin"]) == "Zwei Zeilen\nmit Grüßen".encode("latin-1")


def test_an_html_file_is_a_page(tmp_path):
    (row,) = rows_of(put(tmp_path, "index.html", b"<p>hello</p>"))
    assert (row["mime"], row["payload"], row["text"]) == ("text/html", b"<p>hello</p>", None)


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "a.txt", "a.warc.gz", "whatever"])
def test_an_empty_file_of_any_name_has_no_records(tmp_path, name):
    assert rows_of(put(tmp_path, name, b"")) == []


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("x.txt", pages(1)[0], "warc"),
        ("x", pages(1, compressed=False)[0], "warc"),
        ("x.bin", b"PAR1....", "parquet"),
        ("x", b' {"text": "a"}', "jsonl"),
        ("x.json.zst", zstandard.compress(LINES), "jsonl"),
        ("README", b"plain words", "text"),
        ("x.md", b"\xff\xfe", "text"),
    ],
)
def test_the_format_is_told_by_content_then_name_then_content(tmp_path, name, data, expected):
    assert format_of(put(tmp_path, name, data).path) == expected


def test_a_file_of_unknown_format_is_refused_with_the_mend(tmp_path):
    with pytest.raises(InputError, match=r"is of no known format.*set the reader's `format`"):
        rows_of(put(tmp_path, "x.bin", b"\x00\x01\x02"))


@pytest.mark.parametrize("name", ["x.csv", "x.tsv.gz"])
def test_a_table_is_refused_unless_it_is_wanted_as_text(tmp_path, name):
    data = gzip.compress(b"id,text\n1,one\n") if "gz" in name else b"id,text\n1,one\n"
    with pytest.raises(InputError, match=r"is a table.*write it as Parquet or JSON lines, or set"):
        rows_of(put(tmp_path, name, data))
    (row,) = rows_of(put(tmp_path, name, data), format="text")
    assert row["text"] == "id,text\n1,one\n"


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        rows_of(Artifact(str(tmp_path / "gone.warc.gz"), "", 0))
