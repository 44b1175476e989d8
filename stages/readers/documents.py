"""Documents from another stage's shards, or from raw files through the readers.

Stages that need text but do not extract it (blend, tokenizer, pack) read through here. So each
of them takes JSON lines, Parquet and text trees as well as a stage's folder.
"""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests.errors import InputError, RecipeError
from corpusmill.manifests.parquet_files import read_parquet, schema_of
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import (
    DOCUMENT,
    EXCLUSION,
    FAILED_PREFIX,
    LICENCE,
    conform,
    extended,
)
from corpusmill.manifests.shard_names import shard_names
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.columns.table import with_column
from corpusmill.stages.licences.expressions import named
from corpusmill.stages.readers import ReaderSettings, read_records
from corpusmill.stages.readers.licences import with_licences

BATCH_ROWS = 1024
# Documents. A record that could not be read also has its reason; the others have null there.
READ = extended(*EXCLUSION)


def is_document_shard(artifact: Artifact) -> bool:
    """Whether the file is a stage's shard: Parquet with every column of `schema.DOCUMENT`."""
    return artifact.name.endswith(".parquet") and set(DOCUMENT.names) <= set(
        schema_of(artifact).names
    )


def read_documents(
    artifact: Artifact, reader: ReaderSettings, stage: str, also: tuple[pa.Field, ...] = ()
) -> Iterator[pa.Table]:
    """The rows of the file as tables of `READ`, in file order, at most `BATCH_ROWS` each.

    also: further columns, null where absent. A raw record that could not be read has the columns
    reason (`error_read.*` or `page.too_large`), stage and detail. `kind` is actual unless the file
    says otherwise. The licence of a raw record is spelled as `named` does. Raises InputError if the
    file as a whole cannot be read.
    """
    schema = extended(*also, of=READ)
    if is_document_shard(artifact):
        for group in read_parquet(artifact):
            group = conform(with_licences(group), schema)
            for start in range(0, group.num_rows, BATCH_ROWS):
                yield _with_kind(group.slice(start, BATCH_ROWS))
        return
    for records in read_records(artifact, reader):
        if records["payload"].null_count < records.num_rows:
            raise InputError(
                f"{artifact.path} holds pages, not text",
                "run `corpusmill extract` on it first and give its output folder",
            )
        error = records["error"]
        columns = {name: records[name] for name in records.column_names if name in schema.names} | {
            "stage": pc.if_else(pc.is_valid(error), stage, pa.scalar(None, pa.string())),
            "reason": error,
            "detail": records["error_detail"],
        }
        if LICENCE.name in columns:
            said = [named(one or "") for one in records[LICENCE.name].to_pylist()]
            columns[LICENCE.name] = pa.array(said, LICENCE.type)
        yield _with_kind(conform(pa.table(columns), schema))


def read_columns(artifact: Artifact, *names: str) -> Iterator[pa.Table]:
    """These columns of `schema.DOCUMENT`, from a shard of documents. One that the shard lacks is
    null.

    Raises InputError if the shard has no `id` or `text`, or a column has another type.
    """
    wanted = pa.schema([DOCUMENT.field(name) for name in names])
    there = {*schema_of(artifact).names, "id", "text"}
    for table in read_parquet(artifact, [name for name in names if name in there]):
        yield conform(table, wanted)


def input_shards(artifacts: tuple[Artifact, ...], stage: str) -> dict[str, Artifact]:
    """`shard_names`, for a stage that needs input. Raises RecipeError if there is no file."""
    if not artifacts:
        raise RecipeError(
            f"{stage} has nothing to read", "give it an input: a stage's folder, files or globs"
        )
    return shard_names(artifacts)


def count_reasons(account: Counts, reasons: list[str]) -> None:
    """Add excluded rows to an account: failed rows, and dropped rows by reason code."""
    for reason in reasons:
        if reason.startswith(FAILED_PREFIX):
            account.failed += 1
            account.failures[reason] = account.failures.get(reason, 0) + 1
        else:
            account.excluded[reason] = account.excluded.get(reason, 0) + 1


def _with_kind(table: pa.Table) -> pa.Table:
    return with_column(table, table.schema.field("kind"), pc.fill_null(table["kind"], "actual"))
