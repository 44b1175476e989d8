"""How far the stages below a folder are, from their files alone: for `corpusmill watch`.

Any process that can read the folder can follow a run: on another machine too, or after the run has
ended. A stage's `work/pass.json` says how many shards its present pass has (`pipeline.progress`
writes it). Its receipts say which are done. Its lease says who works. Within a shard, the progress
files of this machine's workers say more.
"""

import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError, InputError
from corpusmill.manifests.receipt import Receipt, scan_receipts
from corpusmill.manifests.shard import progress_folder
from corpusmill.manifests.stage_folder import StageFolder, stage_folders
from corpusmill.pipeline.lease import Holder, holder_of
from corpusmill.pipeline.progress import PASS, note_of, part_of


class State(StrEnum):
    """RUNNING: a living run holds the lease. STOPPED: unfinished, and nobody works."""

    FINISHED = "finished"
    RUNNING = "running"
    STOPPED = "stopped"


@dataclass
class StageState:
    """One stage at a moment.

    pass_name, done, shards: of the present pass; shards is 0 if unknown. part: of the pass that is
    done, 0 to 1. rows, kept, size: read, kept and bytes of kept text, over finished shards of final
    passes. seconds: worker time over all passes. failed: quarantined shards. note: of a worker.
    begun: when its run began, ISO 8601.
    """

    name: str
    folder: str
    state: State
    pass_name: str = ""
    done: int = 0
    shards: int = 0
    part: float = 0.0
    rows: int = 0
    kept: int = 0
    size: int = 0
    seconds: float = 0.0
    failed: int = 0
    note: str = ""
    command: str = ""
    begun: str = ""
    holder: Holder | None = None


@dataclass
class Watcher:
    """Looks at a run again and again. Each receipt is read once."""

    root: str
    _receipts: dict[str, dict[str, Receipt]] = field(default_factory=dict)
    _finished: dict[str, StageState] = field(default_factory=dict)

    def look(self) -> list[StageState]:
        """The stages now, finished ones first. Empty if there is none yet."""
        here = StageFolder(self.root)
        folders = [here] if here.is_stage else list(stage_folders(self.root))
        found = [state for folder in folders if (state := self._state(folder)) is not None]
        return sorted(found, key=lambda state: (state.state is not State.FINISHED, state.begun))

    def _state(self, folder: StageFolder) -> StageState | None:
        holder = holder_of(folder.path)
        if holder is not None and holder.is_stale:
            holder = None
        if folder.has_manifest and holder is None:
            return self._finished_state(folder)
        receipts = self._read(folder.path)
        state = State.RUNNING if holder else State.STOPPED
        found = StageState(storage.name_of(folder.path), folder.path, state, holder=holder)
        with suppress(InputError):
            if folder.started:
                found.command, found.begun = folder.started.command, folder.started.date
        _add_pass(found, receipts)
        return found

    def _finished_state(self, folder: StageFolder) -> StageState | None:
        if folder.path not in self._finished:
            try:
                manifest = folder.manifest
            except InputError:
                return None  # it is being written, or damaged: `verify` tells
            first, last = manifest.totals[0], manifest.totals[-1]
            self._finished[folder.path] = StageState(
                name=storage.name_of(folder.path),
                folder=folder.path,
                state=State.FINISHED,
                done=manifest.shards,
                shards=manifest.shards,
                part=1.0,
                rows=first.rows_in,
                kept=last.kept,
                size=last.text_bytes,
                seconds=sum(manifest.timing.values()),
                failed=len(manifest.quarantined),
                command=manifest.command,
                begun=manifest.date,
            )
        self._receipts.pop(folder.path, None)
        return self._finished[folder.path]

    def _read(self, folder: str) -> list[Receipt]:
        known = self._receipts.setdefault(folder, {})
        for path, receipt in scan_receipts(folder, skip=known):
            if isinstance(receipt, Receipt):
                known[path] = receipt
        return list(known.values())


def _add_pass(found: StageState, receipts: list[Receipt]) -> None:
    described = _described(found.folder)
    found.pass_name = str(described.get("pass", ""))
    sizes = described.get("sizes", {})
    found.shards = len(sizes)
    whole = sum(sizes.values()) or 1
    finished = 0
    for receipt in receipts:
        found.seconds += receipt.seconds
        found.failed += receipt.status != "done"
        if receipt.pass_name == found.pass_name and receipt.shard in sizes:
            found.done += 1
            finished += sizes[receipt.shard]
        if receipt.counts:
            found.rows += receipt.counts[0].rows_in
            found.kept += receipt.counts[-1].kept
            found.size += receipt.counts[-1].text_bytes
    for record in _progress(found.folder):
        if size := sizes.get(record["shard"], 0):
            finished += int(size * part_of(record, size))
            found.note = note_of(record) or found.note
    found.part = min(1.0, finished / whole)


def _described(folder: str) -> dict[str, Any]:
    path = storage.join(folder, PASS)
    try:
        return dict(json.loads(storage.read_bytes(path))) if storage.exists(path) else {}
    except (CorpusmillError, FileNotFoundError, ValueError):
        return {}  # it is being written


def _progress(folder: str) -> list[dict[str, Any]]:
    """What the workers of this machine wrote about their shards."""
    below, found = progress_folder(folder), []
    for name in os.listdir(below) if os.path.isdir(below) else ():
        with suppress(OSError, ValueError), open(os.path.join(below, name)) as file:
            record = json.load(file)
            if isinstance(record, dict) and isinstance(record.get("done"), int):
                found.append(record)
    return found
