"""Arrow string columns as arrays: chunks, slices, nulls and wide offsets give the same strings."""

import numpy as np
import pyarrow as pa
import pytest
from corpusmill.stages.columns.strings import Strings, chunks_of, copied, joined, string_array
from hypothesis import given
from hypothesis import strategies as st

TEXTS = st.lists(st.one_of(st.none(), st.text(max_size=8)), max_size=12)
KINDS = st.sampled_from([pa.string(), pa.large_string()])


@st.composite
def columns(draw: st.DrawFn) -> pa.ChunkedArray:
    """A column of some chunks; each is a slice of a longer array."""
    kind, chunks = draw(KINDS), []
    for texts in draw(st.lists(TEXTS, max_size=4)):
        begin = draw(st.integers(0, len(texts)))
        chunks.append(pa.array(texts, kind).slice(begin, draw(st.integers(0, len(texts)))))
    return pa.chunked_array(chunks, type=kind)


def strings_in(strings: Strings) -> list[str]:
    places = zip(strings.offsets[:-1], strings.offsets[1:], strict=True)
    return [bytes(strings.data[begin:end]).decode() for begin, end in places]


def expected(column: pa.ChunkedArray) -> list[str]:
    return [text or "" for text in column.to_pylist()]


@given(columns())
def test_every_reader_gives_the_strings_of_the_column(column):
    chunks = list(chunks_of(column))
    assert len(chunks) == column.num_chunks
    assert [text for chunk in chunks for text in strings_in(chunk)] == expected(column)
    assert strings_in(joined(column)) == expected(column)
    assert strings_in(copied(column)) == expected(column)


@given(columns())
def test_copied_strings_can_be_written_to_and_leave_the_column_as_it_was(column):
    before = column.to_pylist()
    strings = copied(column)
    assert strings.offsets[0] == 0
    assert strings.data.size == strings.offsets[-1]
    strings.data[:] = 0
    assert column.to_pylist() == before


@given(TEXTS, KINDS)
def test_an_array_made_of_strings_is_the_array_they_came_from(texts, kind):
    array = pa.array(texts, kind)
    strings = joined(pa.chunked_array([array]))
    made = string_array(*strings, kind, array.is_valid())
    made.validate(full=True)
    assert made.equals(array)


def test_one_chunk_is_read_without_copying_its_bytes():
    column = pa.chunked_array([pa.array(["one", "two"])])
    address = column.chunk(0).buffers()[2].address
    assert next(chunks_of(column)).data.ctypes.data == address
    assert joined(column).data.ctypes.data == address


@pytest.mark.parametrize("reader", [joined, lambda column: next(chunks_of(column))])
def test_bytes_of_arrow_are_read_only(reader):
    assert not reader(pa.chunked_array([pa.array(["one"])])).data.flags.writeable


def test_no_string_has_one_offset():
    empty = pa.chunked_array([], type=pa.string())
    for strings in (joined(empty), copied(empty)):
        assert strings.data.size == 0
        assert strings.offsets.tolist() == [0]
        assert strings.offsets.dtype == np.int64
