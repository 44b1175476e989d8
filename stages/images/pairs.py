"""Pairs of an image and its text, from the three layouts in which such corpora come.

JSON lines name image files beside them. Parquet holds the images' bytes, as a binary column or as
Hugging Face's struct of `bytes` and `path`. A WebDataset tar (`images.tars`) holds files whose
names share a key. Everything is read as a stream. A row that cannot be read is a pair with its
reason, so later rows keep their own images.
"""

import errno
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError, StorageError
from corpusmill.manifests.storage import Artifact
from corpusmill.manifests.watched import Watched
from corpusmill.stages.images.pair import NO_IMAGE, NO_TEXT, Pair, PairReader, with_columns
from corpusmill.stages.images.tars import pairs_of_tar
from corpusmill.stages.licences.expressions import named
from corpusmill.stages.readers.column_values import spelled, texts, values
from corpusmill.stages.readers.compression import opened, without_suffixes
from corpusmill.stages.readers.jsonl import rows as json_rows
from corpusmill.stages.readers.licences import licence_columns
from corpusmill.stages.readers.nested import column_of

BATCH_ROWS = 64
# Errors that say something about a file's name. Others say something about the storage.
_OF_NAMES = {
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL),
    *(errno.EACCES, errno.EPERM),
}


def read_pairs(artifact: Artifact, reader: PairReader) -> Iterator[Pair]:
    """The pairs of a file, in order.

    Raises InputError if it cannot be read at all. If the storage failed, its OSError or
    StorageError is raised: another attempt may succeed.
    """
    name = without_suffixes(artifact.path)
    if name.endswith(".parquet"):
        found = _from_parquet(artifact.path, reader)
    elif name.endswith(".tar"):
        found = pairs_of_tar(artifact.path, reader)
    elif name.endswith((".jsonl", ".ndjson", ".json")):
        found = _from_json(artifact.path, reader)
    else:
        raise InputError(
            f"{artifact.path} is neither JSON lines nor Parquet nor a tar",
            "name files that end in .jsonl, .parquet or .tar",
        )
    of_all = named(reader.licence or "")
    for pair in found:
        if pair.reason is None and pair.image is None:
            pair = pair.failed(NO_IMAGE, "the row names no image")
        elif pair.reason is None and not (pair.text or "").strip():
            pair = pair.failed(NO_TEXT, "the image has no text")
        yield pair if pair.licence else replace(pair, licence=of_all)


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
    pair = with_columns(pair, value, reader)
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
        licences = licence_columns(path, file.schema_arrow, reader.licence_columns)
        url = [reader.url_column] if there.count(reader.url_column) == 1 else []
        columns = list(dict.fromkeys((*columns, *url, *licences)))
        row = 0
        for group in range(file.num_row_groups):
            end = row + file.metadata.row_group(group).num_rows
            try:
                for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns):
                    yield from _of_batch(batch, row, reader, licences)
                    row += batch.num_rows
            except (pa.ArrowException, OSError) as error:
                source.check()
                what = f"row group {group} is damaged ({str(error).splitlines()[0]})"
                for lost in range(row, end):
                    yield Pair(lost).failed("error_read.corrupt", what)
                row = end


def _of_batch(
    batch: pa.RecordBatch, first: int, reader: PairReader, licence_names: Sequence[str]
) -> Iterator[Pair]:
    column = {name: batch.column(name) for name in batch.schema.names}
    urls = values(column[reader.url_column]) if reader.url_column in column else []
    licences = {name: values(column_of(batch, name)) for name in licence_names}
    written = texts(column[reader.text_column])
    for number, image in enumerate(values(column[reader.image_column])):
        if isinstance(image, Mapping):  # as Hugging Face's datasets store images
            image = image.get("bytes")
        text = written[number]
        said = {name: found[number] for name, found in licences.items()}
        url = spelled(urls[number]) if urls else None
        pair = Pair(first + number, url=url, licence=reader.licence_of(said))
        if isinstance(text, Exception):
            yield pair.failed("error_read.utf8", f"the text is not UTF-8 ({text})")
        elif image is not None and not isinstance(image, bytes):
            yield pair.failed("error_read.type", f"the image is {type(image).__name__}, not bytes")
        elif image is not None and len(image) > reader.max_image_bytes:
            yield pair.failed("image.too_large", f"the image has {len(image)} bytes")
        else:
            yield replace(pair, text=text, image=image)
