"""Readers of your own, for `reader.own` in a recipe."""

import functools
import io
import itertools
import json
import zipfile
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import IO, Any

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.named_class import named_class
from corpusmill.manifests.settings import Settings, build_settings
from corpusmill.manifests.storage import Artifact
from corpusmill.manifests.watched import Watched
from corpusmill.stages.readers.record import (
    TOO_LARGE,
    OwnIds,
    Place,
    ReaderSettings,
    Record,
    source_of,
)

COLUMNS = ("id", "url", "date", "language", "mime", "charset", "payload", "text")


class OwnReader(Settings):
    """What a reader of your own derives from. Its fields are its settings."""

    @abstractmethod
    def records(self, path: str, file: IO[bytes]) -> Iterator[Mapping[str, Any]]:
        """The documents of one open file, in order.

        Each has `text`, or `payload` (the bytes of a page) and `mime`; and, as far as known, `id`,
        `url`, `date`, `language` and `charset`. Raises ValueError if the file cannot be read.
        """


def own_reader(path: str, settings: Mapping[str, Any]) -> OwnReader:
    """The reader with its settings. Raises RecipeError if it cannot be made."""
    return _made(path, json.dumps(dict(settings), sort_keys=True))


def read_own(artifact: Artifact, settings: ReaderSettings) -> Iterator[Record]:
    """The records that the recipe's own reader finds in a file.

    Raises InputError if it cannot read the file, or gives something else than documents.
    """
    path, ids, limit = artifact.path, OwnIds(artifact.path, settings), settings.max_payload_bytes
    source = source_of(path, settings)
    for row, found in enumerate(_documents(path, settings)):
        values = {key: value for key, value in found.items() if key != "id"}
        own = found.get("id")
        key = ids.key(str(own), row) if own is not None else (path, row)
        record = Record(path, source, Place(row=row), key, **values)
        size = len(_content(found))
        yield record if size <= limit else record.failed(TOO_LARGE, f"{size} bytes > {limit}")


def own_record(path: str, settings: ReaderSettings, row: int) -> bytes:
    """The page or the text of one document of a file, text as UTF-8.

    Raises InputError as `read_own` does, and if the file has fewer documents.
    """
    for found in itertools.islice(_documents(path, settings), row, None):
        return _content(found)
    raise InputError(
        f"{settings.own} finds no document {row} in {path}",
        "check that file and reader are as before",
    )


def _content(found: Mapping[str, Any]) -> bytes:
    return found.get("payload") or (found.get("text") or "").encode()


def _documents(path: str, settings: ReaderSettings) -> Iterator[Mapping[str, Any]]:
    assert settings.own is not None
    reader = own_reader(settings.own, settings.own_settings)
    with storage.open_read(path) as opened:
        file = Watched(opened)
        try:
            for found in reader.records(path, io.BufferedReader(_Raw(file))):
                _refuse_other_values(found)
                yield found
            file.check()  # the reader may have taken a fault for the end of the file
        except (ValueError, TypeError, LookupError, EOFError, zipfile.BadZipFile) as error:
            file.check()
            raise InputError(
                f"{settings.own} cannot read {path} ({error})", "mend the file or the reader"
            ) from error


class _Raw(io.RawIOBase):
    """A watched file as the raw end of a buffered one: with lines, and a count of what is read."""

    def __init__(self, file: Watched) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())


def _refuse_other_values(found: Mapping[str, Any]) -> None:
    """Raises ValueError if a document has a key or a value that no document has."""
    for key, value in found.items():
        if key not in COLUMNS:
            raise ValueError(f"it gave the key {key!r}, not one of {COLUMNS}")
        wanted = bytes if key == "payload" else str
        if key != "id" and value is not None and not isinstance(value, wanted):
            raise ValueError(f"it gave {type(value).__name__} as {key!r}, not {wanted.__name__}")
    if isinstance(found.get("text"), str):
        found["text"].encode()  # UnicodeEncodeError is a ValueError: half a surrogate pair


@functools.lru_cache(maxsize=32)
def _made(path: str, settings: str) -> OwnReader:
    cls: type[OwnReader] = named_class(path, OwnReader, "reader")
    return build_settings(cls, json.loads(settings), "reader.own_settings")
