"""The progress of a pass: bytes read, shards and documents done, time left.

Workers write the progress of their shards into small files (`Shard.report`). Progress counts bytes
of input, so that it also moves within one large file. Shards of an earlier run count as done, but
not in the rate. The display shows the progress. `work/pass.json` names the pass and the
sizes of its shards, for `corpusmill watch` in another process.
"""

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from corpusmill.manifests import storage
from corpusmill.manifests.receipt import Receipt
from corpusmill.manifests.shard import progress_folder
from corpusmill.pipeline import display
from corpusmill.pipeline.display import Progress
from corpusmill.pipeline.task import Task

PASS = "work/pass.json"
_POLL_SECONDS = 0.5


def part_of(record: Mapping[str, Any], size: int) -> float:
    """The part of a shard that is done, below 1. record: a worker's progress file. size: in bytes.

    A worker that asks a model has read its shard before the first answer. It has done nothing yet.
    """
    if record["total"]:
        part = record["done"] / record["total"]
    elif record["unit"] and not record["done"]:
        part = 0.0
    else:
        part = record["read"] / size
    return float(min(part, 0.99))


def note_of(record: Mapping[str, Any]) -> str:
    """How far a shard is in its own units. Empty if it does not know how many there are."""
    total = record["total"]
    return f"{record['done']:,}/{total:,} {record['unit']}" if total else ""


class Meter:
    """Counts what a pass has done. The clock starts with the first shard that this run does."""

    def __init__(self, title: str, tasks: Sequence[Task], folder: str) -> None:
        self._title = title
        self._folder = progress_folder(folder)
        # at least 1, so that shards without input count
        self._sizes = {task.shard: max(sum(a.size for a in task.inputs), 1) for task in tasks}
        self._size = sum(self._sizes.values())
        self._done: set[str] = set()  # shards; the sums below are over them, kept as they end
        self._reused = self._rows = self._size_before = self._size_now = 0
        self._started = time.monotonic()
        self._lock = threading.Lock()
        for name in self._names():  # files of killed workers
            os.unlink(os.path.join(self._folder, name))

    def describe(self, folder: str, pass_name: str) -> None:
        """Write `work/pass.json` in the stage's folder."""
        described = {"pass": pass_name, "sizes": self._sizes}
        storage.write_bytes(storage.join(folder, PASS), json.dumps(described).encode())

    def finished(self, receipt: Receipt) -> None:
        with self._lock:
            size = self._sizes[receipt.shard]
            self._done.add(receipt.shard)
            if receipt.reused:
                self._reused += 1
                self._size_before += size
            else:
                self._size_now += size
                self._rows += receipt.counts[0].rows_in if receipt.counts else 0
            if self._reused == len(self._done):
                self._started = time.monotonic()
        display.current().shard(self._title, receipt)

    def progress(self) -> Progress:
        """The progress at this moment."""
        records = list(self._records())
        with self._lock:
            rows, size_now, before = self._rows, self._size_now, self._size_before
            shards_done, reused = len(self._done), self._reused
            records = [record for record in records if record["shard"] not in self._done]
        note = ""
        for record in records:
            size = self._sizes.get(record["shard"], 0)
            if not size:
                continue
            note = note_of(record) or note
            if not record["total"]:
                rows += record["done"] if record["unit"] == "documents" else 0
            size_now += int(size * part_of(record, size))
        return Progress(
            title=self._title,
            shards=len(self._sizes),
            size=self._size,
            shards_done=shards_done,
            size_done=before + size_now,
            reused=reused,
            rows=rows,
            size_now=size_now,
            seconds=time.monotonic() - self._started,
            note=note,
        )

    def clear(self) -> None:
        """Remove the folder of the progress files, if no worker left one."""
        with suppress(OSError):
            os.rmdir(self._folder)

    def _records(self) -> Iterator[dict[str, Any]]:
        for name in self._names():
            try:
                with open(os.path.join(self._folder, name), encoding="utf-8") as file:
                    yield json.load(file)
            except (OSError, ValueError):
                continue  # a worker writes or removes it at this moment

    def _names(self) -> list[str]:
        return os.listdir(self._folder) if os.path.isdir(self._folder) else []


@contextmanager
def watch(title: str, tasks: Sequence[Task], folder: str) -> Iterator[Meter]:
    """Show the progress of a pass over `tasks` while the block runs. title: its name."""
    meter = Meter(title, tasks, folder)
    if tasks:
        meter.describe(folder, tasks[0].pass_name)
    shown = display.current()
    stop = threading.Event()

    def poll() -> None:
        while not stop.wait(_POLL_SECONDS):
            shown.progress(meter.progress())

    shown.start(meter.progress())
    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield meter
    finally:
        stop.set()
        thread.join()
        shown.end(meter.progress())
        meter.clear()
