"""Documents of a stage, drawn by a seed from those that a condition holds for.

The draw takes the rows with the smallest hashes of id and seed. So the same seed gives the same
documents, whatever the shards, and a stricter condition gives a part of the same draw.
"""

from typing import Any

from corpusmill.manifests.errors import CorpusmillError, InputError
from corpusmill.manifests.looking.sql import connection, make_table, quoted
from corpusmill.manifests.manifest import Manifest
from corpusmill.manifests.stage_folder import StageFolder, stage_folders

EXCERPT = 400  # characters
_SHOWN = (
    *("url", "language", "licence", "n_tokens", "quality", "level", "prompt"),
    *("stage", "reason", "detail"),
)


def sample(
    folder: str,
    where: str = "",
    count: int = 20,
    seed: int = 0,
    parts: tuple[str, ...] = ("documents",),
    columns: tuple[str, ...] = (),
) -> list[dict[str, Any]]:
    """At most `count` rows of a finished stage.

    where: a condition in DuckDB's SQL over the columns; empty means all rows. parts: `documents`,
    `excluded` or both. columns: names to read; empty means all. Raises InputError if the folder
    holds no finished stage, and CorpusmillError, which lists the columns, if the condition cannot
    be used.
    """
    import duckdb

    manifest = _stage_at(folder)
    with connection() as database:
        known = make_table(database, "rows", manifest, parts)
        _refuse_unknown(columns, known)
        selected = ", ".join(f'"{name}"' for name in columns) or "*"
        key = "id" if "id" in known else "shard"
        condition = f"WHERE ({where}\n)" if where.strip() else ""
        try:
            found = database.sql(
                f"SELECT {selected} FROM rows {condition} "
                f"ORDER BY md5(concat({key}, {quoted(f' {seed}')})), shard LIMIT {count}"
            )
            return found.to_arrow_table().to_pylist()
        except duckdb.Error as error:
            raise _refusal(where, error, known) from error


def sample_text(row: dict[str, Any], whole: bool = False) -> str:
    """A row for a terminal: what is known of it, then its text. whole: not only its beginning."""
    facts = [
        f"{name}={row[name]:.3g}" if isinstance(row[name], float) else f"{name}={row[name]}"
        for name in row
        if (name in _SHOWN or name.startswith("score_")) and row[name] is not None
    ]
    text = str(row.get("text") or "")
    shown = text if whole or len(text) <= EXCERPT else text[:EXCERPT] + " …"
    head = " ".join(filter(None, (str(row.get("id", "")), row.get("shard"))))
    return "\n".join(filter(None, [f"── {head}", "   " + " ".join(facts), shown])) + "\n"


def _stage_at(folder: str) -> Manifest:
    there = StageFolder(folder)
    if not there.has_manifest:
        below = [item.path for item in stage_folders(folder) if item.has_manifest]
        if below:
            raise InputError(
                f"{folder} holds a run, not a stage", f"choose a stage: {', '.join(below)}"
            )
    return there.manifest


def _refuse_unknown(columns: tuple[str, ...], known: list[str]) -> None:
    for name in columns:
        if name not in known:
            raise CorpusmillError(f"there is no column {name!r}", _listed(known))


def _refusal(where: str, error: Exception, known: list[str]) -> CorpusmillError:
    import duckdb

    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[0].partition("Error: ")[2] or lines[0]
    unreadable = isinstance(error, duckdb.ParserException)
    mend = "write it as in SQL: level='low' and n_tokens>500" if unreadable else _listed(known)
    return CorpusmillError(f"--where {where!r} cannot be used: {said}", mend)


def _listed(known: list[str]) -> str:
    names = [name for name in known if not name.startswith("stat_")]
    others = len(known) - len(names)
    more = f", and {others} of the filter's statistics (stat_words, ...)" if others else ""
    return f"the columns are {', '.join(names)}{more}"
