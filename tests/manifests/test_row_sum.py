"""A sum of rows changes if a row is lost, doubled or changed, and only then."""

import pyarrow as pa
import pytest
from corpusmill.manifests.row_sum import RowSum, row_hashes
from hypothesis import given, settings
from hypothesis import strategies as st

ROW = st.fixed_dictionaries(
    {
        "id": st.text(max_size=40),
        "text": st.none() | st.text(max_size=200),
        "node": st.integers(0, 2**64 - 1),
        "score": st.none() | st.floats(allow_nan=False, width=32),
        "destination": st.integers(-(2**31), 2**31 - 1),
    }
)
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.large_string()),
        ("node", pa.uint64()),
        ("score", pa.float32()),
        ("destination", pa.int32()),
    ]
)


def table(rows):
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def total(*tables):
    found = RowSum()
    for one in tables:
        found.add(one)
    return found


@settings(deadline=None)
@given(st.lists(ROW, max_size=12), st.data())
def test_neither_order_nor_cuts_nor_slices_change_the_sum(rows, data):
    shuffled = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    whole = total(table(rows))
    assert total(table(shuffled[:cut]), table(shuffled[cut:])) == whole
    padded = table([*rows[:1], *rows, *rows[:1]]).slice(1 if rows else 0, len(rows))
    assert total(padded) == whole
    merged = RowSum()
    merged.merge(total(table(rows[:cut])))
    merged.merge(total(table(rows[cut:])))
    assert merged == whole


@settings(deadline=None)
@given(st.lists(ROW, min_size=1, max_size=12, unique_by=lambda row: row["id"]), st.data())
def test_a_lost_row_and_one_that_is_doubled_in_its_place_show(rows, data):
    lost = data.draw(st.integers(0, len(rows) - 1))
    left = [row for number, row in enumerate(rows) if number != lost]
    assert total(table(left)) != total(table(rows))
    if left:
        doubled = total(table([*left, data.draw(st.sampled_from(left))]))
        assert doubled.rows == len(rows)
        assert doubled.digest != total(table(rows)).digest


@pytest.mark.parametrize(
    "change",
    [
        {"id": "b"},
        {"id": ""},
        {"text": None},
        {"text": "some text of a documenT"},
        {"text": "Some text of a document"},
        {"node": 2},
        {"score": None},
        {"destination": 4},
    ],
)
def test_a_changed_value_shows(change):
    row = {"id": "a", "text": "some text of a document", "node": 1, "score": 0.5, "destination": 3}
    assert total(table([{**row, **change}])) != total(table([row]))


def test_a_column_of_nulls_counts_like_none():
    rows = pa.table({"id": ["a", "b"], "node": [1, 2]})
    wider = rows.append_column("text", pa.nulls(2, pa.string()))
    assert (row_hashes(rows) == row_hashes(wider)).all()
    assert (row_hashes(rows.select(["node", "id"])) == row_hashes(rows)).all()
