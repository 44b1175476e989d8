"""Stages that edit texts, and the text of the linked document that `link` puts beside them."""

import pyarrow as pa
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.schema import LINKED


def refuse_linked(table: pa.Table, stage: str, otherwise: str = "") -> None:
    """Raises InputError if rows hold a linked document, whose text the stage would leave as it is.

    That text goes into requests and rows of `synthesize`. otherwise: what makes the stage leave
    texts alone.
    """
    names = table.column_names
    if LINKED.name in names and table[LINKED.name].null_count < table.num_rows:
        raise InputError(
            f"{stage} edits the column text only, and the text in the column {LINKED.name} "
            "would stay as it is",
            f"run {stage} before link" + (f", or {otherwise}" if otherwise else ""),
        )
