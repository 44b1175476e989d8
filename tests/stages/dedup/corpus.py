"""Small corpora for the tests of dedup, and how they are run."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from corpusmill.manifests import storage
from corpusmill.manifests.manifest import Manifest
from corpusmill.manifests.schema import DOCUMENT
from corpusmill.pipeline.execute import Job, execute
from corpusmill.pipeline.runner import InlineRunner, Runner
from corpusmill.stages.contract import Inputs
from corpusmill.stages.dedup.stage import Dedup

VOCABULARY = [
    f"{first}{last}"
    for first in "babedifogulaminoperisu"
    for last in ("nt", "rk", "st", "m", "lder", "x", "wn")
]


@dataclass(frozen=True)
class Result:
    """A finished run: kept and removed rows by id, and the manifest."""

    folder: Path
    manifest: Manifest
    kept: list[dict[str, Any]]
    removed: list[dict[str, Any]]

    @property
    def kept_ids(self) -> list[str]:
        return sorted(row["id"] for row in self.kept)

    def removed_row(self, name: str) -> dict[str, Any]:
        (row,) = [row for row in self.removed if row["id"] == name]
        return row


def document(name: str, text: str | None, **columns: Any) -> dict[str, Any]:
    return {"id": name, "text": text, "source": "test", "kind": "actual", **columns}


def write_shards(folder: Path, *shards: list[dict[str, Any]]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, rows in enumerate(shards):
        table = pa.Table.from_pylist(rows, schema=DOCUMENT)
        paths.append(folder / f"part-{number}.parquet")
        pq.write_table(table, paths[-1], row_group_size=97)
    return paths


def run(paths: list[Path], folder: Path, runner: Runner | None = None, **settings: Any) -> Result:
    documents = tuple(storage.artifact_of(str(path)) for path in paths)
    job = Job(Dedup(**settings), ("dedup",), settings, Inputs(str(folder), documents), ())
    manifest = execute(job, runner or InlineRunner())
    rows = {
        where: [
            row
            for path in sorted((folder / where).glob("*.parquet"))
            for row in pq.read_table(path).to_pylist()
        ]
        for where in ("documents", "excluded")
    }
    return Result(folder, manifest, rows["documents"], rows["excluded"])


def dedup(tmp_path: Path, *shards: list[dict[str, Any]], **settings: Any) -> Result:
    return run(write_shards(tmp_path / "in", *shards), tmp_path / "out", **settings)


def words(seed: int | str, count: int = 200) -> list[str]:
    return random.Random(str(seed)).choices(VOCABULARY, k=count)


def edited(text: list[str], replacements: int, seed: int = 0) -> list[str]:
    """`text` with that many words replaced. They are so far apart that each costs five shingles."""
    changed = list(text)
    for number in range(replacements):
        changed[(number * len(text) + len(text) // 2) // max(1, replacements)] = (
            f"edit{seed}x{number}"
        )
    return changed


def mixed_rows() -> list[dict[str, Any]]:
    """Clusters of several kinds: exact, near, chains, and documents by themselves."""
    rows = []
    for number in range(40):
        text = words(number, 100)
        rows.append(document(f"o{number}", " ".join(text)))
        rows += [document(f"e{number}x{copy}", " ".join(text)) for copy in range(number % 3)]
        rows += [
            document(f"n{number}x{copy}", " ".join(edited(text, 1 + copy, copy)))
            for copy in range(number % 4)
        ]
    random.Random(5).shuffle(rows)
    return rows


def output_digests(result: Result) -> dict[str, str]:
    return {
        f"{where}/{path.name}": storage.digest_of(str(path))
        for where in ("documents", "excluded")
        for path in sorted((result.folder / where).glob("*.parquet"))
    }
