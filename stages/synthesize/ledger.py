"""The ledger: answers on disk as they come, so that a killed run asks nothing twice.

It is a file in the shard's scratch folder (`Shard.scratch`), which goes when the shard's receipt is
written. A line is a checksum and an answer, under the hash of its request, with the time since the
ledger was opened. Lines are only appended. A line that a kill cut off has a wrong checksum and
counts as missing.
"""

import hashlib
import json
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import Any

from corpusmill.manifests.receipt import this_worker
from corpusmill.stages.engines.contract import Completion, Request

_NAME = "answers.jsonl"
_FIELDS = tuple(field.name for field in fields(Request))
_SYNCED_SECONDS = 5.0  # a kill loses nothing; a power cut loses the answers of so many seconds


class Ledger:
    """Answers by request. Answers stay on disk. Only the places of those that earlier runs got are
    held in memory: nothing asks for what this run adds.

    earlier: (worker, start since 1970, seconds until its last answer) of each run before.
    """

    def __init__(self, path: str) -> None:
        self._file = open(path, "a+b", buffering=0)  # noqa: SIM115 - `ledger` closes it
        self._places: dict[bytes, tuple[int, int]] = {}
        self._began, self._opened = round(time.time(), 3), time.monotonic()
        self._synced = self._opened
        self._size = 0
        self.earlier = self._read()

    def get(self, request: Request) -> Completion | None:
        """The answer that such a request got before this ledger was opened."""
        place = self._places.get(_hash(request))
        if place is None:
            return None
        record = _record(os.pread(self._file.fileno(), place[1], place[0]))
        assert record is not None, "the ledger was changed while it was open"
        del record["request"], record["run"]
        return Completion(**record)

    def add(self, request: Request, completion: Completion) -> None:
        """Append an answer. It is safe from a kill when this returns.

        An error is no answer: a run that goes on here asks again.
        """
        if completion.finish_reason == "error":
            return
        run = (this_worker(), self._began, round(time.monotonic() - self._opened, 3))
        record = {"request": _hash(request).hex(), "run": run, **asdict(completion)}
        data = json.dumps(record).encode()
        line = b"%08x %s\n" % (zlib.crc32(data), data)
        written = 0
        while written < len(line):
            written += self._file.write(line[written:])
        self._size += len(line)
        if time.monotonic() - self._synced > _SYNCED_SECONDS:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()

    def close(self) -> None:
        self._file.close()

    def _read(self) -> list[tuple[str, float, float]]:
        """Find the answers of earlier runs. Returns when these ran, as `earlier`."""
        took: dict[tuple[str, float], float] = {}
        self._file.seek(0)
        with open(self._file.fileno(), "rb", closefd=False) as file:
            for line in file:
                record = _record(line)
                if record is not None:
                    self._places[bytes.fromhex(record["request"])] = (self._size, len(line))
                    worker, began, seconds = record["run"]
                    took[worker, began] = seconds
                self._size += len(line)
                if not line.endswith(b"\n"):  # cut off: the next answer begins a line of its own
                    self._size += self._file.write(b"\n")
        return [(worker, began, seconds) for (worker, began), seconds in took.items()]


@contextmanager
def ledger(folder: str) -> Iterator[Ledger]:
    """The ledger in a local folder, which is made if there is none."""
    os.makedirs(folder, exist_ok=True)
    opened = Ledger(os.path.join(folder, _NAME))
    try:
        yield opened
    finally:
        opened.close()


def _record(line: bytes) -> dict[str, Any] | None:
    checksum, _, data = line.rstrip(b"\n").partition(b" ")
    return json.loads(data) if checksum == b"%08x" % zlib.crc32(data) else None


def _hash(request: Request) -> bytes:
    """SHA-256 of the request, without what the shard's plan decides (model and tokenizer)."""
    # Not `asdict`: it copies every token.
    values = [getattr(request, name) for name in _FIELDS]
    return hashlib.sha256(json.dumps(values).encode()).digest()
