"""The record of cuts: what each editing stage writes, and the undo."""

import numpy as np
import pyarrow as pa
import pytest
from corpusmill.stages.columns.cuts import cuts_column, cuts_field, restore, with_cuts

FIELD = cuts_field("some_cuts", pa.field("start", pa.int32()), pa.field("text", pa.string()))
REMOVED = pa.field("some_removed_bytes", pa.int32())


@pytest.mark.parametrize(
    ("text", "cuts", "whole"),
    [
        ("as it was", None, "as it was"),
        ("ac", [{"start": 1, "text": "é"}], "aéc"),
        ("aXc", [{"start": 1, "text": "bb", "instead": 1}], "abbc"),
        (
            "ad",
            [{"step": 0, "start": 1, "text": "b"}, {"step": 1, "start": 1, "text": "c"}],
            "abcd",
        ),
        ("ab", [{"start": 2, "keeper": "me", "keeper_start": 0, "length": 4}], "ababab"),
        ("ab", [{"start": 1, "keeper": "other", "keeper_start": 2, "length": 3}], "acdeb"),
    ],
    ids=["nothing", "cut", "replaced", "two steps", "own repeat", "another's"],
)
def test_a_text_is_restored(text, cuts, whole):
    assert restore(text, cuts, "me", {"other": "abcdef"}.__getitem__) == whole


def test_rows_that_were_cut_have_their_record_and_the_others_stay():
    table = pa.table({"text": ["abc", "abc", None], "n_tokens": [3, 3, 0]})
    columns = [pa.array([1], pa.int32()), pa.array(["b"])]
    cuts = cuts_column(FIELD, np.array([0, 1, 0]), columns)
    after = with_cuts(table, (FIELD, REMOVED), cuts, pa.array(["abc", "ac", ""])).to_pylist()
    assert after == [
        {"text": "abc", "n_tokens": 3, "some_cuts": None, "some_removed_bytes": 0},
        {"text": "ac", "n_tokens": None, "some_cuts": [{"start": 1, "text": "b"}],
         "some_removed_bytes": 1},
        {"text": None, "n_tokens": 0, "some_cuts": None, "some_removed_bytes": 0},
    ]  # fmt: skip
