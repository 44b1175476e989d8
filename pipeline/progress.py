"""What a person sees while a stage runs: shards done, documents a second, time left. Quiet unless the output is a terminal."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from corpusmill.manifests import storage
from corpusmill.manifests.receipt import Receipt


class Watcher(Protocol):
    def finished(self, receipt: Receipt) -> None: ...


class _Silent:
    def finished(self, receipt: Receipt) -> None:
        pass


class _Bar:
    """One rich bar a pass. Shards under way count in part, as far as their progress files say."""

    def __init__(self, progress: object, task_id: object, folder: str) -> None:
        self._progress = progress
        self._task_id = task_id
        self._folder = os.path.join(storage.local(folder), "work", "progress")
        self._done = 0
        self._rows = 0
        self._started = time.monotonic()

    def finished(self, receipt: Receipt) -> None:
        self._done += 1
        if not receipt.reused and receipt.counts:
            self._rows += receipt.counts[0].rows_in

    def refresh(self) -> None:
        fraction, rows, note = 0.0, self._rows, ""
        for name in os.listdir(self._folder) if os.path.isdir(self._folder) else ():
            try:
                with open(os.path.join(self._folder, name), encoding="utf-8") as file:
                    record = json.load(file)
            except (OSError, ValueError):
                continue  # being rewritten this moment
            if record["total"]:
                fraction += min(record["done"] / record["total"], 1.0)
                note = f"{record['done']:,}/{record['total']:,} {record['unit']}"
            elif record["unit"] == "documents":
                rows += record["done"]
        elapsed = max(time.monotonic() - self._started, 1e-3)
        rate = note or (f"{rows / elapsed:,.0f} documents/s" if rows else "")
        self._progress.update(self._task_id, completed=self._done + fraction, rate=rate)  # type: ignore[attr-defined]


@contextmanager
def watch(title: str, shards: int, folder: str) -> Iterator[Watcher]:
    """Show a pass of `shards` shards under `title` for as long as the block runs."""
    if not sys.stderr.isatty() or shards == 0:
        yield _Silent()
        return
    import threading

    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("shards"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = _Bar(progress, progress.add_task(title, total=shards, rate=""), folder)
        stop = threading.Event()

        def poll() -> None:
            while not stop.wait(0.5):
                bar.refresh()

        thread = threading.Thread(target=poll, daemon=True)
        thread.start()
        try:
            yield bar
        finally:
            stop.set()
            thread.join()
