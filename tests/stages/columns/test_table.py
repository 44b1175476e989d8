"""Setting a column: in its old place, or at the end if it is new."""

import pyarrow as pa
import pytest
from corpusmill.stages.columns.table import with_column

TABLE = pa.table({"id": ["a", "b"], "n": pa.array([1, 2], pa.int32()), "text": ["x", "y"]})


def test_a_column_that_is_there_keeps_its_place_and_takes_the_new_type():
    changed = with_column(TABLE, pa.field("n", pa.int64()), pa.array([3, 4], pa.int32()))
    assert changed.column_names == ["id", "n", "text"]
    assert changed.schema.field("n").type == pa.int64()
    assert changed["n"].to_pylist() == [3, 4]
    assert changed.drop_columns(["n"]).equals(TABLE.drop_columns(["n"]))


def test_a_new_column_comes_last():
    changed = with_column(TABLE, "score", pa.chunked_array([[0.5], [0.25]]))
    assert changed.column_names == ["id", "n", "text", "score"]
    assert changed.schema.field("score").type == pa.float64()
    assert changed["score"].to_pylist() == [0.5, 0.25]


def test_a_field_keeps_its_metadata_and_nullability():
    field = pa.field("n", pa.int32(), nullable=False, metadata={"unit": "tokens"})
    assert (
        with_column(TABLE, field, pa.array([1, 2], pa.int32()))
        .schema.field("n")
        .equals(field, check_metadata=True)
    )


def test_values_that_do_not_fit_the_type_are_an_error():
    with pytest.raises(pa.ArrowInvalid):
        with_column(TABLE, pa.field("n", pa.int8()), pa.array([1000, 1], pa.int32()))
