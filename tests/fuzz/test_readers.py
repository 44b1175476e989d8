"""WARC and ARC files in any state: only declared errors, and every row complete.

Nothing is lost but what the damage touched.
"""

import gzip

import pytest
from corpusmill.manifests.errors import InputError
from corpusmill.stages.readers import RECORD, locate
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.budget import fuzz
from tests.fuzz.damage import damaged
from tests.stages.readers import arc_bytes, warc_bytes
from tests.stages.readers.warc_bytes import answer, page, put, record, rows_of, table_of

WARC = [
    record(0, answer(page())),
    record(1, answer(gzip.compress(page()), Content_Encoding="gzip")),
    record(2, b"some text", kind="conversion", content_type="text/plain"),
    record(3, b"{}", kind="metadata", content_type="application/json"),
    record(4, answer(b"5\r\nhello\r\n0\r\n\r\n", Transfer_Encoding="chunked")),
]
ARC = arc_bytes.pages(3)


def whole_files(records):
    """Some of the records: plain, with a gzip member each, or as one member."""
    return st.tuples(
        st.lists(st.sampled_from(records), max_size=5), st.sampled_from(["plain", "each", "one"])
    ).map(
        lambda drawn: (
            b"".join(gzip.compress(item, 1) if drawn[1] == "each" else item for item in drawn[0])
            if drawn[1] != "one"
            else gzip.compress(b"".join(drawn[0]), 1)
        )
    )


@pytest.mark.parametrize(("name", "records"), [("crawl.warc", WARC), ("crawl.arc", ARC)])
def test_any_bytes_are_rows_or_a_refusal(tmp_path, name, records):
    @fuzz(60)
    @given(damaged(whole_files(records)))
    def check(data):
        artifact = put(tmp_path, name, data)
        try:
            table = table_of(artifact, format=name.rsplit(".", 1)[1])
        except InputError:
            return
        assert table.schema == RECORD
        rows = table.to_pylist()
        assert len({row["id"] for row in rows}) == len(rows)
        for row in rows:
            assert 0 <= row["origin"]["offset"] <= len(data)
            assert row["error"] or row["payload"] is not None or row["text"] is not None
            assert not row["error"] or row["error_detail"]

    check()


@pytest.mark.parametrize("kind", ["warc", "arc"])
def test_members_that_the_damage_does_not_touch_are_read(tmp_path, kind):
    made = (
        warc_bytes.pages(5)
        if kind == "warc"
        else [gzip.compress(item) for item in arc_bytes.pages(5)[1:]]
    )
    head = [] if kind == "warc" else [gzip.compress(arc_bytes.FILEDESC)]

    @fuzz(30)
    @given(st.integers(0, 4), st.data())
    def check(number, data):
        broken = data.draw(damaged(st.just(made[number]), most=2))
        file = b"".join([*head, *made[:number], broken, *made[number + 1 :]])
        rows = rows_of(put(tmp_path, f"crawl.{kind}.gz", file), format=kind)
        read = {row["url"] for row in rows if not row["error"]}
        assert {f"http://example.org/{other}" for other in range(5) if other != number} <= read

    check()


def test_whatever_a_row_says_its_origin_leads_back(tmp_path):
    @fuzz(30)
    @given(damaged(whole_files(WARC), most=2))
    def check(data):
        artifact = put(tmp_path, "crawl.warc", data)
        try:
            rows = rows_of(artifact, format="warc")
            for row in rows:
                assert isinstance(locate(row["origin"]), bytes)
        except InputError:
            return

    check()
