"""Ids are stable for life; columns are declared, never inferred."""

from pathlib import Path

import pyarrow as pa
import pytest
from corpusmill.manifests import package_data
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.schema import (
    DOCUMENT,
    actual_id,
    conform,
    excluded,
    extended,
    seed_for,
    synthetic_id,
)
from hypothesis import given
from hypothesis import strategies as st


def test_ids_are_golden():
    assert actual_id("web", "<urn:uuid:1>") == "0fcb2f262dbe14ffcbafce5f67d2a72a"
    assert actual_id("web", "a") != actual_id("web", "b") != actual_id("weba", "")


@given(st.text(), st.text(), st.text(), st.text())
def test_parts_do_not_run_into_each_other(a, b, c, d):
    if "\x1f" not in a + b + c + d and (a, b) != (c, d):
        assert actual_id(a, b) != actual_id(c, d)


def test_a_synthetic_id_depends_on_everything_that_made_the_row():
    base = synthetic_id("p", 0, 9, "h", "m", "{}", 0)
    others = {
        synthetic_id("q", 0, 9, "h", "m", "{}", 0),
        synthetic_id("p", 1, 9, "h", "m", "{}", 0),
        synthetic_id("p", 0, 8, "h", "m", "{}", 0),
        synthetic_id("p", 0, 9, "i", "m", "{}", 0),
        synthetic_id("p", 0, 9, "h", "n", "{}", 0),
        synthetic_id("p", 0, 9, "h", "m", "{1}", 0),
        synthetic_id("p", 0, 9, "h", "m", "{}", 1),
    }
    assert len(others | {base}) == 8


def test_a_shipped_sample_has_the_same_id_wherever_it_lies(monkeypatch):
    here = str(package_data.package_file("samples", "reference", "a.jsonl"))
    id_here = actual_id("books", here, 3)
    own = [actual_id("books", f"/{folder}/out/a.jsonl", 3) for folder in ("a", "b")]
    beside = str(package_data.package_file("samples-of-mine", "a.jsonl"))
    assert package_data.package_name(beside) == beside
    monkeypatch.setattr(package_data, "PACKAGE", Path("/elsewhere/corpusmill"))
    assert actual_id("books", "/elsewhere/corpusmill/samples/reference/a.jsonl", 3) == id_here
    assert own[0] != own[1]  # of a user's file, the whole path counts


def test_seeds_fit_a_signed_64_bit_column():
    assert all(0 <= seed_for("id", number) < 2**63 for number in range(1000))


def test_conform_adds_null_columns_orders_and_drops():
    table = conform(pa.table({"text": ["a"], "extra": [1], "id": ["x"]}), DOCUMENT)
    assert table.schema == DOCUMENT
    assert table["url"].null_count == 1


def test_a_column_of_the_wrong_type_is_named():
    with pytest.raises(InputError, match="'n_tokens'"):
        conform(pa.table({"id": ["x"], "n_tokens": ["many"]}), DOCUMENT)


def test_excluded_rows_carry_stage_reason_and_detail():
    rows = excluded(
        conform(pa.table({"id": ["x"]}), DOCUMENT), "filter", ["c4.lorem_ipsum"], [None]
    )
    assert rows.schema.names[-3:] == ["stage", "reason", "detail"]
    assert extended(pa.field("id", pa.string())) == DOCUMENT


def test_a_name_that_is_declared_twice_is_one_column():
    once, again = pa.field("length", pa.int32()), pa.field("length", pa.int64())
    assert extended(once, again) == extended(once)
