"""A bad side column, or a bad value in one, never costs a document."""

import datetime
import decimal
import json
import uuid

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.readers import locate

from tests.stages.readers.warc_bytes import put, rows_of

TEXTS = ["one", "two", "three"]
DAY = datetime.datetime(2020, 1, 2, 3, 4, 5)
STAMP = 1_577_934_245  # DAY, in seconds


def rows(folder, text=TEXTS, settings=None, **columns):
    pq.write_table(pa.table({"text": text, **columns}), folder / "a.parquet")
    found = rows_of(Artifact(str(folder / "a.parquet"), "", 0), **(settings or {}))
    for row in found:
        json.loads(locate(row["origin"]))
    return found


def texts(found):
    return [row["text"] for row in found]


@pytest.mark.parametrize(
    ("column", "dates"),
    [
        (pa.array([2**50, STAMP, -(2**50)], pa.timestamp("s")), [None, DAY.isoformat(), None]),
        (pa.array([2**62, STAMP * 1000, None], pa.timestamp("ms")), [None, DAY.isoformat(), None]),
        (
            pa.array([2**62, STAMP * 10**6, 0], pa.timestamp("us", "UTC")),
            [None, "2020-01-02T03:04:05+00:00", "1970-01-01T00:00:00+00:00"],
        ),
        (pa.array([2_000_000_000, 18263, 0], pa.date32()), [None, "2020-01-02", "1970-01-01"]),
        (
            pa.array([2**60, 18263 * 86_400_000, 0], pa.int64()).cast(pa.date64(), safe=False),
            [None, "2020-01-02", "1970-01-01"],
        ),
        (
            pa.array([STAMP, STAMP, None], pa.timestamp("s", "Mars/Base")),
            ["2020-01-02T03:04:05+00:00"] * 2 + [None],
        ),
        (
            pa.array([STAMP, STAMP, None], pa.timestamp("s", "+25:99")),
            ["2020-01-02T03:04:05+00:00"] * 2 + [None],
        ),
        (
            pa.array([STAMP, STAMP, None], pa.timestamp("s", "Europe/Berlin")),
            ["2020-01-02T04:04:05+01:00"] * 2 + [None],
        ),
        (
            pa.array([STAMP * 10**9 + 123_456_789, 0, None], pa.timestamp("ns")),
            ["2020-01-02T03:04:05.123456", "1970-01-01T00:00:00", None],
        ),
        (pa.array([1, 2, 86_399], pa.time32("s")), ["00:00:01", "00:00:02", "23:59:59"]),
        (pa.array([1, 2, 2**60], pa.time64("ns")), None),
        (pa.array([1, 2**62, 3], pa.duration("s")), [None] * 3),
        (pa.array([1, 2**62, 3], pa.int64()), ["1", str(2**62), "3"]),
        (pa.array([1.5, float("nan"), float("inf")]), ["1.5", None, None]),
        (pa.array([True, False, None]), [None] * 3),
        (pa.nulls(3), [None] * 3),
        (
            pa.array([decimal.Decimal("2020.50"), None, decimal.Decimal(1)]),
            ["2020.50", None, "1.00"],
        ),
        (pa.array([b"2020-01-02", b"\xff\xfe", b""]), ["2020-01-02", None, None]),
        (pa.array(["2020", "", None]).dictionary_encode(), ["2020", None, None]),
        (pa.array(["2020", "", None], pa.string_view()), ["2020", None, None]),
        (pa.array([[1], [2], None]), [None] * 3),
        (pa.array([{"a": 1}, {"a": 2}, None]), [None] * 3),
        (pa.array([[("a", 1)], [], None], pa.map_(pa.string(), pa.int64())), [None] * 3),
        (pa.array(np.array([1, 2, 3], np.float16)), ["1.0", "2.0", "3.0"]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
@pytest.mark.parametrize("role", ["date", "url", "lang", "id"])
def test_a_bad_value_is_null_and_the_others_stand(tmp_path, column, dates, role):
    found = rows(tmp_path, **{role: column})
    assert texts(found) == TEXTS
    if dates is not None and role == "date":
        assert [row["date"] for row in found] == dates
    assert len({row["id"] for row in found}) == 3


def test_text_that_is_not_utf8_in_a_side_column_costs_that_value(tmp_path):
    broken = pa.Array.from_buffers(
        pa.string(), 3, pa.array([b"http://a", b"\xff\xfe", b"http://c"]).buffers()
    )
    found = rows(tmp_path, url=broken)
    assert texts(found) == TEXTS
    assert [row["url"] for row in found] == ["http://a", None, "http://c"]


@pytest.mark.parametrize(
    "kind",
    [
        pa.binary(),
        pa.large_binary(),
        pa.binary_view(),
        pa.binary(8),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int32(), pa.binary()),
        pa.dictionary(pa.int32(), pa.large_string()),
        pa.json_(),
    ],
    ids=str,
)
def test_text_is_read_from_every_type_that_holds_it(tmp_path, kind):
    given = [b"Gr\xc3\xbc\xc3\x9fe", b"zwei", b"drei"]
    if kind == pa.binary(8):
        given = [value.ljust(8, b"\0") for value in given]
    if isinstance(kind, pa.JsonType):
        column = pa.ExtensionArray.from_storage(kind, pa.array(["Grüße", "zwei", "drei"]))
    elif pa.types.is_dictionary(kind):
        column = pa.array(given).cast(kind.value_type).dictionary_encode()
    else:
        column = pa.array(given).cast(kind) if kind != pa.binary(8) else pa.array(given, kind)
    assert texts(rows(tmp_path, column)) == ["Grüße", "zwei", "drei"]


def test_bytes_that_are_no_text_cost_their_row(tmp_path):
    found = rows(tmp_path, pa.array([b"one", b"\xff\xfe", None]))
    assert texts(found) == ["one", None, ""]
    assert found[1]["error"] == "error_read.utf8"
    assert found[1]["origin"]["row"] == 1


def test_an_id_may_be_bytes(tmp_path):
    keys = [uuid.UUID(int=number).bytes for number in (2**100 + 1, 2**127 + 3, 255)]
    one = rows(tmp_path, id=pa.array(keys, pa.binary(16)), settings={"source": "s"})
    two = rows(tmp_path, TEXTS[::-1], id=pa.array(keys[::-1]), settings={"source": "s"})
    assert [row["id"] for row in one] == [row["id"] for row in two][::-1]


def twice(folder, name, *others):
    names = ["text", *others, name, name]
    columns = [pa.array(TEXTS)] * len(names)
    pq.write_table(pa.Table.from_arrays(columns, names=names), folder / "a.parquet")
    return Artifact(str(folder / "a.parquet"), "", 0)


@pytest.mark.parametrize("name", ["date", "url", "id", "lang", "other"])
def test_a_side_column_that_stands_twice_is_left_out(tmp_path, name):
    found = rows_of(twice(tmp_path, name))
    assert texts(found) == TEXTS
    assert [row["url"] for row in found] == [None] * 3
    assert set(json.loads(locate(found[1]["origin"])).values()) == {"two"}


def test_a_text_column_that_stands_twice_is_refused(tmp_path):
    with pytest.raises(InputError, match="has the column 'text' 3 times; rename one"):
        rows_of(twice(tmp_path, "text"))
    with pytest.raises(InputError, match="has the column 'key' twice"):
        rows_of(twice(tmp_path, "key"), id_column="key")


def test_the_next_date_column_counts_where_the_first_is_no_date(tmp_path):
    (row, *_) = rows(tmp_path, date=pa.array([[1]] * 3), timestamp=pa.array([DAY] * 3))
    assert row["date"] == DAY.isoformat()


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_in_each_row_the_first_column_that_holds_something_counts(tmp_path, name):
    given: list[dict[str, object]] = [
        {"licenses": ["MIT"], "detected_licenses": ["ISC"], "path": "a", "file_path": "b"},
        {"licenses": [], "detected_licenses": ["ISC", "MIT OR X11"], "path": "", "file_path": "b"},
        {"licenses": None, "detected_licenses": ["", "ISC"], "path": None, "file_path": "b"},
        {"licenses": None, "detected_licenses": None, "path": None, "file_path": None},
    ]
    times: list[dict[str, object]] = [
        {"date": "2020", "timestamp": "2021", "language": "Go", "lang": "C"},
        {"date": "", "timestamp": "2021", "language": "", "lang": "C"},
        {"date": None, "timestamp": "2021", "language": None, "lang": "C"},
        {"date": None, "timestamp": None, "language": None, "lang": None},
    ]
    lines = [{**one, **other, "text": "x"} for one, other in zip(given, times, strict=True)]
    if name == "a.jsonl":
        (tmp_path / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    else:
        pq.write_table(pa.Table.from_pylist(lines), tmp_path / name)
    found = rows_of(Artifact(str(tmp_path / name), "", 0))
    assert [row["licence"] for row in found] == ["MIT", "ISC AND (MIT OR X11)", "ISC", None]
    assert [row["path"] for row in found] == ["a", "b", "b", None]
    assert [row["date"] for row in found] == ["2020", "2021", "2021", None]
    assert [row["language"] for row in found] == ["Go", "C", "C", None]


def test_damaged_pages_of_a_side_column_cost_that_column_in_its_row_group(tmp_path):
    number = 600
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.table(
            {
                "date": [f"2020-{n:05}" for n in range(number)],
                "text": [f"text {n}" for n in range(number)],
            }
        ),
        path,
        row_group_size=300,
        compression="gzip",
        use_dictionary=False,
    )
    data = bytearray(path.read_bytes())
    data[60:200] = bytes(140)  # in the first column's first pages
    found = rows_of(put(tmp_path, "b.parquet", bytes(data)))
    assert texts(found) == [f"text {n}" for n in range(number)]
    assert [row["date"] for row in found[:300]] == [None] * 300
    assert found[300]["date"] == "2020-00300"


@pytest.mark.parametrize(
    ("side", "date"),
    [
        (b"9" * 5000, None),
        (b"1" + b"0" * 400 + b".5", None),
        (b"NaN", None),
        (b"-Infinity", None),
        (b"1e999", None),
        (b"true", None),
        (b"null", None),
        (b'{"$date": "2020-01-02"}', None),
        (b"[2020, 1, 2]", None),
        (b"[" * 100_000 + b"]" * 100_000, None),
        (b'{"a":' * 100_000 + b'"]}"' + b"}" * 100_000, None),
        (b"1577934245", "1577934245"),
        (b"1577934245.5", "1577934245.5"),
        (b'"2020\xff"', "2020\ufffd"),
        (b'"2020\\ud800"', "2020\ufffd"),
    ],
    ids=lambda value: repr(value[:12]) if value else "",
)
@pytest.mark.parametrize("role", ["date", "url", "lang", "id", "other"])
def test_a_bad_value_in_json_costs_that_value(tmp_path, side, date, role):
    line = b'{"%s": %s, "text": "Gr\xc3\xbc\xc3\x9fe \\"{[", "x": {"text": "no"}}\n'
    line = line % (role.encode(), side)
    (row,) = rows_of(put(tmp_path, "a.jsonl", line))
    assert (row["text"], row["error"]) == ('Grüße "{[', None)
    if role == "date":
        assert row["date"] == date


@pytest.mark.parametrize("text", [b'"Gr\xfc\xdfe"', b'"\xc3"'])
def test_a_text_in_json_that_is_not_utf8_costs_its_row(tmp_path, text):
    (row,) = rows_of(put(tmp_path, "a.jsonl", b'{"date": "2020", "text": %s}' % text))
    assert row["error"] == "error_read.utf8"


@pytest.mark.parametrize("name", ["Licence", "License", "LICENSES"])
def test_the_case_of_a_column_of_licences_does_not_matter(tmp_path, name):
    said = ["MIT", None, "ISC"]
    assert [row["licence"] for row in rows(tmp_path, **{name: said})] == said
    lines = [json.dumps({"text": "one", name: one}) for one in said]
    found = rows_of(put(tmp_path, "a.jsonl", "\n".join(lines).encode()))
    assert [row["licence"] for row in found] == said


def test_columns_of_licences_that_are_set_must_be_there(tmp_path):
    assert [row["licence"] for row in rows(tmp_path, rights=TEXTS)] == [None] * 3
    asked = {"licence_columns": ("terms", "Rights")}
    assert [row["licence"] for row in rows(tmp_path, settings=asked, rights=TEXTS)] == TEXTS
    with pytest.raises(InputError, match="no column 'terms'; it has text, rights"):
        rows(tmp_path, settings={"licence_columns": ("terms",)}, rights=TEXTS)
