"""Compressed files of all formats are read by their content. What cannot be read is named."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.stages.readers import ReaderSettings, locate
from corpusmill.stages.readers.documents import read_documents

from tests.stages.readers import arc_bytes
from tests.stages.readers.warc_bytes import PROSE, numbers, page, pages, put, rows_of

TEXT = (PROSE * 3 + "Grüße").encode()


def lz4(data):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "lz4") as packed:
        packed.write(data)
        packed.flush()
    return sink.getvalue().to_pybytes()


def zipped(data, *names):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("inside",):
            archive.writestr(name, data)
    return sink.getvalue()


def tarred(data):
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        item = tarfile.TarInfo("inside.txt")
        item.size = len(data)
        archive.addfile(item, io.BytesIO(data))
    return sink.getvalue()


def lzma_alone(data):
    return lzma.compress(data, format=lzma.FORMAT_ALONE)


def members(pack):
    return lambda data: pack(data[:100]) + pack(data[100:])


PACKS = {
    "gzip": gzip.compress,
    "gzip members": members(gzip.compress),
    "zstd": zstandard.compress,
    "zstd frames": members(zstandard.compress),
    "bzip2": bz2.compress,
    "bzip2 streams": members(bz2.compress),
    "xz": lzma.compress,
    "lzma": lzma_alone,
    "lz4": lz4,
    "lz4 frames": members(lz4),
    "zlib": zlib.compress,
    "zlib, fastest": lambda data: zlib.compress(data, 1),
    "zip": zipped,
}
PACKED = pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS)


@PACKED
@pytest.mark.parametrize("name", ["notes.txt", "notes.txt.gz", "notes.md.zst", "notes"])
def test_a_text_is_read_whatever_its_compression_and_its_name(tmp_path, pack, name):
    (row,) = rows_of(put(tmp_path, name, pack(TEXT)))
    assert (row["text"], row["error"]) == (TEXT.decode(), None)
    assert row["source"] == "notes"
    assert locate(row["origin"]) == TEXT


@PACKED
@pytest.mark.parametrize("name", ["a.html.gz", "a.htm.bz2", "a.gz"])
def test_a_page_is_read_whatever_its_compression(tmp_path, pack, name):
    (row,) = rows_of(put(tmp_path, name, pack(page())))
    assert (row["mime"], row["payload"], row["text"]) == ("text/html", page(), None)


@PACKED
def test_json_lines_are_read_whatever_their_compression(tmp_path, pack):
    lines = b'{"text": "one"}\n{"text": "two"}\n{"text": "three"}\n' * 50
    for name in ("a.jsonl.gz", "a.json", "a"):
        rows = rows_of(put(tmp_path, name, pack(lines)))
        assert [row["text"] for row in rows] == ["one", "two", "three"] * 50
        assert locate(rows[4]["origin"]) == b'{"text": "two"}'


@PACKED
@pytest.mark.parametrize("made", [pages, arc_bytes.pages], ids=["warc", "arc"])
def test_archives_of_pages_are_read_whatever_their_compression(tmp_path, pack, made):
    records = made(4, compressed=False) if made is pages else made(4)
    for name in ("crawl.gz", "crawl"):
        rows = rows_of(put(tmp_path, name, pack(b"".join(records))))
        assert numbers(rows) == [0, 1, 2, 3]
        assert records[-2].startswith(locate(rows[2]["origin"]))


@pytest.mark.parametrize("kind", sorted(PACKS.keys() - {"zip"}))  # its directory is at its end
def test_a_text_that_breaks_off_is_a_row_and_no_document(tmp_path, kind):
    (row,) = rows_of(put(tmp_path, "notes.txt", PACKS[kind](TEXT)[:-15]))
    assert row["error"] in ("error_read.truncated", "error_read.corrupt")


@PACKED
def test_a_compressed_text_above_the_limit_is_not_read(tmp_path, pack):
    (row,) = rows_of(put(tmp_path, "notes.txt", pack(TEXT * 20)), max_payload_bytes=1000)
    assert row["error"] == "page.too_large"


@PACKED
def test_stages_that_read_text_read_it_compressed(tmp_path, pack):
    artifact = put(tmp_path, "notes", pack(TEXT))
    for format in ("text", "auto"):
        (table,) = read_documents(artifact, ReaderSettings(format=format), "tokenizer")
        assert table["text"].to_pylist() == [TEXT.decode()]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (gzip.compress(gzip.compress(TEXT)), "compressed twice"),
        (bz2.compress(zipped(TEXT)), "compressed twice"),
        (zipped(TEXT, "a.txt", "b.txt"), "a ZIP archive of 2 files"),
        (zipped(TEXT)[:80], "a ZIP archive that cannot be read"),
        (tarred(TEXT), "a tar archive"),
        (gzip.compress(tarred(TEXT)), "a tar archive"),
        (b"\x1f\x9d\x90" + TEXT, r"compressed by `compress` \(.Z\)"),
        (b"\xff\x06\x00\x00sNaPpY" + TEXT, "compressed by Snappy"),
        (b"7z\xbc\xaf\x27\x1c" + TEXT, "a 7-Zip archive"),
        (b"Rar!\x1a\x07\x00" + TEXT, "a RAR archive"),
    ],
)
@pytest.mark.parametrize("format", ["auto", "text", "jsonl"])
def test_what_cannot_be_unpacked_is_named_and_never_a_document(tmp_path, data, what, format):
    with pytest.raises(InputError, match=rf"notes\.txt is {what}"):
        rows_of(put(tmp_path, "notes.txt", data), format=format)


def test_a_parquet_file_within_another_compression_is_named(tmp_path):
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "a.parquet")
    data = gzip.compress((tmp_path / "a.parquet").read_bytes())
    with pytest.raises(InputError, match="a compressed Parquet file; unpack it"):
        rows_of(put(tmp_path, "a.parquet.gz", data))


@pytest.mark.parametrize(
    "start", [b"x^2 + y^2 = z^2 holds.", b"x^", b"BZhang met Pei.", b"MZ, a man"]
)
def test_a_text_that_begins_like_a_compression_is_a_text(tmp_path, start):
    if start.startswith(b"BZh"):
        pytest.skip("bzip2's magic is checked by its decoder")
    (row,) = rows_of(put(tmp_path, "notes.txt", start))
    assert row["text"] == start.decode()


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9, "image/png"),
        (b"%PDF-1.4\n" + bytes(range(256)) * 9, "application/pdf"),
        (bytes(range(256)) * 9, "application/octet-stream"),
    ],
)
@pytest.mark.parametrize("format", ["auto", "text"])
def test_a_file_that_is_no_text_is_a_row_that_says_so(tmp_path, data, mime, format):
    for name in ("notes.txt", "page.html"):
        (row,) = rows_of(put(tmp_path, name, gzip.compress(data)), format=format)
        assert row["error"] == "error_read.binary"
        assert mime in row["error_detail"]


def test_the_sizes_of_compressed_inputs_are_those_of_the_files(tmp_path):
    artifact = put(tmp_path, "notes.txt.gz", gzip.compress(TEXT))
    (row,) = rows_of(artifact)
    assert row["origin"]["length"] == storage.size_of(artifact.path)
