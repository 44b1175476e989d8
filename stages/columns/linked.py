"""Stages that edit texts, and the text of the linked document that `link` puts beside them."""

import pyarrow as pa
from corpusmill.manifests.errors import InputError, RecipeError
from corpusmill.manifests.parquet_files import read_parquet, schema_of
from corpusmill.manifests.schema import LINKED
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.contract import Stage


def refuse_linked(table: pa.Table, stage: str, otherwise: str = "") -> None:
    """Raises InputError if rows hold a linked document, whose text the stage would leave as it is.

    That text goes into requests and rows of `synthesize`. otherwise: what makes the stage leave
    texts alone.
    """
    names = table.column_names
    if LINKED.name in names and table[LINKED.name].null_count < table.num_rows:
        raise InputError(*_refusal(stage, otherwise))


def refuse_linked_shard(document: Artifact, stage: str) -> None:
    """`refuse_linked` of a whole shard, before a stage's first pass over it."""
    if LINKED.name in schema_of(document).names:
        for table in read_parquet(document, [LINKED.name]):
            refuse_linked(table, stage)


def refuse_to_edit_pairs(stage: Stage, step: str) -> None:
    """Raises RecipeError if the stage edits texts. For a step of a recipe that will read pairs."""
    if stage.edits_texts():
        raise RecipeError(*_refusal(step, stage.leaves_texts_if))


def _refusal(stage: str, otherwise: str) -> tuple[str, str]:
    return (
        f"{stage} edits the column text only, and the text in the column {LINKED.name} would stay "
        "as it is",
        f"run {stage} before link" + (f", or {otherwise}" if otherwise else ""),
    )
