"""The filter stage: score every document once, then drop by rules over the scores.

One kernel measures a document's statistics; they stay with the row as `stat_*` columns, kept or excluded, so that thresholds can
be looked at and changed without reading the crawl again. Then, in this order: URL block lists, the rule families as the recipe
lists them, its own rules, and datatrove blocks on what is left. The first of them that drops a document names the reason;
`failed_rules` lists all rules that would have.

If the C4 family is chosen, its line edits come first and the statistics describe the edited text. An excluded row keeps the text
that it came with: nothing is lost, and filtering it again under other settings gives what filtering it first would have given.

Defaults: the chain of FineWeb (arXiv:2406.17557) after its language filter: Gopher repetition, Gopher quality, C4 without the rule
of terminal punctuation, FineWeb's own four. All of them were tuned on English.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from manifests.config import config
from manifests.schema import excluded
from stages.contract import DOCUMENTS, Outcome
from stages.filter import datatrove_block, line_edits, url_rules
from stages.filter.line_edits import LineEdits
from stages.filter.rules import Rule, failing, rules_in_force
from stages.filter.statistics import REMOVED_LINES, STATISTICS, STOP_WORDS, Measured, fields, measure, pack_stop_words
from stages.filter.url_rules import UrlRules

FAILED_RULES = pa.field("failed_rules", pa.list_(pa.string()))


@config
class Filter:
    """families: in the order in which they may name the reason of a drop. thresholds: family -> rule name -> another threshold.
    off: reason codes of rules to leave out. rules: the recipe's own. lines: the C4 line edits (only with the family `c4`).
    stop_words: of Gopher's rule.
    blocks: datatrove filters, `{class: module:Class, arguments: {...}}`."""

    name: ClassVar[str] = "filter"
    version: ClassVar[int] = 1
    reads: ClassVar[str] = DOCUMENTS

    families: tuple[str, ...] = ("gopher_repetition", "gopher_quality", "c4", "fineweb")
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    off: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    lines: LineEdits = LineEdits()
    stop_words: tuple[str, ...] = STOP_WORDS
    urls: UrlRules = UrlRules()
    blocks: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        self.in_force()
        pack_stop_words(self.stop_words)
        for block in self.blocks:
            datatrove_block.parse(block)

    def in_force(self) -> tuple[Rule, ...]:
        """Every rule that may drop a document, in order."""
        return rules_in_force(self.families, self.thresholds, self.off, self.rules)

    def adds(self) -> tuple[pa.Field, ...]:
        return (*fields(), FAILED_RULES)

    def depends_on(self) -> str:
        """Digests of the block lists, and the versions of what is not ours. Raises RecipeError if a list or a block does not fit."""
        from stages.kernels.characters import unicode_version

        parts = [f"unicode {unicode_version()}", url_rules.digests(self.urls)]
        if self.blocks:
            import importlib.metadata

            for block in self.blocks:
                datatrove_block.load(datatrove_block.parse(block))
            parts += [f"{name} {importlib.metadata.version(name)}" for name in ("datatrove", "spacy")]
        return "\n".join(part for part in parts if part)

    def apply(self, table: pa.Table) -> Outcome:
        """Every row of `table` with its statistics, and where it is kept its edited text.

        Needs the columns `id` and `text`, and `url` if there are URL rules.
        """
        original = table["text"]
        texts, removed = (
            line_edits.edit(original, self.lines)
            if "c4" in self.families
            else (original, np.zeros(table.num_rows, np.int32))
        )
        measured: Measured = {**measure(texts, self.stop_words), REMOVED_LINES.name: removed}
        rules = self.in_force()
        verdicts = failing(measured, rules)
        reasons: list[str] = [""] * table.num_rows
        details: list[str] = [""] * table.num_rows
        for row in np.flatnonzero(verdicts.any(axis=0)):
            rule = rules[int(verdicts[:, row].argmax())]
            reasons[row], details[row] = rule.code, rule.detail(measured[rule.statistic][row].item())
        if self.urls.lists:
            lists = url_rules.compiled(self.urls)
            for row, url in enumerate(table["url"].to_pylist()):
                if url and (verdict := url_rules.judge(url, lists)):
                    reasons[row], details[row] = verdict
        table = _with_column(table, table.schema.field("text"), texts)
        if self.blocks:
            table, measured = self._run_blocks(table, measured, reasons, details)

        for statistic in (*STATISTICS, REMOVED_LINES):
            table = _with_column(table, statistic.field, pa.array(measured[statistic.name]))
        table = _with_column(table, FAILED_RULES, _failed(verdicts, rules))
        dropped = np.array([bool(reason) for reason in reasons], np.bool_)
        rows = np.flatnonzero(dropped)
        out = _with_column(table, table.schema.field("text"), original).filter(pa.array(dropped))
        return Outcome(
            table.filter(pa.array(~dropped)),
            excluded(out, self.name, [reasons[row] for row in rows], [details[row] for row in rows]),
        )

    def _run_blocks(
        self, table: pa.Table, measured: Measured, reasons: list[str], details: list[str]
    ) -> tuple[pa.Table, Measured]:
        """Run the blocks on the rows without a reason; where a block edits texts, they and their statistics change in the result."""
        texts: list[str | None] = table["text"].to_pylist()
        others = table.drop_columns("text")
        edited = False
        for row, reason in enumerate(reasons):
            if reason:
                continue
            document = others.slice(row, 1).to_pylist()[0]
            for block in map(datatrove_block.parse, self.blocks):
                verdict = datatrove_block.judge(block, {**document, "text": texts[row]})
                if verdict.reason:
                    reasons[row], details[row] = verdict.reason, verdict.detail
                    break
                if verdict.text != (texts[row] or ""):
                    texts[row], edited = verdict.text, True
        if not edited:
            return table, measured
        column = pa.chunked_array([pa.array(texts, table.schema.field("text").type)])
        again = {**measure(column, self.stop_words), REMOVED_LINES.name: measured[REMOVED_LINES.name]}
        return _with_column(table, table.schema.field("text"), column), again


def _failed(verdicts: np.ndarray, rules: Sequence[Rule]) -> pa.Array:
    """The codes of the rules that each document fails; null where it fails none."""
    codes = [rule.code for rule in rules]
    lists: list[list[str] | None] = [None] * verdicts.shape[1]
    for row in np.flatnonzero(verdicts.any(axis=0)):
        lists[row] = [codes[index] for index in np.flatnonzero(verdicts[:, row])]
    return pa.array(lists, FAILED_RULES.type)


def _with_column(table: pa.Table, field: pa.Field, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    """`table` with the column in its old place, or at the end if it is new (a recipe may filter twice)."""
    if isinstance(values, pa.ChunkedArray) and values.type != field.type:
        values = values.cast(field.type)
    index = table.schema.get_field_index(field.name)
    return table.append_column(field, values) if index < 0 else table.set_column(index, field, values)
