"""WARC headers as archives have them: line ends, folded lines, versions, missing empty lines."""

import gzip
import time

import pytest
from corpusmill.stages.readers import format_of, locate

from tests.stages.readers.warc_bytes import PROSE, answer, errors, numbers, page, put, rows_of

BODY = page(PROSE)
ENDS = {
    "CRLF": b"\r\n",
    "LF": b"\n",
    "CR CR LF": b"\r\r\n",
}


def header(number, block, end=b"\n", version=b"WARC/0.18", extra=(), length=None):
    fields = [
        version,
        b"WARC-Type: response",
        b"WARC-Target-URI: http://example.org/%d" % number,
        *extra,
        b"Content-Type: application/http;msgtype=response",
        b"Content-Length: %d" % (len(block) if length is None else length),
    ]
    return end.join(fields) + end


def lf_answer(body=BODY, end=b"\n"):
    return answer(body).replace(b"\r\n", end)


def read(tmp_path, *records, **settings):
    """The rows of the records, plain, each as a gzip member, and as one member. All are equal."""
    plain = rows_of(put(tmp_path, "a.warc", b"".join(records)), **settings)
    members = rows_of(put(tmp_path, "b.warc.gz", b"".join(map(gzip.compress, records))), **settings)
    one = rows_of(put(tmp_path, "c.warc.gz", gzip.compress(b"".join(records))), **settings)
    for rows in (members, one):
        assert [row["payload"] for row in rows] == [row["payload"] for row in plain]
        assert errors(rows) == errors(plain)
    for row in (*plain, *members, *one):
        if row["error"] is None:
            assert row["payload"] in locate(row["origin"])
    return plain


@pytest.mark.parametrize("inner", ENDS)
@pytest.mark.parametrize("outer", ENDS)
def test_lines_end_in_any_way_in_both_headers(tmp_path, outer, inner):
    records = []
    for number in range(3):
        block = lf_answer(BODY, ENDS[inner])
        head = header(number, block, ENDS[outer]) + ENDS[outer]
        records.append(head + block + ENDS[outer] * 2)
    rows = read(tmp_path, *records)
    assert numbers(rows) == [0, 1, 2]
    assert {row["payload"] for row in rows} == {BODY}
    assert {(row["status"], row["mime"], row["charset"]) for row in rows} == {
        (200, "text/html", "utf-8")
    }


def test_line_ends_may_be_mixed_within_a_header(tmp_path):
    block = answer(BODY).replace(b"OK\r\n", b"OK\n")
    head = header(0, block).replace(b"response\n", b"response\r\n", 1) + b"\r\n"
    rows = read(tmp_path, head + block + b"\n", head.replace(b"/0", b"/1") + block + b"\r\n\r\n")
    assert numbers(rows) == [0, 1]
    assert {row["payload"] for row in rows} == {BODY}


@pytest.mark.parametrize(
    "version", [b"WARC/0.17", b"WARC/0.18", b"WARC/1.0", b"WARC/1.1", b"warc/1.0", b"WARC/1.0 "]
)
def test_a_version_is_known_whatever_its_number_and_its_case(tmp_path, version):
    block = answer(BODY)
    records = [header(n, block, version=version) + b"\n" + block + b"\n\n" for n in range(2)]
    assert numbers(read(tmp_path, *records)) == [0, 1]
    assert format_of(put(tmp_path, "no-suffix", b"".join(records)).path) == "warc"


def test_folded_lines_lines_without_a_colon_and_odd_bytes_cost_nothing(tmp_path):
    extra = [
        b"X-Folded: one",
        b" two",
        b"\tthree: four",
        b"no colon here",
        b"WARC-TREC-ID: clueweb09-en0000-00-00000",
        b"X-Bytes: \x80\xff\x00",
        b"WARC-Identified-Payload-Type: ",
    ]
    block = answer(BODY)
    records = [header(n, block, extra=extra) + b"\n" + block + b"\n\n" for n in range(2)]
    assert numbers(read(tmp_path, *records)) == [0, 1]


def test_a_folded_address_is_whole(tmp_path):
    block = answer(BODY)
    head = header(0, block).replace(b"URI: http", b"URI:\n  http")
    (row,) = read(tmp_path, head + b"\n" + block)
    assert row["url"] == "http://example.org/0"


def test_a_missing_empty_line_before_the_block_or_the_page_costs_nothing(tmp_path):
    block = answer(BODY)
    no_empty = block.replace(b"\r\n\r\n", b"\r\n")
    rows = read(
        tmp_path,
        header(0, block) + block + b"\n\n",
        header(1, no_empty) + b"\n" + no_empty + b"\n\n",
        header(2, block) + b"\n" + block,
        header(3, block) + b"\n" + block + b"\n",
    )
    assert numbers(rows) == [0, 1, 2, 3]
    assert {row["payload"] for row in rows} == {BODY}


def test_an_empty_line_inside_a_header_does_not_end_it(tmp_path):
    block = answer(BODY)
    head = header(0, block).replace(b"Content-Length", b"\nContent-Length")
    (row,) = read(tmp_path, head + b"\n" + block)
    assert row["payload"] == BODY


def test_many_empty_lines_between_records_cost_nothing(tmp_path):
    block = answer(BODY)
    records = [header(n, block) + b"\n" + block + b"\r\n" * 5000 for n in range(2)]
    assert numbers(read(tmp_path, *records)) == [0, 1]


@pytest.mark.parametrize("wrong", [-50, 60, 1_000_000])
def test_a_wrong_length_with_lf_lines_leaves_a_row_and_the_next_record(tmp_path, wrong):
    block = answer(BODY)
    records = [
        header(0, block) + b"\n" + block + b"\n\n",
        header(1, block, length=len(block) + wrong) + b"\n" + block + b"\n\n",
        header(2, block) + b"\n" + block + b"\n\n",
    ]
    for name, data in (
        ("a.warc", b"".join(records)),
        ("a.warc.gz", b"".join(map(gzip.compress, records))),
        ("a.warc.gz", gzip.compress(b"".join(records))),
    ):
        rows = rows_of(put(tmp_path, name, data))
        found = numbers(rows)
        assert (found[0], found[-1], len(errors(rows))) == (0, 2, 1)
        assert BODY in locate(rows[-1]["origin"])


@pytest.mark.parametrize("line", [b"X-Many: 1\n", b" folded\n", b"no colon\n"])
def test_a_million_header_lines_cost_one_row_and_little_time(tmp_path, line):
    block = b"HTTP/1.1 200 OK\nContent-Type: text/html\n" + line * 200_000 + b"\n" + BODY
    small = answer(BODY)
    many = header(0, small, extra=[line[:-1]] * 1_000_000) + b"\n" + small + b"\n\n"
    started = time.process_time()
    rows = read(
        tmp_path,
        many,
        header(1, block) + b"\n" + block + b"\n\n",
        header(2, small) + b"\n" + small,
    )
    assert numbers(rows) == [None, 1, 2]
    assert rows[1]["payload"] == BODY
    assert time.process_time() - started < 20
