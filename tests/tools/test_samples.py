"""The shipped samples are small, credited and real."""

import json

import pytest
import zstandard
from corpusmill.manifests.package_data import package_file

SAMPLES = package_file("samples")
TEXTS = sorted(SAMPLES.rglob("*.jsonl.zst"))
PAGES = sorted(SAMPLES.rglob("*.warc.gz"))


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_every_record_says_where_it_comes_from_whom_to_credit_and_under_which_licence(path):
    with zstandard.open(path, "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    assert len(records) >= 40
    assert len({record["id"] for record in records}) == len(records)
    for record in records:
        assert record["text"].strip()
        assert record["url"].startswith("https://")
        assert record["licence"]
        assert record["source"]
        assert record.get("authors") or record.get("attribution")


def test_pages_are_whole_warc_records_with_good_digests():
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    pages = 0
    for path in PAGES:
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
                assert record.verify_payload_digest()
                assert record.http_headers.get("X-Corpus-Source") == "apache-flink-web"
                pages += 1
    assert pages == 633


def test_every_sample_file_stands_in_the_notice_and_all_are_small():
    notice = (SAMPLES / "README.md").read_text(encoding="utf-8")
    for path in (*TEXTS, *PAGES):
        assert path.relative_to(SAMPLES).as_posix() in notice
    assert sum(path.stat().st_size for path in (*TEXTS, *PAGES)) < 8_000_000
