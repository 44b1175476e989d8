"""Receipts: what the work on one shard read, wrote and counted.

A receipt is written last, by atomic rename. A shard is done if its receipt has the current plan
hash **and** its outputs still match their digests. So a resumed run needs only the files. It does
not depend on the number of workers. It notices a changed config, input, model or prompt.
"""

import hashlib
import json
import os
import platform
from collections.abc import Container, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from corpusmill.manifests import finding, storage
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.storage import Artifact


@dataclass
class Counts:
    """One step's account of one shard in one pass.

    rows_in: rows read from the stage's inputs. They are counted where they are read.
    received: rows read from an earlier pass.
    repeats: extra rows. If one row becomes three (copies, parts), it has two repeats.
    kept: rows that go on.
    excluded: dropped rows, by reason.
    failed: rows lost to errors. failures: the same rows, by reason.
    unused: rows that the step read and did not need (not sampled, not reached), by reason. They are
    not written.
    sent: rows written for a later pass.
    edited: kept rows of which the step cut text. cut_bytes: how much.

    In every task:
        rows_in + received + repeats == kept + excluded + failed + unused + sent
    Over a whole stage, sent == received, so:
        rows_in + repeats == kept + excluded + failed + unused
    """

    stage: str
    rows_in: int = 0
    kept: int = 0
    excluded: dict[str, int] = field(default_factory=dict)
    failed: int = 0
    repeats: int = 0
    unused: dict[str, int] = field(default_factory=dict)
    received: int = 0
    sent: int = 0
    text_bytes: int = 0  # of the kept rows
    tokens: int = 0
    seconds: float = 0.0
    failures: dict[str, int] = field(default_factory=dict)
    edited: int = 0
    cut_bytes: int = 0

    @property
    def conserved(self) -> bool:
        return self.rows_in + self.received + self.repeats == self.ended + self.sent

    @property
    def complete(self) -> bool:
        """Whether the account of a whole stage balances: rows_in + repeats == ended."""
        return self.rows_in + self.repeats == self.ended and self.sent == self.received

    @property
    def ended(self) -> int:
        """The rows that ended in this step: kept, excluded, failed or not used."""
        excluded, unused = sum(self.excluded.values()), sum(self.unused.values())
        return self.kept + excluded + self.failed + unused

    def text(self) -> str:
        """The account in words, for messages."""
        parts = {
            "read": self.rows_in,
            "received": self.received,
            "repeated": self.repeats,
            "kept": self.kept,
            "dropped": sum(self.excluded.values()),
            "failed": self.failed,
            "not used": sum(self.unused.values()),
            "sent": self.sent,
        }
        return ", ".join(f"{rows:,} {word}" for word, rows in parts.items() if rows) or "no rows"

    def leave_out(self, reason: str, rows: int) -> None:
        """Count rows that the step read and did not need."""
        if rows:
            self.unused[reason] = self.unused.get(reason, 0) + rows

    def count_cuts(self, cut_bytes: Iterable[int | None]) -> None:
        """Count kept rows, given how many bytes were cut out of each."""
        for size in cut_bytes:
            if size:
                self.edited += 1
                self.cut_bytes += size

    def add(self, other: "Counts") -> None:
        """Sum another shard's account of the same stage into this one."""
        self.rows_in += other.rows_in
        self.kept += other.kept
        self.repeats += other.repeats
        self.received += other.received
        self.sent += other.sent
        for mine, others in (
            (self.excluded, other.excluded),
            (self.failures, other.failures),
            (self.unused, other.unused),
        ):
            for reason, rows in others.items():
                mine[reason] = mine.get(reason, 0) + rows
        self.failed += other.failed
        self.text_bytes += other.text_bytes
        self.edited += other.edited
        self.cut_bytes += other.cut_bytes
        self.tokens += other.tokens
        self.seconds += other.seconds


@dataclass
class Receipt:
    """The result of the work on one shard in one pass.

    status: `done`, or `quarantined` (the work failed twice). A quarantined shard has no outputs.
    `error` says why.
    received: for each file of an earlier pass that was read: the number of the input, the rows, and
    the digest of the rows (`manifests.row_sum`).
    started: when the work began, in seconds since 1970. gpus: that the worker had for it.
    earlier: (worker, started, seconds) of attempts that were cut off, and whose work was used.
    reused: this run found the shard done. The field is not written to the file.
    """

    stage: str
    pass_name: str
    shard: str
    plan_hash: str
    status: str = "done"
    inputs: list[Artifact] = field(default_factory=list)
    outputs: list[Artifact] = field(default_factory=list)
    counts: list[Counts] = field(default_factory=list)
    received: list[tuple[int, int, int]] = field(default_factory=list)
    error: str = ""
    seconds: float = 0.0
    started: float = 0.0
    gpus: float = 0.0
    worker: str = ""
    earlier: list[tuple[str, float, float]] = field(default_factory=list)
    reused: bool = False

    def to_json(self, folder: str) -> bytes:
        """The receipt as bytes of JSON.

        Paths below `folder` are stored relative to it, so that the folder can be moved or copied.
        """
        record = asdict(self)
        del record["reused"]
        for artifact in [*record["inputs"], *record["outputs"]]:
            artifact["path"] = _relative(artifact["path"], folder)
        return (json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes, folder: str, path: str) -> "Receipt":
        """The receipt in `data`. `folder`: the stage's. `path`: the receipt's, for messages.

        Raises CorpusmillError if `data` is not a receipt.
        """
        try:
            record: dict[str, Any] = json.loads(data)
            record["inputs"] = [_artifact(item, folder) for item in record["inputs"]]
            record["outputs"] = [_artifact(item, folder) for item in record["outputs"]]
            record["counts"] = [Counts(**item) for item in record["counts"]]
            record["received"] = [
                (number, rows, digest) for number, rows, digest in record["received"]
            ]
            record["earlier"] = [tuple(attempt) for attempt in record.get("earlier", [])]
            return cls(**record)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorpusmillError(
                f"{path} is damaged ({error})", "run the same command again"
            ) from error


def this_worker() -> str:
    """The machine and the process that works, for a receipt."""
    return f"{platform.node()}:{os.getpid()}"


def plan_hash(plan: dict[str, Any]) -> str:
    """SHA-256 of the canonical JSON of `plan`: all that decides a shard's output."""
    return hashlib.sha256(json.dumps(plan, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def receipt_path(folder: str, pass_name: str, shard: str) -> str:
    return storage.join(folder, "receipts", pass_name, f"{shard}.json")


def write_receipt(receipt: Receipt, folder: str) -> None:
    storage.write_bytes(
        receipt_path(folder, receipt.pass_name, receipt.shard), receipt.to_json(folder)
    )


def read_receipt(folder: str, pass_name: str, shard: str) -> Receipt | None:
    """The shard's receipt. None if there is none, or if it is unreadable: the shard is not done."""
    path = receipt_path(folder, pass_name, shard)
    if not storage.exists(path):
        return None
    try:
        return Receipt.from_json(storage.read_bytes(path), folder, path)
    except CorpusmillError:
        return None


def list_receipts(
    folder: str, pass_name: str = "", drop_unreadable: bool = False, skip: Container[str] = ()
) -> list[Receipt]:
    """All receipts in a stage's folder, sorted by pass and shard.

    pass_name: only those of this pass. drop_unreadable: delete damaged receipts. Only the process
    that holds the folder may do so. Without it, a damaged receipt raises CorpusmillError. skip:
    paths of receipts that are not read.
    """
    found = []
    for path, receipt in scan_receipts(folder, pass_name, skip):
        if isinstance(receipt, Receipt):
            found.append(receipt)
        elif drop_unreadable:
            storage.remove(path)
        else:
            raise receipt
    return found


def scan_receipts(
    folder: str, pass_name: str = "", skip: Container[str] = ()
) -> Iterator[tuple[str, Receipt | CorpusmillError]]:
    """The path of every receipt in a stage's folder, and the receipt or why it cannot be read.

    They come sorted by path. pass_name: only those of this pass. skip: paths that are not read.
    """
    below = storage.join(folder, "receipts", pass_name)
    for path in finding.files_below(below, ".json") if storage.exists(below) else ():
        if path in skip:
            continue
        try:
            yield path, Receipt.from_json(storage.read_bytes(path), folder, path)
        except CorpusmillError as error:
            yield path, error


def is_done(receipt: Receipt | None, expected_plan_hash: str) -> bool:
    """Whether the receipt has the expected plan hash and every output still has its digest."""
    return (
        receipt is not None
        and receipt.status == "done"
        and receipt.plan_hash == expected_plan_hash
        and all(storage.matches(output) for output in receipt.outputs)
    )


def _relative(path: str, folder: str) -> str:
    prefix = folder.rstrip("/") + "/"
    return "./" + path.removeprefix(prefix) if path.startswith(prefix) else path


def _artifact(record: dict[str, Any], folder: str) -> Artifact:
    path = record["path"]
    return Artifact(
        **{**record, "path": storage.join(folder, path[2:]) if path.startswith("./") else path}
    )
