"""Plain files: one document a file. HTML files become pages. Everything else is text; its
charset is found as for a page.
"""

from collections.abc import Iterator

from corpusmill.manifests import storage
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.readers.charset import decoded
from corpusmill.stages.readers.record import TOO_LARGE, Place, ReaderSettings, Record, source_of

HTML_SUFFIXES = (".html", ".htm", ".xhtml")
TEXT_SUFFIXES = (".txt", ".text", ".md", ".rst", ".tex")


def read_plain(artifact: Artifact, settings: ReaderSettings) -> Iterator[Record]:
    """One record, or none if the file is empty."""
    size = storage.size_of(artifact.path)
    if not size:
        return
    mime = "text/html" if artifact.path.lower().endswith(HTML_SUFFIXES) else "text/plain"
    source = source_of(artifact.path, settings)
    record = Record(artifact.path, source, Place(length=size, row=0), (artifact.path, 0), mime=mime)
    if size > settings.max_payload_bytes:
        yield record.failed(TOO_LARGE, f"{size} bytes > {settings.max_payload_bytes}")
        return
    data = storage.read_bytes(artifact.path)
    if mime == "text/html":
        record.payload = data
    else:
        record.text, record.charset = decoded(data, None)
    yield record
