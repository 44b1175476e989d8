"""Rules for which document of several stays, and the columns that they need."""

from collections.abc import Iterable

from corpusmill.manifests.errors import InputError
from corpusmill.manifests.parquet_files import schema_of
from corpusmill.manifests.storage import Artifact

RANKING: dict[str, list[tuple[str, str]]] = {  # sort keys; the smallest id decides between equals
    "longest": [("text_bytes", "descending")],
    "first": [],
    "newest": [("date", "descending")],
    "best_quality": [("quality", "descending")],
}
DOCUMENT_COLUMNS = {"newest": "date", "best_quality": "quality"}


def refuse_rule_without_column(documents: Iterable[Artifact], setting: str, rule: str) -> None:
    """Raises InputError if the rule needs a column that no shard has.

    setting: its name, as `survivor`. Reads footers until one has the column. A shard that cannot
    be read is in quarantine later, and says nothing here.
    """
    column = DOCUMENT_COLUMNS.get(rule)
    if column is None:
        return
    readable = False
    for document in documents:
        try:
            if column in schema_of(document).names:
                return
        except InputError:
            continue
        readable = True
    if readable:
        raise InputError(
            f"{setting} is {rule}, and the documents have no column {column}",
            f"run `corpusmill classify` first, or set another {setting}"
            if column == "quality"
            else f"set another {setting}",
        )
