"""Progress on the screen or in a log: a bar on a terminal, else lines of text or JSON.

Progress goes to standard error. The results of a verb go to standard output.
"""

import json
import sys
import time
from dataclasses import asdict
from typing import Any

from corpusmill.manifests.looking.tables import size_text
from corpusmill.manifests.manifest import Manifest
from corpusmill.manifests.receipt import Receipt
from corpusmill.pipeline.display import Display, Progress

LINE_SECONDS = 10.0  # between two lines about one pass


class Lines(Display):
    """Writes a line at the start and end of a pass, and at most one each 10 seconds between.

    verbose: also a line for each shard. as_json: each line is a JSON object.
    """

    shows = True

    def __init__(self, as_json: bool = False, verbose: bool = False) -> None:
        self._as_json = as_json
        self._verbose = verbose
        self._last = time.monotonic()

    def say(self, text: str) -> None:
        self._write(text, {"event": "step", "text": text})

    def start(self, progress: Progress) -> None:
        text = f"{progress.title}: start, {_shards(progress.shards)}, {size_text(progress.size)}"
        self._write(text, _record("start", progress))

    def progress(self, progress: Progress) -> None:
        if time.monotonic() - self._last >= LINE_SECONDS:
            # The time grows also while nothing is finished, as in a first answer that takes long.
            running = f"{duration_text(progress.seconds)} so far"
            text = ", ".join([_position(progress), running, *_speed(progress)])
            self._write(f"{progress.title}: {text}", _record("progress", progress))

    def shard(self, title: str, receipt: Receipt) -> None:
        if not self._verbose:
            return
        rows = receipt.counts[0].rows_in if receipt.counts else 0
        took = (
            f"{rows:,} documents in {receipt.seconds:.1f} s" if rows else f"{receipt.seconds:.1f} s"
        )
        how = "reused" if receipt.reused else took
        record = {"event": "shard", "pass": title, "shard": receipt.shard}
        more = {"reused": receipt.reused, "rows": rows, "seconds": receipt.seconds}
        self._write(f"{title}: shard {receipt.shard}, {how}", {**record, **more})

    def failure(self, stage: str, shard: str, message: str, quarantined: bool) -> None:
        what = "quarantined" if quarantined else "failed, is tried again"
        record = {"event": "failure", "stage": stage, "shard": shard, "quarantined": quarantined}
        self._write(f"{stage}: shard {shard} {what}: {message}", {**record, "error": message})

    def stage(self, manifest: Manifest) -> None:
        if self._as_json:
            self._write(
                "",
                {
                    "event": "stage",
                    "stages": manifest.stages,
                    "folder": manifest.folder,
                    "shards": manifest.shards,
                    "quarantined": len(manifest.quarantined),
                    "totals": [asdict(counts) for counts in manifest.totals],
                },
            )

    def error(self, text: str) -> bool:
        if self._as_json:
            self._write("", {"event": "error", "text": text})
        return self._as_json

    def end(self, progress: Progress) -> None:
        if progress.shards_done < progress.shards:
            text = f"stopped, {_position(progress)}"
        elif progress.reused == progress.shards:
            text = f"end, {_shards(progress.shards)} reused"
        else:
            again = f" ({progress.reused:,} reused)" if progress.reused else ""
            time_taken = duration_text(progress.seconds)
            text = ", ".join(
                [f"end, {_shards(progress.shards)}{again} in {time_taken}", *_rate(progress)]
            )
        self._write(f"{progress.title}: {text}", _record("end", progress))

    def _write(self, text: str, record: dict[str, Any]) -> None:
        self._last = time.monotonic()
        if self._as_json:
            now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
            text = json.dumps({"time": now, **record}, ensure_ascii=False)
        else:
            text = f"{time.strftime('%H:%M:%S')} {text}"
        print(text, file=sys.stderr, flush=True)


class Bar(Display):
    """One line at the bottom of a terminal: the work before a pass, then the pass as a bar."""

    shows = True

    def __init__(self, verbose: bool = False) -> None:
        self._lines = Lines(verbose=verbose)
        self._live: Any = None
        self._task: Any = None

    def say(self, text: str) -> None:
        from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._show(columns, text, total=None)

    def start(self, progress: Progress) -> None:
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description:<20}"),
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
        )
        self._show(columns, progress.title, total=1.0)
        self.progress(progress)

    def progress(self, progress: Progress) -> None:
        if self._live is not None:
            shards = f"{progress.shards_done:,}/{progress.shards:,} shards"
            text = ", ".join([shards, *_speed(progress)])
            self._live.update(self._task, completed=progress.fraction, text=text)

    def shard(self, title: str, receipt: Receipt) -> None:
        self._lines.shard(title, receipt)

    def failure(self, stage: str, shard: str, message: str, quarantined: bool) -> None:
        self._lines.failure(stage, shard, message, quarantined)

    def end(self, progress: Progress) -> None:
        self.close()

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _show(self, columns: Any, text: str, total: float | None) -> None:
        from rich.console import Console
        from rich.progress import Progress as Live

        self.close()
        console = Console(stderr=True)
        self._live = Live(*columns, console=console, transient=True, redirect_stdout=False)
        self._task = self._live.add_task(text, total=total, text="")
        self._live.start()


def chosen_display(log: str, quiet: bool, verbose: bool) -> Display:
    """The display for the options. log: `auto`, `lines` or `json`.

    `auto` is a bar if standard error is a terminal, else lines.
    """
    if quiet:
        return Display()
    if log == "auto" and sys.stderr.isatty():
        return Bar(verbose)
    return Lines(as_json=log == "json", verbose=verbose)


def duration_text(seconds: float) -> str:
    """E.g. `3.2 s`, `48 s`, `12 min`, `2 h 05 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"


def _shards(number: int) -> str:
    return "1 shard" if number == 1 else f"{number:,} shards"


def _position(progress: Progress) -> str:
    done = f"{progress.shards_done:,} of {_shards(progress.shards)}"
    sizes = f"{size_text(progress.size_done)} of {size_text(progress.size)}"
    return f"{done}, {sizes} ({100 * progress.fraction:.0f}%)"


def _speed(progress: Progress) -> list[str]:
    """The rate, a worker's note and the time left, as far as they are known."""
    left = progress.seconds_left
    note = [progress.note] if progress.note else []
    return [*_rate(progress), *note, *([] if left is None else [f"{duration_text(left)} left"])]


def _rate(progress: Progress) -> list[str]:
    seconds = progress.seconds
    if seconds < 0.5 or not progress.size_now:
        return []
    rows = [f"{progress.rows / seconds:,.0f} documents/s"] if progress.rows else []
    return [f"{size_text(int(progress.size_now / seconds))}/s", *rows]


def _record(event: str, progress: Progress) -> dict[str, Any]:
    left = progress.seconds_left
    return {
        "event": event,
        "pass": progress.title,
        "shards": progress.shards,
        "shards_done": progress.shards_done,
        "shards_reused": progress.reused,
        "bytes": progress.size,
        "bytes_done": progress.size_done,
        "documents": progress.rows,
        "seconds": round(progress.seconds, 1),
        "seconds_left": None if left is None else round(left, 1),
        **({"note": progress.note} if progress.note else {}),
    }
