"""Small real stages for the tests of the pipeline."""

import os
import time
from collections.abc import Mapping
from functools import partial
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests.errors import InputError, StorageError
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import DOCUMENT, actual_id, conform, excluded
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact, artifact_of
from corpusmill.stages.contract import GlobalStage, Inputs, MapStage, Outcome, Pass, Passes, Reads


def write_documents(folder, shards: Mapping[str, list[str]]) -> tuple[Artifact, ...]:
    """One Parquet file of documents for each shard, outside any stage."""
    artifacts = []
    for name, texts in shards.items():
        shard = Shard(name, (), str(folder))
        with shard.parquet("raw", DOCUMENT) as output:
            ids = [actual_id("test", name, row) for row in range(len(texts))]
            output.write(conform(pa.table({"id": ids, "text": texts}), DOCUMENT))
        artifacts.append(artifact_of(shard.outputs[0].path))
    return tuple(artifacts)


class DropShort(MapStage):
    """Drops texts shorter than `minimum`. A text `poison` makes the whole batch fail."""

    minimum: int = 3
    name: ClassVar[str] = "drop_short"
    reads: ClassVar[Reads] = Reads.DOCUMENTS

    def adds(self) -> tuple[pa.Field, ...]:
        return (pa.field("length", pa.int32()),)

    def apply(self, table: pa.Table) -> Outcome:
        if pc.any(pc.equal(table["text"], "poison")).as_py():
            raise ValueError("a poisonous record")
        lengths = pc.cast(pc.utf8_length(table["text"]), pa.int32())
        table = table.drop_columns(
            [name for name in ("length",) if name in table.column_names]
        ).append_column("length", lengths)
        mask = pc.greater_equal(lengths, self.minimum)
        dropped = table.filter(pc.invert(mask))
        return Outcome(
            table.filter(mask),
            excluded(dropped, self.name, ["short"] * dropped.num_rows, [None] * dropped.num_rows),
        )


class CountAndCopy(GlobalStage):
    """Two passes: count the rows of every shard, then copy each shard beside the total."""

    name: ClassVar[str] = "count_and_copy"

    def passes(self, inputs: Inputs) -> Passes:
        shards = {artifact.name.split(".")[0]: (artifact,) for artifact in inputs.documents}
        result = yield Pass("count", shards, _count)
        counts = result.outputs("work/count")
        yield Pass(
            "copy",
            {name: (*files, *counts) for name, files in shards.items()},
            partial(_copy, self.name),
            final=True,
        )


def _count(shard: Shard) -> list[Counts]:
    rows = sum(table.num_rows for table in read_parquet(shard.inputs[0]))
    shard.file("work/count", f"{shard.name}.txt", str(rows).encode())
    return [Counts("count", rows_in=rows, kept=rows)]


def _copy(stage: str, shard: Shard) -> list[Counts]:
    total = 0
    for artifact in shard.inputs[1:]:
        with open(artifact.path, encoding="utf-8") as file:
            total += int(file.read())
    with shard.parquet("documents", DOCUMENT) as output:
        for table in shard.read(shard.inputs[0]):
            output.write(table.set_column(2, "url", pa.array([f"{total}"] * table.num_rows)))
    return [Counts(stage, rows_in=shard.rows_read, kept=output.rows)]


class Failing(CountAndCopy):
    """Fails on shards by name.

    `bad` fails always, `flaky` the first time, `full` as on a full disk. `dies` ends its process.
    """

    name: ClassVar[str] = "failing"

    def passes(self, inputs: Inputs) -> Passes:
        shards = {artifact.name.split(".")[0]: (artifact,) for artifact in inputs.documents}
        yield Pass("copy", shards, _fail, final=True)


def _fail(shard: Shard) -> list[Counts]:
    marker = os.path.join(shard.folder, f"{shard.name}.tried")
    if shard.name == "bad":
        raise InputError("bad.parquet is damaged", "make it again")
    if shard.name == "full":
        raise StorageError("cannot write", "free space")
    if not os.path.exists(marker):
        os.makedirs(shard.folder, exist_ok=True)
        open(marker, "w").close()
        if shard.name == "flaky":
            raise RuntimeError("a passing fault")
        if shard.name == "dies":
            os._exit(9)
    return _copy("failing", shard)


PLACE = ("TMPDIR", "RAY_NODE_TYPE_NAME", "CUDA_VISIBLE_DEVICES")


class Placed(GlobalStage):
    """Notes as a URL where a shard was: the Ray node's folder and type, and the GPUs it saw.

    The first pass, `processor`, needs a processor, the second, `gpu`, an engine on a GPU. go_on: a
    folder; a pass waits until a file of its name is there.
    """

    go_on: str
    name: ClassVar[str] = "placed"

    def passes(self, inputs: Inputs) -> Passes:
        shards = {artifact.name.split(".")[0]: (artifact,) for artifact in inputs.documents}
        yield Pass("processor", shards, partial(_place, "processor", f"{self.go_on}/processor"))
        work = partial(_place, "documents", f"{self.go_on}/gpu")
        yield Pass("gpu", shards, work, final=True, holds_engine=True, gpus=1)


def _place(folder: str, go_on: str, shard: Shard) -> list[Counts]:
    while not os.path.exists(go_on):
        time.sleep(0.1)
    time.sleep(0.3)  # so that no worker does them all
    where = " ".join(os.environ.get(name, "-") for name in PLACE)
    with shard.parquet(folder, DOCUMENT) as output:
        for table in shard.read(shard.inputs[0]):
            output.write(table.set_column(2, "url", pa.array([where] * table.num_rows)))
    counted = "placed" if folder == "documents" else folder
    return [Counts(counted, rows_in=shard.rows_read, kept=output.rows)]
