"""Time grows with the length of an input, not with its square."""

import json
import time

import pytest

from tests.stages.readers.warc_bytes import PROSE, answer, page, put, record, rows_of

INPUTS = {
    "row.jsonl": lambda size: json.dumps({"text": "word \n" * (size // 6)}).encode(),
    "side.jsonl": lambda size: b'{"date": "%s", "text": "a"}' % (b"x" * size),
    "deep.jsonl": lambda size: b'{"a": %s%s, "text": "a"}' % (b"[" * size, b"]" * size),
    "pairs.jsonl": lambda size: (
        b'{"a": %s1%s, "text": "a"}' % (b'[{"b":' * (size // 8), b"}]" * (size // 8))
    ),
    "open.jsonl": lambda size: b'{"text": "a"}\n{"a": ' + b"[" * size,
    "escapes.jsonl": lambda size: b'{"text": "%s"}' % (b"\\ud83d" * (size // 6)),
    "blank.jsonl": lambda size: b"\n" * size + b'{"text": "a"}',
    "line.txt": lambda size: b"word " * (size // 5),
    "latin.txt": lambda size: b"caf\xe9 " * (size // 5),
    "header.warc": lambda size: b"WARC/1.0\n" + b"A: b\n" * (size // 5) + end(),
    "folded.warc": lambda size: record(0, b"HTTP/1.1 200 OK\nA: b\n" + b" c\n" * (size // 3)),
    "chunks.warc": lambda size: record(
        0, answer(b"1\r\na\r\n" * (size // 6) + b"0\r\n\r\n", Transfer_Encoding="chunked")
    ),
    "lines.warc": lambda size: record(0, answer(page())) + b"\r\n" * (size // 2) + end(),
    "line.arc": lambda size: (
        b"filedesc://x 1.2.3.4 20050614070159 text/plain 3\nabc\n" + b"http://a " * (size // 9)
    ),
}


def end():
    return record(1, answer(page(PROSE)))


@pytest.mark.parametrize("name", INPUTS)
def test_time_grows_with_the_length(tmp_path, name):
    def seconds(size):
        artifact = put(tmp_path, name, INPUTS[name](size))
        started = time.process_time()
        assert rows_of(artifact)
        return time.process_time() - started

    seconds(10_000)
    assert seconds(16_000_000) < 32 * seconds(1_000_000) + 0.5


@pytest.mark.parametrize("size", [10, 1000, 300_000])
@pytest.mark.parametrize("limit", [1, 5, 150_000])
def test_a_line_is_cut_at_the_limit_and_its_length_is_told(tmp_path, size, limit):
    artifact = put(tmp_path, "a.jsonl", b'{"text": "%s"}\n{"text": "b"}\n' % (b"x" * size))
    found = rows_of(artifact, max_payload_bytes=limit + 13)
    assert [row["text"] for row in found] == ["x" * size if size <= limit + 1 else None, "b"]
    if size > limit + 1:
        assert f"the line has {size + 12} bytes" in found[0]["error_detail"]
