"""A JSON array of objects is read as if each object were a line."""

import gzip
import json
from typing import Any

import pytest
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.readers import ReaderSettings, format_of, locate, read_records
from corpusmill.stages.readers.json_array import is_array, items

ROWS: list[dict[str, Any]] = [
    {"text": 'brackets ]}[{ and a quote " and a \\', "id": "a"},
    {"text": "naïve 東京", "meta": {"of": [1, {"x": ["]"]}]}},
    {"text": "three, with a comma", "list": []},
]


def rows_of(path, **settings):
    artifact = Artifact(str(path), "x", path.stat().st_size)
    return [
        row
        for table in read_records(artifact, ReaderSettings(**settings))
        for row in table.to_pylist()
    ]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["rows.json", "rows", "rows.json.gz", "rows.jsonl"])
def test_an_array_of_objects_is_read(tmp_path, name, indent):
    path = tmp_path / name
    data = json.dumps(ROWS, indent=indent, ensure_ascii=False).encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert format_of(str(path)) == "jsonl"
    found = rows_of(path)
    assert [row["text"] for row in found] == [row["text"] for row in ROWS]
    assert [row["origin"]["row"] for row in found] == [0, 1, 2]
    assert json.loads(locate(found[1]["origin"])) == ROWS[1]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
def test_items_do_not_depend_on_where_chunks_end(size):
    data = json.dumps(ROWS).encode()
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    chunks = [b"".join(chunks[:2]), *chunks[2:]]
    found = list(items(chunks, 10_000))
    assert [json.loads(item) for item, _ in found] == ROWS
    assert [length for item, length in found] == [len(item) for item, _ in found]


def test_a_long_item_is_cut(tmp_path):
    found = list(items([b'[{"text": "', b"x" * 500, b'"}, {"text": "y"}]'], 100))
    assert [(len(item), length) for item, length in found] == [(100, 512), (14, 14)]


@pytest.mark.parametrize(
    ("data", "texts", "errors"),
    [
        (b'[{"text": "a"}, 3, {"text": "b"}]', ["a", "b"], 1),
        (b'[{"text": "a"}, {"text": "b"', ["a"], 1),
        (b'[{"text": "a"}] and more', ["a"], 1),
        (b'[{"text": "a"},]\n', ["a"], 0),
        (b'\xef\xbb\xbf [ {"text": "a"} ]', ["a"], 0),
    ],
)
def test_what_is_no_object_is_a_row_that_says_so(tmp_path, data, texts, errors):
    path = tmp_path / "rows.json"
    path.write_bytes(data)
    found = rows_of(path)
    assert [row["text"] for row in found if not row["error"]] == texts
    assert [row["error"] for row in found if row["error"]] == ["error_read.json"] * errors


@pytest.mark.parametrize("start", [b'{"text": 1}', b"[1, 2]", b"[[]]", b"text [{", b"[]", b""])
def test_other_json_is_no_array_of_objects(start):
    assert not is_array(start)


def test_time_is_linear_in_a_long_string():
    chunk = b"\\n" * 50_000
    found = list(items([b'[{"text": "', *[chunk] * 100, b'"}]'], 1 << 30))
    assert len(found) == 1
