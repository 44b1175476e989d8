"""Pairs from a WebDataset tar: files whose names share a key are a sample.

`00001.jpg`, `00001.txt` and `00001.json` are one (github.com/webdataset/webdataset).
"""

import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Self

from corpusmill.manifests import storage
from corpusmill.manifests.watched import Watched
from corpusmill.stages.images.pair import SEVERAL, Pair, PairReader, with_columns
from corpusmill.stages.readers.compression import opened_tar

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm"}


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


def pairs_of_tar(path: str, reader: PairReader) -> Iterator[Pair]:
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
    """The sample with one more file. Files of other kinds are passed over. One that cannot be used
    still gets its text and licence.
    """
    wanted = {".txt", ".json"} if pair.reason is not None else PICTURES | {".txt", ".json"}
    if suffix not in wanted:
        return pair
    if member.size > reader.max_image_bytes:
        return pair.failed("image.too_large", f"{member.name} has {member.size} bytes")
    content = tar.extractfile(member)
    assert content is not None
    data = content.read()
    if suffix in PICTURES:
        if pair.image is not None:
            mend = "give each image a key, and a text, of its own"
            return pair.failed(SEVERAL, f"{member.name} is the second image of its key: {mend}")
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
    pair = with_columns(pair, value, reader) if isinstance(value, dict) else pair
    return pair if known is None else replace(pair, text=known)
