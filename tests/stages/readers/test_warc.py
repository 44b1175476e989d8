"""WARC: what is a document and where it lies. Damage costs one counted row and not the rest of the
file.
"""

import gzip
import tracemalloc

import pytest
from corpusmill.manifests.errors import InputError
from corpusmill.stages.readers import RECORD, ReaderSettings, locate, read_records

from tests.stages.readers.warc_bytes import (
    PROSE,
    answer,
    errors,
    numbers,
    page,
    pages,
    put,
    record,
    rows_of,
)


@pytest.mark.parametrize("compressed", [True, False])
def test_a_response_is_a_record_with_its_http_fields(tmp_path, compressed):
    (row,) = rows_of(put(tmp_path, "crawl.warc.gz", pages(1, compressed)[0]))
    assert row["url"] == "http://example.org/0"
    assert row["source"] == "crawl"
    assert row["date"] == "2024-05-01T12:00:00Z"
    assert (row["status"], row["mime"], row["charset"]) == (200, "text/html", "utf-8")
    assert row["payload"] == page(f"Page number 0. {PROSE * 2}")
    assert row["text"] is None
    assert row["error"] is None


def test_tables_have_the_declared_schema(tmp_path):
    for table in read_records(
        put(tmp_path, "crawl.warc", b"".join(pages(3, compressed=False))), ReaderSettings()
    ):
        assert table.schema == RECORD


@pytest.mark.parametrize("compressed", [True, False])
def test_every_record_is_found_again_from_its_origin(tmp_path, compressed):
    made = pages(4, compressed)
    rows = rows_of(put(tmp_path, "crawl.warc", b"".join(made)))
    assert [row["origin"]["offset"] for row in rows] == [sum(map(len, made[:n])) for n in range(4)]
    assert [row["origin"]["length"] for row in rows] == [len(item) for item in made]
    for row, whole in zip(rows, pages(4, compressed=False), strict=True):
        assert locate(row["origin"]) == whole.removesuffix(b"\r\n\r\n")


def test_records_that_share_one_gzip_member_are_told_apart_by_their_row(tmp_path):
    whole = pages(3, compressed=False)
    rows = rows_of(put(tmp_path, "crawl.warc.gz", gzip.compress(b"".join(whole))))
    assert numbers(rows) == [0, 1, 2]
    assert [(row["origin"]["offset"], row["origin"]["row"]) for row in rows] == [
        (0, None),
        (0, 1),
        (0, 2),
    ]
    assert locate(rows[2]["origin"]) == whole[2].removesuffix(b"\r\n\r\n")


def test_an_id_is_that_of_source_and_record_and_not_of_its_place(tmp_path):
    made = pages(2)
    first = rows_of(put(tmp_path, "a.warc.gz", b"".join(made)), source="crawl")
    moved = rows_of(put(tmp_path, "b.warc.gz", b"".join(reversed(made))), source="crawl")
    assert [row["id"] for row in first] == [row["id"] for row in reversed(moved)]
    other = rows_of(put(tmp_path, "c.warc.gz", b"".join(made)), source="another crawl")
    assert {row["id"] for row in first}.isdisjoint(row["id"] for row in other)


def test_a_record_id_used_twice_in_a_file_still_gives_two_ids(tmp_path):
    rows = rows_of(put(tmp_path, "a.warc.gz", pages(1)[0] * 2))
    assert len({row["id"] for row in rows}) == 2


def test_only_responses_conversions_and_text_resources_are_documents(tmp_path):
    data = b"".join(
        [
            record(0, b"software: x\r\n", "warcinfo", "application/warc-fields"),
            record(1, b"GET / HTTP/1.1\r\n\r\n", "request", "application/http; msgtype=request"),
            record(2, answer(page())),
            record(3, b"via: x\r\n", "metadata", "application/warc-fields"),
            record(4, answer(), "revisit"),
            record(5, page(), "resource", "text/html"),
            record(6, b"\x89PNG", "resource", "image/png"),
            record(
                7,
                b"--level=1",
                "resource",
                "text/plain",
                uri="metadata://gnu.org/software/wget/warc/arguments.txt",
            ),
            record(8, "Text schon gewonnen: Grüße".encode(), "conversion", "text/plain"),
        ]
    )
    rows = rows_of(put(tmp_path, "crawl.warc", data))
    assert numbers(rows) == [2, 5, 8]
    assert [row["status"] for row in rows] == [200, None, None]
    assert rows[2]["text"] == "Text schon gewonnen: Grüße"
    assert rows[2]["payload"] is None


def test_a_gzip_member_cut_off_at_the_end_costs_one_row(tmp_path):
    rows = rows_of(put(tmp_path, "crawl.warc.gz", b"".join(pages(3))[:-60]))
    assert numbers(rows) == [0, 1, None]
    assert errors(rows) == ["error_read.truncated"]
    assert rows[2]["origin"]["offset"] == len(pages(3)[0]) + len(pages(3)[1])
    assert "the file ends inside a compressed member" in rows[2]["error_detail"]


def test_reading_goes_on_after_a_gzip_member_cut_off_in_the_middle(tmp_path):
    made = pages(4)
    rows = rows_of(put(tmp_path, "crawl.warc.gz", made[0] + made[1][:-70] + made[2] + made[3]))
    assert numbers(rows) == [0, None, 2, 3]
    assert errors(rows) == ["error_read.corrupt"]
    assert rows[1]["url"] == "http://example.org/1"


def test_reading_goes_on_after_a_flipped_bit(tmp_path):
    made = pages(4)
    broken = bytearray(made[1])
    broken[-30] ^= 0xFF
    rows = rows_of(put(tmp_path, "crawl.warc.gz", made[0] + bytes(broken) + made[2] + made[3]))
    assert numbers(rows) == [0, None, 2, 3]


def test_a_page_that_does_not_match_its_checksum_is_not_kept(tmp_path):
    made = pages(3)
    broken = bytearray(made[1])
    broken[-8] ^= 0xFF  # the CRC-32 in the trailer
    rows = rows_of(put(tmp_path, "crawl.warc.gz", made[0] + bytes(broken) + made[2]))
    assert numbers(rows) == [0, None, 2]
    assert errors(rows) == ["error_read.corrupt"]


@pytest.mark.parametrize("compressed", [True, False])
def test_reading_goes_on_after_garbage_between_records(tmp_path, compressed):
    made = pages(3, compressed)
    rows = rows_of(
        put(tmp_path, "crawl.warc", made[0] + b"\x00no record\n" * 500 + made[1] + made[2])
    )
    assert numbers(rows) == [0, None, 1, 2]


def test_a_record_cut_off_at_the_end_of_the_file_costs_one_row(tmp_path):
    rows = rows_of(put(tmp_path, "crawl.warc", b"".join(pages(3, compressed=False))[:-100]))
    assert numbers(rows) == [0, 1, None]
    assert errors(rows) == ["error_read.truncated"]
    assert rows[2]["url"] == "http://example.org/2"


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("excess", [50, 1_000_000])
def test_a_record_that_claims_bytes_of_the_next_does_not_swallow_it(tmp_path, compressed, excess):
    block = answer(page())
    liar = record(1, block, claims=len(block) + excess)
    made = pages(4, compressed)
    data = made[0] + (gzip.compress(liar) if compressed else liar) + made[2] + made[3]
    rows = rows_of(put(tmp_path, "crawl.warc", data))
    assert numbers(rows) == [0, None, 2, 3]
    assert errors(rows) == ["error_read.length"]


@pytest.mark.parametrize("compressed", [True, False])
def test_a_record_that_claims_too_little_leaves_a_row_for_the_rest(tmp_path, compressed):
    block = answer(page())
    liar = record(1, block, claims=len(block) - 50)
    made = pages(3, compressed)
    data = made[0] + (gzip.compress(liar) if compressed else liar) + made[2]
    rows = rows_of(put(tmp_path, "crawl.warc", data))
    assert numbers(rows) == [0, 1, None, 2]
    assert errors(rows) == ["error_read.warc"]


def test_a_header_cut_off_at_the_end_of_the_file_costs_one_row(tmp_path):
    made = pages(2, compressed=False)
    for length in (len(b"WARC/1.0\r\nWARC-Ty"), made[1].index(b"Content-Length")):
        rows = rows_of(put(tmp_path, "crawl.warc", made[0] + made[1][:length]))
        assert numbers(rows) == [0, None]


def test_a_record_of_a_type_that_does_not_exist_is_a_row_and_not_skipped(tmp_path):
    rows = rows_of(
        put(
            tmp_path,
            "crawl.warc",
            record(0, answer(page()), kind="respanse") + pages(2, compressed=False)[1],
        )
    )
    assert numbers(rows) == [None, 1]
    assert errors(rows) == ["error_read.warc"]


def test_a_content_length_that_is_no_number_costs_one_row(tmp_path):
    made = pages(2, compressed=False)
    rows = rows_of(put(tmp_path, "crawl.warc", record(9, answer(page()), claims="many") + made[1]))
    assert numbers(rows) == [None, 1]


def test_an_answer_without_a_status_line_costs_one_row(tmp_path):
    rows = rows_of(
        put(
            tmp_path,
            "crawl.warc",
            record(0, b"<html>no head</html>") + pages(2, compressed=False)[1],
        )
    )
    assert errors(rows) == ["error_read.http"]
    assert numbers(rows) == [None, 1]


def test_a_body_over_the_limit_is_not_read_and_the_next_record_is(tmp_path):
    big = record(0, answer(page("x" * 50_000)))
    rows = rows_of(
        put(tmp_path, "crawl.warc", big + pages(2, compressed=False)[1]), max_payload_bytes=10_000
    )
    assert rows[0]["error"] == "page.too_large"
    assert rows[0]["payload"] is None
    assert numbers(rows) == [None, 1]


def test_an_empty_file_has_no_records(tmp_path):
    assert rows_of(put(tmp_path, "crawl.warc.gz", b"")) == []
    assert rows_of(put(tmp_path, "empty.warc.gz", gzip.compress(b""))) == []


@pytest.mark.parametrize(
    "data",
    [b"<html>503 Service Unavailable</html>", gzip.compress(b"no record"), b"\x1f\x8b\x08\x00"],
)
def test_a_file_that_is_no_warc_at_all_is_refused_with_its_name(tmp_path, data):
    with pytest.raises(InputError, match=r"crawl\.warc\.gz holds no WARC record"):
        rows_of(put(tmp_path, "crawl.warc.gz", data))


def test_a_batch_ends_at_its_rows_and_at_its_bytes(tmp_path):
    artifact = put(tmp_path, "crawl.warc.gz", b"".join(pages(10)))
    by_rows = [table.num_rows for table in read_records(artifact, ReaderSettings(), batch_rows=4)]
    assert by_rows == [4, 4, 2]
    by_bytes = [table.num_rows for table in read_records(artifact, ReaderSettings(), batch_bytes=1)]
    assert by_bytes == [1] * 10


def test_memory_holds_a_batch_and_not_the_file(tmp_path):
    member = gzip.compress(record(0, answer(page("x" * 1_000_000))))
    artifact = put(tmp_path, "crawl.warc.gz", member * 100)
    tracemalloc.start()
    rows = sum(
        table.num_rows for table in read_records(artifact, ReaderSettings(), batch_bytes=4 << 20)
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == 100
    assert peak < 40 << 20


def test_a_wat_file_says_what_it_is_instead_of_looking_empty(tmp_path):
    metadata = record(0, b'{"Container": {}}', kind="metadata", content_type="application/json")
    (row,) = rows_of(put(tmp_path, "crawl.wat", metadata * 3))
    assert row["error"] == "record.wat"
    assert "3 records of metadata and no page; give the WARC or WET file" in row["error_detail"]


def test_metadata_beside_pages_is_skipped(tmp_path):
    metadata = record(0, b"{}", kind="metadata", content_type="application/json")
    assert numbers(
        rows_of(put(tmp_path, "crawl.warc", metadata + pages(1, compressed=False)[0]))
    ) == [0]


def test_an_answer_that_an_archive_calls_by_its_pages_type_is_still_an_answer(tmp_path):
    (row,) = rows_of(
        put(tmp_path, "from_arc.warc", record(0, answer(page()), content_type="text/html"))
    )
    assert (row["status"], row["mime"], row["payload"]) == (200, "text/html", page())
