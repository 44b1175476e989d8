"""The page or file that a document came from, without what a crawler put around it."""

import io
from collections.abc import Mapping
from typing import Any

from corpusmill.manifests.errors import InputError
from corpusmill.stages.readers import arc, locate
from corpusmill.stages.readers.cursor import Cursor
from corpusmill.stages.readers.record import Place, Record
from corpusmill.stages.readers.streams import Plain
from corpusmill.stages.readers.warc_header import NotWarc, begins_record, next_header
from corpusmill.stages.readers.warc_record import filled

_LONGEST_LINE = 1 << 16


def payload_at(origin: Mapping[str, Any], limit: int) -> bytes:
    """The body of the record at `origin`, or the file. limit: bytes of a decoded body.

    Raises InputError if it is gone or damaged.
    """
    data = locate(origin)
    record = Record(origin["file"], "", Place(), ())
    if begins_record(data):
        cursor = Cursor(Plain(io.BytesIO(data), 0))
        try:
            header = next_header(cursor)
        except NotWarc as error:
            raise _gone(origin, str(error)) from error
        if header is None or header.length is None:
            raise _gone(origin, "its header says no length")
        record = filled(record, header, cursor.take(header.length), limit)
    elif origin.get("offset") is not None and (
        head := arc.parsed(data[:_LONGEST_LINE].partition(b"\n")[0] + b"\n")
    ):
        record = arc.filled(record, head, data.partition(b"\n")[2], limit)
    else:
        return data
    if record.payload is None:
        raise _gone(origin, record.error_detail or "it has no body")
    return record.payload


def _gone(origin: Mapping[str, Any], what: str) -> InputError:
    return InputError(f"the record at {origin} cannot be read ({what})", "fetch the file again")
