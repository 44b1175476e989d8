"""The code stage: program files become documents, without unlicensed, generated and broken ones.

    null characters -> licence -> lock files, generated files -> lines, letters, markup -> syntax

It reads raw files, as `extract` does for pages: JSON lines and Parquet with a column of the text,
and folders of files. The text stays as it is, but for a byte order mark and carriage returns. What
is measured stays with the row as `code_*` columns, whether it is kept or excluded. Rules are data
(`stages.code.families`); a recipe changes thresholds, switches rules off, and adds its own.

Near duplicates are for `dedup` behind it. `recipes/code.yaml` has both.
"""

import sys
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.schema import EXCLUSION, FAILED_PREFIX, LICENCE, conform, extended
from corpusmill.stages.code.families import FAMILY, RULES
from corpusmill.stages.code.files import language_of
from corpusmill.stages.code.licences import Licence, expression, licence_of
from corpusmill.stages.code.measure import STATISTICS, generated_mark, measure
from corpusmill.stages.code.syntax import parser_version, syntax_error
from corpusmill.stages.contract import MapStage, Outcome, Reads
from corpusmill.stages.extract import sandbox
from corpusmill.stages.filter.rules import Rule, failing, rules_in_force
from corpusmill.stages.licences.asked import single_licences
from corpusmill.stages.licences.expressions import is_permissive
from corpusmill.stages.licences.names import PERMISSIVE
from corpusmill.stages.readers import ReaderSettings
from pydantic import Field, PositiveInt, field_validator, model_validator

FIELDS = (
    pa.field("path", pa.string()),
    pa.field("programming_language", pa.string()),
    LICENCE,  # an SPDX expression
    pa.field("licence_found", pa.string()),  # tag, text or repository
    *(pa.field(f"code_{name}", pa.float32()) for name in STATISTICS),
    pa.field("failed_rules", pa.list_(pa.string())),
)
_KEPT, _EXCLUDED = extended(*FIELDS), extended(*FIELDS, *EXCLUSION)
_CARRIED = ("id", "url", "source", "date", "origin")
_SAYING_WHY = {  # statistic -> the column that says more than its value
    "permissive": "licence",
    "generated": "mark",
    "syntax_errors": "syntax",
}


class Code(MapStage):
    """Read program files and keep licensed, handwritten ones that parse."""

    name: ClassVar[str] = "code"
    version: ClassVar[int] = 6
    reads: ClassVar[Reads] = Reads.RECORDS

    reader: ReaderSettings = ReaderSettings()
    """How raw files are read. It names the columns of path, language and licence."""
    languages: tuple[str, ...] = ()
    """Programming languages to keep, such as Python or C++. Empty keeps all."""
    permissive: tuple[str, ...] = PERMISSIVE
    """SPDX identifiers of the licences that may be kept, each alone."""
    repositories: Mapping[str, str] = {}
    """Beginning of a path -> the licence of that repository, where the data has no column of it.
    The longest one counts.
    """
    thresholds: Mapping[str, float] = {}
    """Rule name -> another threshold."""
    off: tuple[str, ...] = ()
    """Reason codes of rules to leave out, such as code.no_licence."""
    rules: tuple[Rule, ...] = ()
    """Rules of the recipe's own over the statistics of this stage."""
    max_characters: PositiveInt = 1 << 20
    """A longer file is excluded (The Stack: 1 MB)."""
    parse_seconds: float = Field(default=10, ge=0, le=86_400)
    """Processor time for parsing one file. 0 parses in the worker itself, without limits."""
    parse_memory_mb: int = Field(default=2048, ge=512, le=16 << 20)
    """Memory of the process that parses, in MB."""

    @field_validator("permissive")
    @classmethod
    def _licences_are_single(cls, permissive: tuple[str, ...]) -> tuple[str, ...]:
        return single_licences("code.permissive", permissive)

    @model_validator(mode="after")
    def _rules_exist(self) -> Self:
        self.in_force()
        for path, licence in self.repositories.items():
            if expression(licence) is None:
                raise RecipeError(
                    f"the repository {path!r} has the licence {licence!r}",
                    "name it by its SPDX identifier, or leave it out",
                )
        return self

    def in_force(self) -> tuple[Rule, ...]:
        """Every rule that may drop a file, in order."""
        own = {FAMILY: self.thresholds} if self.thresholds else {}
        return rules_in_force({FAMILY: RULES}, (FAMILY,), own, self.off, self.rules, STATISTICS)

    def adds(self) -> tuple[pa.Field, ...]:
        return FIELDS

    def depends_on(self) -> str:
        return parser_version()

    def apply(self, table: pa.Table) -> Outcome:
        """Documents, and excluded rows with their reason. table: rows of `readers.RECORD`."""
        rows, dropped = [], []
        for record in table.to_pylist():
            row, reason, detail = self._row(record)
            if reason is None:
                rows.append(row)
            else:
                dropped.append({**row, "reason": reason, "detail": detail})
        self._parse(rows)
        rules = self.in_force()
        measured = {
            name: np.array([row[f"code_{name}"] for row in rows], dtype=np.float32)
            for name in STATISTICS
        }
        limits = np.array([[rule.threshold] for rule in rules]).reshape(len(rules), 1)
        failed = failing(measured, limits, rules)
        for rule, verdicts in zip(rules, failed, strict=True):  # NaN would pass for unequal
            verdicts &= ~np.isnan(measured[rule.statistic])
        kept = []
        for row, verdicts in zip(rows, failed.T, strict=True):
            why = [rule for rule, drops in zip(rules, verdicts, strict=True) if drops]
            row["failed_rules"] = [rule.code for rule in why] or None
            if row["stopped"] is not None:
                reason, detail = f"{FAILED_PREFIX}code.{row['stopped'].reason}", row["syntax"]
                dropped.append({**row, "reason": reason, "detail": detail})
            elif why:
                dropped.append({**row, "reason": why[0].code, "detail": _detail(why[0], row)})
            else:
                kept.append({**row, "kind": "actual"})
        for row in dropped:
            row["stage"] = self.name
        return Outcome(_table(kept, _KEPT), _table(dropped, _EXCLUDED))

    def _row(self, record: dict[str, Any]) -> tuple[dict[str, Any], str | None, str | None]:
        """The document of a record; why it is dropped before any rule, and the detail."""
        row = {name: record[name] for name in _CARRIED}
        if record["error"]:
            return row, record["error"], record["error_detail"]
        if record["text"] is None:
            return row, "code.page", "the file is a page of HTML: set reader.format, or use extract"
        text = record["text"].removeprefix("\ufeff").replace("\r\n", "\n")
        path = record["path"] or record["url"] or record["origin"]["file"] or ""
        language = language_of(path, record["language"])
        row |= {"path": path, "programming_language": language, "text": text}
        if not text.strip():
            return row, "code.empty", "characters=0"
        if len(text) > self.max_characters:
            return row, "code.too_large", f"characters={len(text)} > {self.max_characters}"
        if self.languages and language not in self.languages:
            return row, "code.unwanted_language", f"language={language}"
        licence = self._licence(text, path, record["licence"])
        mark = generated_mark(path, text)
        values: dict[str, float] = {
            **measure(path, text),
            "generated": mark is not None,
            "licensed": licence.expression is not None,
            "permissive": np.nan
            if licence.expression is None
            else is_permissive(licence.expression, self.permissive),
            "syntax_errors": np.nan,
        }
        row |= {f"code_{name}": value for name, value in values.items()}
        row |= {"licence": licence.expression, "licence_found": licence.found}
        row |= {"mark": mark, "syntax": None, "stopped": None}
        return row, None, None

    def _licence(self, text: str, path: str, said: str | None) -> Licence:
        if expression(said or "") is None:
            prefixes = [prefix for prefix in self.repositories if path.startswith(prefix)]
            said = self.repositories[max(prefixes, key=len)] if prefixes else None
        return licence_of(text, said)

    def _parse(self, rows: list[dict[str, Any]]) -> None:
        """Say of every Python file whether it parses, or what stopped the parser."""
        chosen = [row for row in rows if row["programming_language"] == "Python"]
        arguments = [(row["text"],) for row in chosen]
        if self.parse_seconds and sys.platform == "linux" and chosen:
            limited = sandbox.shared(self.parse_seconds, self.parse_memory_mb)
            found = limited.run(syntax_error, arguments, ("x = 1\n",))
        else:
            found = sandbox.called(syntax_error, arguments)
        for row, outcome in zip(chosen, found, strict=True):
            if isinstance(outcome, MemoryError):
                outcome = sandbox.Stopped("memory", "the parser ran out of memory")
            if isinstance(outcome, sandbox.Stopped):
                row["stopped"], row["syntax"] = outcome, outcome.detail
            elif isinstance(outcome, Exception):
                raise outcome
            else:
                row["syntax"], row["code_syntax_errors"] = outcome, outcome is not None


def _detail(rule: Rule, row: dict[str, Any]) -> str:
    """The measured value and the condition, or the words that say more."""
    column = _SAYING_WHY.get(rule.statistic)
    if column and row[column]:
        return str(row[column])
    return rule.detail(row[f"code_{rule.statistic}"], rule.threshold)


def _table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    return conform(pa.Table.from_pylist(rows, schema=schema), schema)
