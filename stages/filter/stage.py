"""The filter stage: measure every document once, then drop documents by rules over the measured
statistics.

A chain of kernels measures a document's statistics. They stay with the row as `stat_*` columns,
whether it is kept or excluded. So thresholds can be changed without reading the crawl again. Then
these judge, in this order: URL block lists, the rule families in the recipe's order, the recipe's
own rules, and datatrove blocks on the documents that are left. The first of them that drops a
document gives the reason. `failed_rules` lists all rules that the document fails.

The families `c4` and `refinedweb` also edit lines, but never inside code, tables, formulas, verse,
headings and list items. Every cut is recorded (`stages.filter.record`), so it can be undone. An
excluded row keeps its unedited text. So nothing is lost, and filtering it again with other settings
gives the same result as if they had been used at first.

The default is the chain of FineWeb (arXiv:2406.17557) after its language filter, changed where a
labelled set showed that it drops good text: `stages.filter.presets` has it, and the published
chains. Documents in a language that FineWeb 2 (arXiv:2506.20920) tuned are judged by its
thresholds.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import FAILED_PREFIX, excluded
from corpusmill.manifests.source_code import source_digest
from corpusmill.stages.columns.linked import refuse_linked
from corpusmill.stages.contract import MapStage, Outcome, Reads
from corpusmill.stages.filter import datatrove_block, languages, presets, record, url_rules
from corpusmill.stages.filter.columns import FAILED_RULES, failed_rules, with_edits, with_measures
from corpusmill.stages.filter.datatrove_run import run_blocks
from corpusmill.stages.filter.families import FAMILIES
from corpusmill.stages.filter.languages import LANGUAGES
from corpusmill.stages.filter.line_edits import LineEdits
from corpusmill.stages.filter.measuring import (
    STOP_WORDS,
    Measurement,
    check_stop_words,
    measure,
)
from corpusmill.stages.filter.rules import (
    Rule,
    by_code,
    do_not_judge,
    failing,
    rules_in_force,
)
from corpusmill.stages.filter.statistics import Measured, fields
from corpusmill.stages.filter.url_rules import UrlRules
from numpy.typing import NDArray
from pydantic import model_validator


class Filter(MapStage):
    """Measure every document, and drop those that break the rules."""

    name: ClassVar[str] = "filter"
    version: ClassVar[int] = 6
    reads: ClassVar[Reads] = Reads.DOCUMENTS
    leaves_texts_if: ClassVar[str] = (
        "to drop documents only, set families without c4 and refinedweb, no blocks"
    )

    preset: str | None = None
    """A chain by name: default, gopher, c4, fineweb or nemotron_cc. Other settings change it.

    Without it: the default, or `families` as they were published.
    """
    families: tuple[str, ...] | None = None
    """Rule families, in the order in which they may name the reason of a drop. Null: the
    preset's.
    """
    judge: presets.Judged | None = None
    """What the statistics see. prose: the text without code, tables and display formulas. text:
    all of it, as the published chains. Null: what the preset says, or prose without a preset.
    """
    thresholds: Mapping[str, Mapping[str, float]] = {}
    """Family -> rule name -> another threshold."""
    off: tuple[str, ...] = ()
    """Reason codes of rules to leave out, beside those that the preset leaves out. A threshold of
    your own switches such a rule on.
    """
    rules: tuple[Rule, ...] = ()
    """Rules of the recipe's own."""
    lines: LineEdits | None = None
    """The line edits of C4. Only with the family `c4`. Null: the preset's."""
    stop_words: tuple[str, ...] | None = None
    """Words of Gopher's rule, for English and every language without a published list. Null:
    Gopher's eight, for English and texts of unknown language.
    """
    published_languages: bool = True
    """Judge a language by FineWeb 2's thresholds and stop words, if it has some for it."""
    language_thresholds: Mapping[str, Mapping[str, Mapping[str, float | None]]] = {}
    """Language -> family -> rule name -> the recipe's own threshold. Null switches a rule off."""
    urls: UrlRules = UrlRules()
    """Block lists of URLs."""
    blocks: tuple[Mapping[str, Any], ...] = ()
    """Filters of datatrove, each as {class: module:Class, arguments: {...}}."""

    @model_validator(mode="after")
    def _rules_exist(self) -> Self:
        languages.check(self.language_thresholds, self.in_force())
        check_stop_words(self._stop_words())
        for block in self.blocks:
            datatrove_block.parse(block)
        return self

    def in_force(self) -> tuple[Rule, ...]:
        """Every rule that may drop a document, in order."""
        base, families = self._preset(), self._families()
        own = by_code(self.thresholds)
        off = {code for code in base.off if code.split(".")[0] in families and code not in own}
        thresholds = presets.merged(base.thresholds, self.thresholds, families)
        return rules_in_force(FAMILIES, families, thresholds, {*off, *self.off}, self.rules)

    def edits_texts(self) -> bool:
        return bool(self._lines() or self._edits_as_refinedweb() or self.blocks)

    def adds(self) -> tuple[pa.Field, ...]:
        return (*fields(), FAILED_RULES, record.CUTS, record.REMOVED_BYTES)

    def depends_on(self) -> str:
        """Digests of the block lists and of the user's own classes, and the versions of other
        packages.

        Raises RecipeError if a list or a block does not fit.
        """
        from corpusmill.stages.filter.measure.characters import unicode_version

        parts = [f"unicode {unicode_version()}", url_rules.digests(self.urls)]
        if self.blocks:
            import importlib.metadata

            loaded = [datatrove_block.load(datatrove_block.parse(block)) for block in self.blocks]
            parts += [source_digest(type(block)) for block in loaded]
            parts += [
                f"{name} {importlib.metadata.version(name)}" for name in ("datatrove", "spacy")
            ]
        return "\n".join(part for part in parts if part)

    def apply(self, table: pa.Table) -> Outcome:
        """Every row of `table` with its statistics. Kept rows have their edited text.

        Needs the columns `id` and `text`, and `url` if there are URL rules. Raises InputError if
        it edits texts and would leave those in the column `linked` as they are.
        """
        if self.edits_texts():
            refuse_linked(table, self.name, self.leaves_texts_if)
        codes, rows = languages.of_rows(table)
        found = self._measure(table["text"], codes, rows)
        rules = self.in_force()
        limits = languages.threshold_table(
            rules,
            codes,
            self.published_languages,
            self.language_thresholds,
            judges_stop_words=self.stop_words is not None,
        )[:, rows]
        limits = np.where(do_not_judge(found.measured, rules), np.nan, limits)
        verdicts = failing(found.measured, limits, rules)
        drops = self._drops(table, found.measured, limits, rules, verdicts)
        if self.blocks:
            found = self._run_blocks(table, found, drops, codes, rows)
        dropped = np.zeros(table.num_rows, np.bool_)
        dropped[list(drops)] = True
        table = with_measures(table, found.measured, failed_rules(verdicts, rules))
        out = table.filter(pa.array(dropped))
        reasons = [drops[row] for row in np.flatnonzero(dropped)]
        return Outcome(
            with_edits(table, found).filter(pa.array(~dropped)),
            excluded(
                out, self.name, [reason for reason, _ in reasons], [detail for _, detail in reasons]
            ),
        )

    def check(self, account: Counts, failures: Mapping[str, str]) -> None:
        """Raises RecipeError if a block failed on every document that it was given: then the block
        is broken, not the documents.

        Ten documents are enough, or all of a smaller shard.
        """
        for block in map(datatrove_block.parse, self.blocks):
            failed = account.failures.get(f"{FAILED_PREFIX}datatrove.{block.class_name}", 0)
            dropped = f"datatrove.{block.class_name}."
            judged = (
                account.kept
                + account.failed
                + sum(rows for code, rows in account.excluded.items() if code.startswith(dropped))
            )
            if failed == judged and (failed >= 10 or 0 < failed == account.rows_in):
                why = failures[f"{FAILED_PREFIX}datatrove.{block.class_name}"]
                raise RecipeError(
                    f"{block.path} failed on all {failed} documents that it was given ({why})",
                    "mend the class or its arguments, or take the block out",
                )

    def _preset(self) -> presets.Preset:
        return presets.preset(self.preset, self.families)

    def _families(self) -> tuple[str, ...]:
        return self._preset().families if self.families is None else self.families

    def _lines(self) -> LineEdits | None:
        """The line edits in force."""
        lines = self._preset().lines if self.lines is None else self.lines
        return lines if "c4" in self._families() else None

    def _edits_as_refinedweb(self) -> bool:
        return "refinedweb" in self._families()

    def _stop_words(self) -> dict[str, tuple[str, ...]]:
        """Stop words by language. Those under "" are for all other languages."""
        tuned = (
            {code: language.stopwords for code, language in LANGUAGES.items()}
            if self.published_languages
            else {}
        )
        return {**tuned, "": STOP_WORDS if self.stop_words is None else self.stop_words}

    def _measure(
        self, texts: pa.ChunkedArray, codes: Sequence[str], rows: NDArray[np.int64]
    ) -> Measurement:
        spared = np.array(
            [self.published_languages and not languages.is_judged_as_english(c) for c in codes],
            np.bool_,
        )
        return measure(
            texts,
            self._lines(),
            self._edits_as_refinedweb(),
            self._stop_words(),
            [codes[row] for row in rows],
            unedited=spared[rows],
            apart=(self.judge or self._preset().judge) == "prose",
        )

    def _drops(
        self,
        table: pa.Table,
        measured: Measured,
        limits: NDArray[np.float64],
        rules: Sequence[Rule],
        verdicts: NDArray[np.bool_],
    ) -> dict[int, tuple[str, str]]:
        """Reason and detail of every row that URL block lists or rules drop."""
        drops = {}
        failed = np.flatnonzero(verdicts.any(axis=0))
        for row, index in zip(
            failed.tolist(),
            verdicts[:, failed].argmax(axis=0).tolist() if rules else [],
            strict=True,
        ):
            rule = rules[index]
            drops[row] = (
                rule.code,
                rule.detail(measured[rule.statistic][row].item(), limits[index, row]),
            )
        if self.urls.lists:
            drops |= url_rules.judge_all(table["url"], url_rules.compiled(self.urls))
        return drops

    def _run_blocks(
        self,
        table: pa.Table,
        found: Measurement,
        drops: dict[int, tuple[str, str]],
        codes: Sequence[str],
        languages_of_rows: NDArray[np.int64],
    ) -> Measurement:
        """Run the blocks on the rows that no rule drops, and add to `drops`. If a block edits
        texts, the returned measurement has the new texts, statistics and cuts.
        """
        blocks = list(map(datatrove_block.parse, self.blocks))
        edited = run_blocks(blocks, table, found, drops)
        if edited is None:
            return found
        texts, cuts = edited
        again = self._measure_as_it_is(texts, [codes[row] for row in languages_of_rows])
        removed = {
            name: values for name, values in found.measured.items() if name.startswith("removed_")
        }
        return Measurement({**again.measured, **removed}, texts, cuts)

    def _measure_as_it_is(self, texts: pa.ChunkedArray, codes: Sequence[str]) -> Measurement:
        """The statistics of texts that no line edit touches again."""
        apart = (self.judge or self._preset().judge) == "prose"
        return measure(texts, None, False, self._stop_words(), codes, apart=apart)
