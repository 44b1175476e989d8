"""Receipts: what one shard's work read, wrote and counted, written last, by atomic rename.

A shard is done when its receipt carries today's plan hash **and** its outputs still match their digests. So resume needs no
state but the files, does not depend on how many workers run, and notices a changed config, input, model or prompt.
"""

import hashlib
import json
from collections.abc import Container, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.storage import Artifact


@dataclass
class Counts:
    """One step's account of one shard in one pass.

    rows_in: rows read from the stage's inputs, counted where they are read. received: rows read from
    an earlier pass. repeats: rows beyond the first that one row read became (copies, parts).
    kept: rows that go on. excluded: rows dropped, by reason. failed: rows lost to errors; failures:
    their reasons. unused: rows read that the step did not need (not sampled, not reached), by
    reason; they are written nowhere. sent: rows written for a later pass.

    Conservation, in every task: rows_in + received + repeats == kept + excluded + failed + unused + sent.
    Over a whole stage sent and received are equal, so rows_in + repeats == kept + excluded + failed + unused.
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

    @property
    def conserved(self) -> bool:
        return self.rows_in + self.received + self.repeats == self.ended + self.sent

    @property
    def complete(self) -> bool:
        """Whether the account of a whole stage balances: every row that it read or repeated ended."""
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
        self.tokens += other.tokens
        self.seconds += other.seconds


@dataclass
class Receipt:
    """What one shard's work in one pass came to.

    status: done, or quarantined (the work failed twice; `error` says why and there are no outputs).
    received: what was read of files that an earlier pass sent: number of the input, rows, digest of
    the rows (`manifests.row_sum`). reused: this run found it done; never written.
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
    worker: str = ""
    reused: bool = False

    def to_json(self, folder: str) -> bytes:
        """As bytes; paths below `folder` are stored relative to it, so that a stage's folder can be moved or copied."""
        record = asdict(self)
        del record["reused"]
        for artifact in [*record["inputs"], *record["outputs"]]:
            artifact["path"] = _relative(artifact["path"], folder)
        return (json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes, folder: str, path: str) -> "Receipt":
        """The receipt of the stage's `folder` that the file at `path` holds. Raises CorpusmillError if the bytes are no receipt."""
        try:
            record: dict[str, Any] = json.loads(data)
            record["inputs"] = [_artifact(item, folder) for item in record["inputs"]]
            record["outputs"] = [_artifact(item, folder) for item in record["outputs"]]
            record["counts"] = [Counts(**item) for item in record["counts"]]
            record["received"] = [
                (number, rows, digest) for number, rows, digest in record["received"]
            ]
            return cls(**record)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorpusmillError(
                f"{path} is damaged ({error})", "run the same command again"
            ) from error


def plan_hash(plan: dict[str, Any]) -> str:
    """SHA-256 over the canonical JSON of everything that decides a shard's output."""
    return hashlib.sha256(json.dumps(plan, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def receipt_path(folder: str, pass_name: str, shard: str) -> str:
    return storage.join(folder, "receipts", pass_name, f"{shard}.json")


def write_receipt(receipt: Receipt, folder: str) -> None:
    storage.write_bytes(
        receipt_path(folder, receipt.pass_name, receipt.shard), receipt.to_json(folder)
    )


def read_receipt(folder: str, pass_name: str, shard: str) -> Receipt | None:
    """The shard's receipt, or None if there is none or it is unreadable (then the shard is simply not done)."""
    path = receipt_path(folder, pass_name, shard)
    if not storage.exists(path):
        return None
    try:
        return Receipt.from_json(storage.read_bytes(path), folder, path)
    except CorpusmillError:
        return None


def list_receipts(
    folder: str, pass_name: str = "", drop_unreadable: bool = False, but: Container[str] = ()
) -> list[Receipt]:
    """All receipts of a stage's folder (of one pass), sorted by pass and shard. drop_unreadable: delete damaged ones, for whoever owns the
    folder; otherwise they raise. but: paths of receipts that are not to be read."""
    found = []
    for path, receipt in scan_receipts(folder, pass_name, but):
        if isinstance(receipt, Receipt):
            found.append(receipt)
        elif drop_unreadable:
            storage.remove(path)
        else:
            raise receipt
    return found


def scan_receipts(
    folder: str, pass_name: str = "", but: Container[str] = ()
) -> Iterator[tuple[str, Receipt | CorpusmillError]]:
    """Every receipt file of a stage's folder (of one pass) in order: its path, and what it holds or why that cannot be read. but: paths
    to pass over."""
    below = storage.join(folder, "receipts", pass_name)
    for path in storage.list_files(below, ".json") if storage.exists(below) else ():
        if path in but:
            continue
        try:
            yield path, Receipt.from_json(storage.read_bytes(path), folder, path)
        except CorpusmillError as error:
            yield path, error


def is_done(receipt: Receipt | None, expected_plan_hash: str) -> bool:
    """Whether the receipt is of today's plan and every output is there with the bytes it had."""
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
