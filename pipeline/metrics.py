"""Metrics for Prometheus: a text file, or a port that serves them.

The counters of a stage are the sums over its receipts, as in its manifest. They include shards that
an earlier run finished. So after a stop, a resumed run comes to the same numbers. A text file suits
batch jobs: node_exporter's textfile collector reads it. It is written as a whole by rename.
"""

import contextlib
import os
import time
from typing import Any

from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.manifest import Manifest
from corpusmill.manifests.receipt import Receipt
from corpusmill.pipeline.display import Display, Progress
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    disable_created_metrics,
    start_http_server,
    write_to_textfile,
)

WRITTEN_SECONDS = 5.0  # between two writes of the file


class Metrics(Display):
    """A display that counts what happens, and passes each call on to the display `shown`.

    target: path of the text file, or the number of a port. Raises CorpusmillError if the file
    cannot be written or the port cannot be opened.
    """

    def __init__(self, shown: Display, target: str) -> None:
        self._shown = shown
        self.shows = shown.shows  # type: ignore[misc]
        self._path = "" if target.isdecimal() else target
        self._server: Any = None
        self._written = 0.0
        disable_created_metrics()  # a second series for each counter
        self.registry = CollectorRegistry()
        self._documents = self._counter(
            "documents", "Documents by what became of them.", "stage", "outcome"
        )
        self._text_bytes = self._counter("text_bytes", "UTF-8 bytes of kept texts.", "stage")
        self._tokens = self._counter("tokens", "Tokens of kept texts.", "stage")
        self._seconds = self._counter("worker_seconds", "Work of finished shards.", "stage")
        self._shards = self._counter("shards", "Finished shards.", "stage", "pass", "outcome")
        self._failures = self._counter(
            "shard_failures", "Attempts at a shard that failed.", "stage", "outcome"
        )
        self._input = Gauge(
            "corpusmill_pass_input_bytes",
            "Input of the passes of this run.",
            ["pass", "state"],
            registry=self.registry,
        )
        self._changed = Gauge(
            "corpusmill_last_shard_timestamp_seconds",
            "When a shard ended, or the run began.",
            registry=self.registry,
        )
        self._changed.set_to_current_time()
        self._running = Gauge(
            "corpusmill_running",
            "1 while the run goes on. It stays 1 if the process is killed.",
            registry=self.registry,
        )
        self._running.set(1)
        self._open(target)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"corpusmill_{name}", text, labels, registry=self.registry)

    def _open(self, target: str) -> None:
        try:
            if self._path:
                os.makedirs(os.path.dirname(self._path) or ".", exist_ok=True)
                write_to_textfile(self._path, self.registry)
            else:
                self._server, _ = start_http_server(int(target), registry=self.registry)
        except (OSError, OverflowError) as error:
            raise CorpusmillError(
                f"metrics cannot be given at {target} ({error})",
                "choose another file or port for --metrics",
            ) from error

    def say(self, text: str) -> None:
        self._shown.say(text)

    def start(self, progress: Progress) -> None:
        self._shown.start(progress)
        self._progressed(progress)

    def progress(self, progress: Progress) -> None:
        self._shown.progress(progress)
        self._progressed(progress)
        self._write(WRITTEN_SECONDS)

    def shard(self, title: str, receipt: Receipt) -> None:
        self._shown.shard(title, receipt)
        for counts in receipt.counts:
            outcomes = {
                "read": counts.rows_in,
                "kept": counts.kept,
                "excluded": sum(counts.excluded.values()),
                "failed": counts.failed,
                "unused": sum(counts.unused.values()),
            }
            for outcome, rows in outcomes.items():
                self._documents.labels(counts.stage, outcome).inc(rows)
            self._text_bytes.labels(counts.stage).inc(counts.text_bytes)
            self._tokens.labels(counts.stage).inc(counts.tokens)
        self._seconds.labels(receipt.stage).inc(receipt.seconds)
        outcome = "reused" if receipt.reused else "made"
        self._shards.labels(receipt.stage, receipt.pass_name, outcome).inc()
        self._changed.set_to_current_time()

    def failure(self, stage: str, shard: str, message: str, quarantined: bool) -> None:
        self._shown.failure(stage, shard, message, quarantined)
        self._failures.labels(stage, "quarantined" if quarantined else "tried_again").inc()

    def end(self, progress: Progress) -> None:
        self._shown.end(progress)
        self._progressed(progress)

    def stage(self, manifest: Manifest) -> None:
        self._shown.stage(manifest)
        self._write()

    def error(self, text: str) -> bool:
        return self._shown.error(text)

    def close(self) -> None:
        self._shown.close()
        self._running.set(0)
        self._write()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _progressed(self, progress: Progress) -> None:
        self._input.labels(progress.title, "all").set(progress.size)
        self._input.labels(progress.title, "done").set(progress.size_done)

    def _write(self, after: float = 0.0) -> None:
        """Write the file, if the last write is `after` seconds ago."""
        if not self._path or time.monotonic() - self._written < after:
            return
        self._written = time.monotonic()
        # A full disk must not end the run here. The next write may succeed.
        with contextlib.suppress(OSError):
            write_to_textfile(self._path, self.registry)
