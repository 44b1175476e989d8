"""The loop of `corpusmill watch`: look, show, wait, until nothing runs any more."""

import dataclasses
import json
import sys
import time

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.pipeline.watching import State, Watcher
from corpusmill.report.watching import Line, Rates, lines, watch_page, watch_table

QUIET_SECONDS = 15.0  # if no run holds a folder for so long, the job has ended


def follow(
    root: str,
    seconds: float = 5.0,
    page: str | None = None,
    once: bool = False,
    as_json: bool = False,
) -> None:
    """Show a run's state every `seconds` until no run works below `root`.

    page: a file or URL that gets the state as HTML. once: end after the first look. Raises
    InputError if nothing is there and nothing begins.
    """
    from rich.console import Console
    from rich.live import Live

    watcher, rates = Watcher(root), Rates()
    last_run = time.monotonic()
    said: list[tuple[str, str]] | None = None
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    live = Live(console=console, auto_refresh=False) if sys.stdout.isatty() and not once else None
    if live and not as_json:
        live.start()
    try:
        while True:
            found = lines(watcher.look(), rates)
            if page:
                storage.write_bytes(page, watch_page(root, found, seconds))
            if as_json:
                print(_as_json(found), flush=True)
            elif live:
                live.update(watch_table(found), refresh=True)
            elif (told := [(line.rows, line.words) for line in found]) != said:
                console.print(watch_table(found))
                said = told
            if any(line.state.state is State.RUNNING for line in found):
                last_run = time.monotonic()
            if once or time.monotonic() - last_run > min(QUIET_SECONDS, 3 * seconds):
                break
            time.sleep(seconds)
    finally:
        if live and not as_json:
            live.stop()
    if not found:
        raise InputError(f"nothing runs below {root}", "give the --output of a run")


def _as_json(found: list[Line]) -> str:
    records = []
    for line in found:
        record = dataclasses.asdict(line.state)
        record["seconds_left"] = line.left
        records.append(record)
    return json.dumps({"at": round(time.time(), 1), "stages": records}, ensure_ascii=False)
