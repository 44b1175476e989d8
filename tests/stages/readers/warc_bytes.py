"""WARC files made byte by byte, so that a test can break exactly one of them."""

import gzip

import pyarrow as pa
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.readers import RECORD, ReaderSettings, read_records

PROSE = (
    "The river had risen during the night, and by the morning the lower fields were under water. "
    "People walked up to the "
    "bridge to look at it, and they talked about the floods of other years, when the road had "
    "been closed for a whole week. "
)


def page(body=None, title="A flood"):
    return (
        f"<html><head><title>{title}</title></head>"
        f"<body><p>{PROSE * 3 if body is None else body}</p></body></html>"
    ).encode()


def answer(body=b"", status="200 OK", **headers):
    """An HTTP answer. Header names have underscores for hyphens. Content-Type is text/html unless
    given (None: no such header).
    """
    fields = {"Content-Type": "text/html; charset=utf-8"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def record(
    number,
    block,
    kind="response",
    content_type="application/http; msgtype=response",
    claims=None,
    uri=None,
):
    """A WARC record. claims: the Content-Length that its header gives, if not the true one."""
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{number:08}>\r\nWARC-Date: "
        f"2024-05-01T12:00:00Z\r\n"
        f"WARC-Target-URI: {uri or f'http://example.org/{number}'}\r\nContent-Type: "
        f"{content_type}\r\n"
        f"Content-Length: {len(block) if claims is None else claims}\r\n\r\n"
    )
    return head.encode() + block + b"\r\n\r\n"


def pages(count, compressed=True):
    """`count` records, each a page with its number. If compressed, each is a gzip member of its
    own.
    """
    records = [
        record(number, answer(page(f"Page number {number}. {PROSE * 2}")))
        for number in range(count)
    ]
    return [gzip.compress(item, mtime=0) for item in records] if compressed else records


def put(folder, name, data):
    path = folder / name
    path.write_bytes(data)
    return Artifact(str(path), "", len(data))


def table_of(artifact, **settings):
    tables = list(read_records(artifact, ReaderSettings(**settings)))
    return pa.concat_tables(tables) if tables else RECORD.empty_table()


def rows_of(artifact, **settings):
    return table_of(artifact, **settings).to_pylist()


def numbers(rows):
    """The numbers of the pages that were read, from the ends of their addresses; None for a row
    that could not be read.
    """
    return [None if row["error"] else int(row["url"].rsplit("/", 1)[1]) for row in rows]


def errors(rows):
    return [row["error"] for row in rows if row["error"]]
