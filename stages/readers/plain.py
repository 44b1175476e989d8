"""Plain files, compressed or not: one document a file.

HTML files become pages, and PDF files if the settings name that format. Everything else is text;
its charset is found as for a page. What is no text (a picture, a program) is a row that says so.
"""

from collections.abc import Iterator
from typing import Any

from corpusmill.manifests import storage
from corpusmill.manifests.storage import Artifact
from corpusmill.manifests.watched import Watched
from corpusmill.stages.readers.charset import decoded
from corpusmill.stages.readers.compression import opened, without_suffixes
from corpusmill.stages.readers.content_type import binary_mime, is_page
from corpusmill.stages.readers.record import TOO_LARGE, Place, ReaderSettings, Record, source_of

HTML_SUFFIXES = (".html", ".htm", ".xhtml", ".xht", ".shtml")
TEXT_SUFFIXES = (".txt", ".text", ".md", ".rst", ".tex")
_READ = 1 << 20


def read_plain(artifact: Artifact, settings: ReaderSettings) -> Iterator[Record]:
    """One record, or none if the file is empty.

    A file is a page by its name. It is also one if it begins as only a page does, unless the
    settings say that it is text. Raises InputError if its compression cannot be read.
    """
    path, limit = artifact.path, settings.max_payload_bytes
    size = storage.size_of(path)
    place = Place(length=size, row=0)
    record = Record(path, source_of(path, settings), place, (path, 0), mime="text/plain")
    with storage.open_read(path) as file:
        watched: Any = Watched(file)
        stream = opened(watched, path)
        parts: list[bytes] = []
        left = limit + 1
        while left and (part := stream.read(min(left, _READ))):
            parts.append(part)
            left -= len(part)
        watched.check()
    data = b"".join(parts)
    if stream.damage is not None:
        yield record.failed(f"error_read.{stream.damage.kind}", stream.damage.what)
        return
    if len(data) > limit:
        found = f"{size} bytes" if size > limit else "the decompressed file has more bytes"
        yield record.failed(TOO_LARGE, f"{found} > {limit}")
        return
    if not data:
        return
    if settings.format == "pdf":
        record.mime, record.payload = "application/pdf", data
        yield record
        return
    binary = binary_mime(data)
    if binary:
        yield record.failed("error_read.binary", f"the file is {binary}, not text")
        return
    named = without_suffixes(path).endswith(HTML_SUFFIXES)
    if named or (settings.format == "auto" and is_page(data)):
        record.mime, record.payload = "text/html", data
    else:
        record.text, record.charset = decoded(data, None)
    yield record
