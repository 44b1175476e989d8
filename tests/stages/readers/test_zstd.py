"""Zstandard files with more than data frames in them: skippable ones (pzstd), and the dictionary of
a `.warc.zst`.
"""

import struct

import pytest
import zstandard
from corpusmill.manifests.errors import InputError
from corpusmill.stages.readers.warc_record import record_at

from tests.stages.readers.warc_bytes import answer, numbers, page, put, record, rows_of

RECORDS = [
    record(number, answer(page(f"Page number {number}. " + "The river had risen. " * 20)))
    for number in range(6)
]
DICTIONARY = zstandard.train_dictionary(
    4096, [bytes(item) + bytes([number]) for number, item in enumerate(RECORDS * 40)]
)


def skippable(data, kind=0):
    return struct.pack("<II", 0x184D2A50 + kind, len(data)) + data


def frames(dictionary=None):
    return [zstandard.ZstdCompressor(dict_data=dictionary).compress(item) for item in RECORDS]


def with_dictionary(packed):
    data = DICTIONARY.as_bytes()
    return skippable(zstandard.compress(data) if packed else data, 13) + b"".join(
        frames(DICTIONARY)
    )


@pytest.mark.parametrize("size", [0, 3, 100_000])
@pytest.mark.parametrize("kind", [0, 5, 15])
def test_skippable_frames_are_passed_over(tmp_path, size, kind):
    between = skippable(b"x" * size, kind)
    data = between + between.join(frames()) + between
    assert numbers(rows_of(put(tmp_path, "a.warc.zst", data))) == list(range(6))


@pytest.mark.parametrize("packed", [False, True])
def test_records_are_read_with_the_files_own_dictionary(tmp_path, packed):
    artifact = put(tmp_path, "a.warc.zst", with_dictionary(packed))
    rows = rows_of(artifact)
    assert numbers(rows) == list(range(6))
    with open(artifact.path, "rb") as file:
        assert record_at(file, rows[4]["origin"]["offset"], rows[4]["origin"]["row"]) == RECORDS[
            4
        ].removesuffix(b"\r\n\r\n")


def test_reading_goes_on_with_the_dictionary_after_a_damaged_record(tmp_path):
    data = skippable(DICTIONARY.as_bytes(), 13)
    parts = frames(DICTIONARY)
    parts[2] = parts[2][:20] + bytes(8) + parts[2][28:]
    rows = rows_of(put(tmp_path, "a.warc.zst", data + b"".join(parts)))
    assert numbers([row for row in rows if row["error"] is None])[-3:] == [3, 4, 5]


@pytest.mark.parametrize("cut", [5, 300])
def test_a_file_that_ends_inside_a_skippable_frame_is_told(tmp_path, cut):
    rows = rows_of(put(tmp_path, "a.warc.zst", b"".join(frames()) + skippable(b"x" * 1000)[:cut]))
    assert numbers(rows[:-1]) == list(range(6))
    assert rows[-1]["error"] == "error_read.truncated"
    assert "skippable frame" in rows[-1]["error_detail"]


@pytest.mark.parametrize(
    "dictionary", [b"", zstandard.compress(b"x" * 100)[:-2], b"\x28\xb5\x2f\xfd" + b"junk" * 9]
)
def test_a_dictionary_that_cannot_be_used_costs_the_file_and_says_why(tmp_path, dictionary):
    data = skippable(dictionary, 13) + b"".join(frames(DICTIONARY))
    with pytest.raises(InputError, match=r"a\.warc\.zst holds no WARC record"):
        rows_of(put(tmp_path, "a.warc.zst", data))
