"""What differs between two runs: settings, versions, inputs, counts, documents.

Stages are matched by their folder's name. If the results of a stage differ, its settings, software
or inputs differ, and they are named. Documents are matched by id. Each has an outcome in either
run: `kept`, or the reason of its exclusion.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from typing import Any

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.looking.find import finished_stages
from corpusmill.manifests.looking.sql import connection, make_table
from corpusmill.manifests.manifest import Manifest, Parent

MISSING = "(not there)"
SHOWN = 15  # changes of one stage on a terminal
EXAMPLES = 3  # documents for each change of outcome


@dataclass(frozen=True)
class Move:
    """Documents whose outcome changed. before, after: `kept` and the level if there is one, a
    reason, or `MISSING`; `other text` behind it. ids: of some.
    """

    before: str
    after: str
    documents: int
    ids: list[str]

    @property
    def is_of_reasons(self) -> bool:
        """Whether the document was dropped before and after."""
        return not any(
            text == MISSING or text.startswith("kept") for text in (self.before, self.after)
        )


@dataclass
class StageDifference:
    """One stage in two runs.

    state: `same` (the same files), `differs`, `only in the first`, `only in the second`.
    settings, software: key -> values in the first and the second run, where they differ.
    inputs: what it read that differs. rows: kept rows in either run.
    """

    stage: str
    state: str
    settings: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    software: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    rows: tuple[int, int] = (0, 0)
    moves: list[Move] = field(default_factory=list)

    @property
    def cause(self) -> str:
        """Why the results differ, as far as the manifests say."""
        parts = [f"{key}: {_shown(a)} -> {_shown(b)}" for key, (a, b) in self.settings.items()]
        parts += [f"{name} {a} -> {b}" for name, (a, b) in self.software.items()]
        parts += [f"it read another {name}" for name in self.inputs]
        return "; ".join(parts) or "nothing that the manifests name"


def diff(
    first: str | os.PathLike[str], second: str | os.PathLike[str], documents: bool = True
) -> list[StageDifference]:
    """Compare two runs, or two folders of one stage. documents: also find which ones moved.

    Raises InputError if a folder holds no finished stage, or both have no stage in common.
    """
    first = os.fspath(first)
    second = os.fspath(second)
    before, after = _by_name(first), _by_name(second)
    if len(before) == len(after) == 1:  # two folders of one stage may have any names
        after = dict(zip(before, after.values(), strict=True))
    names = list(dict.fromkeys([*before, *after]))
    if not before.keys() & after.keys():
        raise InputError(
            f"{first} and {second} have no stage of the same name",
            "compare two runs of like recipes, or two folders of one stage",
        )
    found: dict[str, StageDifference] = {}
    for name in names:
        if name not in after or name not in before:
            found[name] = StageDifference(
                name, f"only in the {'first' if name in before else 'second'}"
            )
            continue
        found[name] = _compare(name, before[name], after[name])
        if documents and found[name].state == "differs":
            found[name].moves = moves(before[name], after[name])
    return list(found.values())


def _by_name(root: str) -> dict[str, Manifest]:
    return {storage.name_of(item.folder): item for item in finished_stages(root)}


def _compare(name: str, before: Manifest, after: Manifest) -> StageDifference:
    kept = tuple(item.totals[-1].kept if item.totals else 0 for item in (before, after))
    same = _files(before) == _files(after)
    return StageDifference(
        stage=name,
        state="same" if same else "differs",
        settings=_changed(before.settings, after.settings),
        software=_changed(before.software, after.software),
        inputs=_other_inputs(before.parents, after.parents),
        rows=(kept[0], kept[1]),
    )


def _files(manifest: Manifest) -> dict[str, str]:
    begin = len(manifest.folder.rstrip("/")) + 1
    return {output.path[begin:]: output.digest for output in manifest.outputs}


def _changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The keys whose values differ. A key that one run lacks has the value `default` there.

    Paths of other stages are not compared: they differ between any two folders. The digests of the
    inputs tell whether those stages differ.
    """
    keys = sorted(before.keys() | after.keys())
    pairs = {key: (before.get(key, "default"), after.get(key, "default")) for key in keys}
    return {key: (a, b) for key, (a, b) in pairs.items() if a != b and not _paths(a, b)}


def _paths(before: Any, after: Any) -> bool:
    """Whether two values are paths with the same end, as those of one stage in two runs."""
    if not (isinstance(before, str) and isinstance(after, str) and "/" in before):
        return False
    return before.split("/")[-2:] == after.split("/")[-2:]


def _other_inputs(before: list[Parent], after: list[Parent]) -> list[str]:
    one, other = (
        {storage.name_of(item.path): item.digest for item in parents} for parents in (before, after)
    )
    names = sorted(one.keys() | other.keys())
    return [name for name in names if one.get(name) != other.get(name)]


def moves(before: Manifest, after: Manifest) -> list[Move]:
    """The documents with another outcome or another text, the most frequent change first.

    The result is empty if the stage has no documents with ids and texts in both runs.
    """
    with connection() as database:
        sides = [_outcomes(database, *side) for side in (("first", before), ("second", after))]
        if not all(sides):
            return []
        rows = database.sql(
            f"""
            WITH paired AS (
                SELECT coalesce(a.id, b.id) AS id,
                    coalesce(a.outcome, '{MISSING}') AS before,
                    coalesce(b.outcome, '{MISSING}')
                        || CASE WHEN a.text <> b.text THEN ', other text' ELSE '' END AS after
                FROM first_outcomes a FULL JOIN second_outcomes b
                    ON a.id = b.id AND a.copy = b.copy
            )
            SELECT before, after, count(*) AS documents, min(id, {EXAMPLES}) AS ids
            FROM paired WHERE before <> after
            GROUP BY before, after ORDER BY documents DESC, before, after
            """
        ).fetchall()
    return [Move(*row) for row in rows]


def _outcomes(database: Any, name: str, manifest: Manifest) -> bool:
    """Make the view NAME_outcomes(id, copy, outcome, text). False if the stage has no such rows."""
    try:
        columns = make_table(database, name, manifest, ("documents", "excluded"))
    except InputError:
        return False
    if "id" not in columns:
        return False
    kept = "concat_ws(', ', 'kept', level)" if "level" in columns else "'kept'"
    outcome = f"coalesce(reason, {kept})" if "reason" in columns else kept
    dropped = "reason IS NOT NULL" if "reason" in columns else "false"
    text = f"CASE WHEN {dropped} THEN NULL ELSE hash(text) END" if "text" in columns else "NULL"
    order = "epoch, shard" if "epoch" in columns else "shard"
    database.execute(
        f"CREATE VIEW {name}_outcomes AS SELECT id, {outcome} AS outcome, {text} AS text, "
        f"row_number() OVER (PARTITION BY id ORDER BY {order}) AS copy FROM {name}"
    )
    return True


def diff_text(found: list[StageDifference]) -> str:
    """The differences for a terminal, a block for each stage that differs."""
    lines = []
    for item in found:
        if item.state != "differs":
            lines.append(f"{item.stage}: {item.state}")
            continue
        before, after = item.rows
        lines.append(f"{item.stage}: {before:,} kept before, {after:,} after")
        lines.append(f"  because  {item.cause}")
        lines += _move_lines(item.moves)
    return "\n".join(lines)


def _move_lines(moves: list[Move]) -> list[str]:
    told = [move for move in moves if not move.is_of_reasons]
    lines = [
        f"  {move.documents:>7,}  {move.before} -> {move.after}   e.g. "
        + " ".join(name[:12] for name in move.ids)
        for move in told[:SHOWN]
    ]
    rest = sum(move.documents for move in told[SHOWN:])
    others = sum(move.documents for move in moves if move.is_of_reasons)
    lines += [f"  {rest:>7,}  in {len(told) - SHOWN} more changes (--json)"] if rest else []
    lines += [f"  {others:>7,}  dropped in both, for other reasons (--json)"] if others else []
    return lines


def diff_json(found: list[StageDifference]) -> list[dict[str, Any]]:
    return [{**asdict(item), "cause": item.cause} for item in found]


def _shown(value: Any) -> str:
    return value if value == "default" else json.dumps(value, ensure_ascii=False)
