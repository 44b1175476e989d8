"""A task's rows: every object of a JSON-lines file or row of a Parquet file, with all columns.

`file` is one more column: the path that the row was read from. In sets on the hub it tells the
split.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.readers import format_of
from corpusmill.stages.readers.compression import opened
from corpusmill.stages.readers.streams import chunks_of, lines

LONGEST_LINE = 64 << 20  # bytes


def read_rows(shard: Shard, artifact: Artifact) -> Iterator[Mapping[str, Any] | str]:
    """The rows of a file, counted as read. A text in place of a row says why it cannot be read.

    Raises InputError if the file is neither Parquet nor JSON lines, or is damaged.
    """
    found = format_of(artifact.path)
    if found == "parquet":
        for table in shard.read(artifact):
            yield from ({"file": artifact.path, **row} for row in table.to_pylist())
        return
    if found != "jsonl":
        raise InputError(f"{artifact.path} is of the format {found}", "give JSON lines or Parquet")
    shard.count_rows(artifact, 0)
    with storage.open_read(artifact.path) as file:
        stream = opened(file, artifact.path)
        for line, length in lines(chunks_of(stream), LONGEST_LINE):
            if line.strip():
                shard.count_rows(artifact, 1)
                row = _parsed(line, length)
                yield row if isinstance(row, str) else {"file": artifact.path, **row}
        if stream.damage is not None:
            raise InputError(f"{artifact.path} is damaged ({stream.damage.what})", "fetch it again")


def _parsed(line: bytes, length: int) -> Mapping[str, Any] | str:
    if length > len(line):
        return f"the line has {length} bytes"
    try:
        value = json.loads(line)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "the line spells half of a surrogate pair, which is no character"
    except (ValueError, RecursionError) as error:
        return f"the line is not JSON ({error})"
    return value if isinstance(value, dict) else f"the line is {type(value).__name__}, no object"
