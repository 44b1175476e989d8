"""ARC: the same promises as for WARC, on bytes made from the format's description."""

import gzip
from pathlib import Path

import pytest
from corpusmill.manifests.errors import InputError
from corpusmill.stages.readers import format_of, locate
from corpusmill.stages.readers.arc import iso_date, parsed

from tests.stages.readers.arc_bytes import FILEDESC, pages, record
from tests.stages.readers.warc_bytes import PROSE, answer, errors, numbers, page, put, rows_of


def arc(tmp_path, records, compressed, name="crawl.arc"):
    return put(
        tmp_path,
        name,
        b"".join(gzip.compress(item, mtime=0) if compressed else item for item in records),
    )


@pytest.mark.parametrize("compressed", [True, False])
def test_an_answer_is_a_record_with_its_http_fields(tmp_path, compressed):
    artifact = arc(tmp_path, pages(1), compressed, "anything")
    assert format_of(artifact.path) == "arc"
    (row,) = rows_of(artifact)
    assert (row["url"], row["date"]) == ("http://example.org/0", "2005-06-14T07:01:59Z")
    assert (row["status"], row["mime"], row["charset"]) == (200, "text/html", "utf-8")
    assert row["payload"] == page(f"Page 0. {PROSE}")


@pytest.mark.parametrize("compressed", [True, False])
def test_every_record_is_found_again_from_its_origin(tmp_path, compressed):
    made = pages(3)
    rows = rows_of(arc(tmp_path, made, compressed))
    assert numbers(rows) == [0, 1, 2]
    for row, whole in zip(rows, made[1:], strict=True):
        assert locate(row["origin"]) == whole.removesuffix(b"\n")
        assert row["origin"]["length"] == (
            len(gzip.compress(whole)) if compressed else len(whole) - 1
        )


def test_records_that_share_one_gzip_member_are_told_apart_by_their_row(tmp_path):
    made = pages(3)
    rows = rows_of(put(tmp_path, "crawl.arc.gz", gzip.compress(b"".join(made))))
    assert [(row["origin"]["offset"], row["origin"]["row"]) for row in rows] == [
        (0, 1),
        (0, 2),
        (0, 3),
    ]
    assert locate(rows[2]["origin"]) == made[3].removesuffix(b"\n")


def test_an_id_is_that_of_address_and_date_and_not_of_its_place(tmp_path):
    made = pages(2)
    first = rows_of(arc(tmp_path, made, True, "a.arc.gz"), source="crawl")
    moved = rows_of(arc(tmp_path, [made[0], made[2], made[1]], False, "b.arc"), source="crawl")
    assert [row["id"] for row in first] == [row["id"] for row in reversed(moved)]
    assert len({row["id"] for row in rows_of(arc(tmp_path, made + made[1:], False, "c.arc"))}) == 4


def test_version_2_has_more_fields():
    header = parsed(
        b"http://example.org/a 1.2.3.4 20050614070159 text/html 200 f7a9 - 532 crawl.arc 1234\n"
    )
    assert header is not None
    assert (header.url, header.mime, header.length) == ("http://example.org/a", "text/html", 1234)


def test_an_address_with_spaces_is_taken_whole():
    header = parsed(b"http://example.org/a b c 1.2.3.4 20050614070159 no-type 12\n")
    assert header is not None
    assert header.url == "http://example.org/a b c"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"<html>\n",
        b"http://example.org/ 1.2.3.4 text/html 12\n",
        b"http://x.org/ 1.2.3.4 20050614070159 text/html 1x\n",
    ],
)
def test_other_lines_are_no_records(line):
    assert parsed(line) is None


def test_dates_of_the_oldest_files_are_shorter():
    assert iso_date("1996110512") == "1996-11-05T12:00:00Z"


def test_a_record_of_another_protocol_is_no_page(tmp_path):
    (row,) = rows_of(
        arc(
            tmp_path,
            [FILEDESC, record("dns:example.org", b"example.org. 600 IN A 1.2.3.4", "text/dns")],
            False,
        )
    )
    assert (row["mime"], row["status"]) == ("text/dns", None)


def test_an_answer_without_a_status_line_is_a_row_that_says_so(tmp_path):
    rows = rows_of(
        arc(tmp_path, [*pages(1), record("http://example.org/1", b"<html>no head</html>")], False)
    )
    assert errors(rows) == ["error_read.http"]


def test_the_type_of_an_answer_without_one_is_what_the_archive_says(tmp_path):
    (row,) = rows_of(
        arc(
            tmp_path,
            [FILEDESC, record("http://example.org/0", answer(page(), Content_Type=None))],
            True,
        )
    )
    assert row["mime"] == "text/html"


@pytest.mark.parametrize("compressed", [True, False])
def test_reading_goes_on_after_garbage_between_records(tmp_path, compressed):
    made = [gzip.compress(item) if compressed else item for item in pages(3)]
    rows = rows_of(
        put(tmp_path, "crawl.arc", made[0] + made[1] + b"\x00no record\n" * 500 + made[2] + made[3])
    )
    assert numbers(rows) == [0, None, 1, 2]


def test_reading_goes_on_after_a_flipped_bit(tmp_path):
    made = [gzip.compress(item) for item in pages(4)]
    broken = bytearray(made[2])
    broken[-30] ^= 0xFF
    rows = rows_of(
        put(tmp_path, "crawl.arc.gz", made[0] + made[1] + bytes(broken) + made[3] + made[4])
    )
    assert numbers(rows) == [0, None, 2, 3]
    assert rows[1]["url"] == "http://example.org/1"


@pytest.mark.parametrize("compressed", [True, False])
def test_a_record_cut_off_at_the_end_of_the_file_costs_one_row(tmp_path, compressed):
    artifact = arc(tmp_path, pages(3), compressed)
    data = Path(artifact.path).read_bytes()
    rows = rows_of(put(tmp_path, "cut.arc", data[:-100]))
    assert numbers(rows) == [0, 1, None]
    assert errors(rows) == ["error_read.truncated"]


@pytest.mark.parametrize("excess", [60, 1_000_000])
def test_a_record_that_lies_about_its_length_leaves_a_row_and_does_not_end_the_file(
    tmp_path, excess
):
    block = answer(page())
    liar = record("http://example.org/1", block, claims=len(block) + excess)
    made = pages(4)
    rows = rows_of(put(tmp_path, "crawl.arc", made[0] + made[1] + liar + made[3] + made[4]))
    found = numbers(rows)
    assert found[0] == 0
    assert found[-1] == 3
    assert None in found


def test_a_body_over_the_limit_is_not_read_and_the_next_record_is(tmp_path):
    made = [FILEDESC, record("http://example.org/0", answer(page("x" * 50_000))), pages(2)[2]]
    rows = rows_of(arc(tmp_path, made, True), max_payload_bytes=10_000)
    assert rows[0]["error"] == "page.too_large"
    assert numbers(rows) == [None, 1]


def test_a_file_that_is_no_arc_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no ARC record"):
        rows_of(put(tmp_path, "crawl.arc", b"<html>503</html>"))
    assert rows_of(put(tmp_path, "empty.arc", b"")) == []
