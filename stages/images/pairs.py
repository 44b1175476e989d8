"""Pairs of an image and its text, from the three layouts in which such corpora come.

JSON lines name image files beside them. Parquet holds the images' bytes, as a binary column or as
Hugging Face's struct of `bytes` and `path`. A WebDataset tar holds files whose names share a key:
`00001.jpg`, `00001.txt`, `00001.json` (github.com/webdataset/webdataset). Everything is read as a
stream. A row that cannot be read is a pair with its reason, so later rows keep their own images.
"""

import errno
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError, StorageError
from corpusmill.manifests.settings import Settings
from corpusmill.manifests.storage import Artifact
from corpusmill.manifests.watched import Watched
from corpusmill.stages.readers.column_values import spelled, texts, values
from corpusmill.stages.readers.compression import opened, opened_tar, without_suffixes
from corpusmill.stages.readers.jsonl import rows as json_rows
from corpusmill.stages.readers.record import without_surrogates
from pydantic import PositiveInt

BATCH_ROWS = 64
PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm"}
# Errors that say something about a file's name. Others say something about the storage.
_OF_NAMES = {
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL),
    *(errno.EACCES, errno.EPERM),
}
NO_IMAGE, NO_TEXT, SEVERAL = "images.no_image", "images.no_text", "images.several_images"


class PairReader(Settings):
    """How files become pairs. Column names are taken as they stand."""

    source: str = ""
    """The collection's name, part of every id. Empty: each file's name without its suffixes."""
    image_column: str = "image"
    """Column of the image: its bytes in Parquet; in JSON lines the path of a file in the same
    folder or below."""
    text_column: str = "text"
    """Column of the text; in a tar that of a `.json` file, if there is no `.txt` file."""
    url_column: str = "url"
    """Column of the URL. May be absent."""
    max_image_bytes: PositiveInt = 64 << 20
    """A larger image file is not read."""


@dataclass(frozen=True)
class Pair:
    """row: its place in the file. key: of a sample in a tar. reason: why it cannot be used."""

    row: int
    text: str | None = None
    image: bytes | None = None
    url: str | None = None
    key: str | None = None
    reason: str | None = None
    detail: str | None = None

    def failed(self, reason: str, detail: str) -> "Pair":
        """The pair as one that cannot be used; its image is dropped."""
        return replace(self, image=None, reason=reason, detail=detail)


def read_pairs(artifact: Artifact, reader: PairReader) -> Iterator[Pair]:
    """The pairs of a file, in order.

    Raises InputError if it cannot be read at all. If the storage failed, its OSError or
    StorageError is raised: another attempt may succeed.
    """
    name = without_suffixes(artifact.path)
    if name.endswith(".parquet"):
        found = _from_parquet(artifact.path, reader)
    elif name.endswith(".tar"):
        found = _from_tar(artifact.path, reader)
    elif name.endswith((".jsonl", ".ndjson", ".json")):
        found = _from_json(artifact.path, reader)
    else:
        raise InputError(
            f"{artifact.path} is neither JSON lines nor Parquet nor a tar",
            "name files that end in .jsonl, .parquet or .tar",
        )
    for pair in found:
        if pair.reason is None and pair.image is None:
            pair = pair.failed(NO_IMAGE, "the row names no image")
        elif pair.reason is None and not (pair.text or "").strip():
            pair = pair.failed(NO_TEXT, "the image has no text")
        yield pair


def _from_json(path: str, reader: PairReader) -> Iterator[Pair]:
    with storage.open_read(path) as source:
        file: Any = Watched(source)
        stream = opened(file, path)
        row = -1
        for row, (line, length) in enumerate(json_rows(stream, reader.max_image_bytes)):
            pair = Pair(row)
            if not line.strip():
                continue
            if length > len(line):
                yield pair.failed("error_read.json", f"the line has {length} bytes")
                continue
            try:
                value = json.loads(line.decode())
            except (ValueError, RecursionError) as error:
                yield pair.failed("error_read.json", f"the line is not JSON ({error})")
                continue
            if not isinstance(value, dict):
                yield pair.failed("error_read.json", "the line is no JSON object")
                continue
            yield _with_file(pair, value, path, reader)
        if stream.damage is not None:
            file.check()
            yield Pair(row + 1).failed(f"error_read.{stream.damage.kind}", stream.damage.what)


def _with_file(pair: Pair, value: Mapping[str, Any], path: str, reader: PairReader) -> Pair:
    pair = _with_text(pair, value, reader)
    name = value.get(reader.image_column)
    if not isinstance(name, str) or not name:
        return pair
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts or "://" in name:
        return pair.failed(NO_IMAGE, f"{name!r} lies outside the folder of {path}")
    file = storage.join(path.rpartition("/")[0], name)
    try:
        size = storage.size_of(file)
        if size > reader.max_image_bytes:
            return pair.failed("image.too_large", f"{file} has {size} bytes")
        source = storage.open_read(file)
    except StorageError:
        raise
    except (OSError, ValueError, InputError) as error:
        if isinstance(error, OSError) and not _is_of_its_name(error):
            raise
        return pair.failed(NO_IMAGE, f"{file} cannot be read ({error})")
    with source:  # what fails from here on is the storage
        return replace(pair, image=Watched(source).read())


def _is_of_its_name(error: OSError) -> bool:
    return isinstance(error, FileNotFoundError) or error.errno in _OF_NAMES


def _with_text(pair: Pair, value: Mapping[str, Any], reader: PairReader) -> Pair:
    """The pair with the text and the URL of a JSON object."""
    text, url = value.get(reader.text_column), value.get(reader.url_column)
    return replace(
        pair,
        text=without_surrogates(text) if isinstance(text, str) else pair.text,
        url=without_surrogates(url) if isinstance(url, str) else pair.url,
    )


def _from_parquet(path: str, reader: PairReader) -> Iterator[Pair]:
    with storage.open_read(path) as opened_file:
        source = Watched(opened_file)
        try:
            file = pq.ParquetFile(source)
        except (pa.ArrowInvalid, OSError) as error:
            source.check()
            raise InputError(
                f"{path} is no readable Parquet ({error})", "fetch it again"
            ) from error
        there = file.schema_arrow.names
        for name in (reader.image_column, reader.text_column):
            if name not in there:
                raise InputError(
                    f"{path} has no column {name!r}; it has {', '.join(there)}",
                    "set the reader's image_column and text_column",
                )
        columns = [reader.image_column, reader.text_column]
        if reader.url_column in there:
            columns.append(reader.url_column)
        row = 0
        for group in range(file.num_row_groups):
            end = row + file.metadata.row_group(group).num_rows
            try:
                for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns):
                    yield from _of_batch(batch, row, reader)
                    row += batch.num_rows
            except (pa.ArrowException, OSError) as error:
                source.check()
                what = f"row group {group} is damaged ({str(error).splitlines()[0]})"
                for lost in range(row, end):
                    yield Pair(lost).failed("error_read.corrupt", what)
                row = end


def _of_batch(batch: pa.RecordBatch, first: int, reader: PairReader) -> Iterator[Pair]:
    column = {name: batch.column(name) for name in batch.schema.names}
    urls = values(column[reader.url_column]) if reader.url_column in column else []
    written = texts(column[reader.text_column])
    for number, image in enumerate(values(column[reader.image_column])):
        if isinstance(image, Mapping):  # as Hugging Face's datasets store images
            image = image.get("bytes")
        text = written[number]
        pair = Pair(first + number, url=spelled(urls[number]) if urls else None)
        if isinstance(text, Exception):
            yield pair.failed("error_read.utf8", f"the text is not UTF-8 ({text})")
        elif image is not None and not isinstance(image, bytes):
            yield pair.failed("error_read.type", f"the image is {type(image).__name__}, not bytes")
        elif image is not None and len(image) > reader.max_image_bytes:
            yield pair.failed("image.too_large", f"the image has {len(image)} bytes")
        else:
            yield replace(pair, text=text, image=image)


class _Header(tarfile.TarInfo):
    """A member's header. `tarfile` takes one that is damaged or missing as the archive's end, which
    is a block of zeros.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise
            raise tarfile.ReadError(str(error)) from error


def _from_tar(path: str, reader: PairReader) -> Iterator[Pair]:
    """Files that follow one another with one key are a sample."""
    pair = Pair(-1)
    with storage.open_read(path) as source:
        file: Any = Watched(source)
        stream: Any = opened_tar(file, path)
        try:
            with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header) as tar:
                for member in tar:
                    if not member.isfile():
                        continue
                    key, suffix = _key(member.name)
                    if key != pair.key:
                        if pair.key is not None:
                            yield pair
                        pair = Pair(pair.row + 1, key=key)
                    pair = _with_member(pair, suffix, tar, member, reader)
        except (tarfile.TarError, OSError) as error:
            file.check()
            what = stream.damage.what if stream.damage is not None else error
            if pair.key is not None:
                yield pair.failed("error_read.corrupt", f"the tar is damaged here ({what})")
            else:
                yield Pair(0).failed("error_read.corrupt", f"the tar is damaged ({what})")
            return
    if pair.key is not None:
        yield pair


def _key(name: str) -> tuple[str, str]:
    """Key and suffix of a member: WebDataset cuts at the first dot of the file's name."""
    folder, _, base = name.rpartition("/")
    stem, _, suffix = base.partition(".")
    return f"{folder}/{stem}", f".{suffix.lower()}"


def _with_member(
    pair: Pair, suffix: str, tar: tarfile.TarFile, member: tarfile.TarInfo, reader: PairReader
) -> Pair:
    """The sample with one more file. Files of other kinds are passed over."""
    if pair.reason is not None or suffix not in PICTURES | {".txt", ".json"}:
        return pair
    if member.size > reader.max_image_bytes:
        return pair.failed("image.too_large", f"{member.name} has {member.size} bytes")
    content = tar.extractfile(member)
    assert content is not None
    data = content.read()
    if suffix in PICTURES:
        if pair.image is not None:
            return pair.failed(SEVERAL, f"{member.name} is its second image")
        return replace(pair, image=data)
    try:
        text = data.decode()
        if suffix == ".txt":
            return replace(pair, text=text)
        value = json.loads(text)
    except UnicodeDecodeError as error:
        return pair.failed("error_read.utf8", f"{member.name} is not UTF-8 ({error})")
    except (ValueError, RecursionError) as error:
        return pair.failed("error_read.json", f"{member.name} is not JSON ({error})")
    known = pair.text
    pair = _with_text(pair, value, reader) if isinstance(value, dict) else pair
    return pair if known is None else replace(pair, text=known)
