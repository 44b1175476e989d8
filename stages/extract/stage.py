"""Extract: records become documents. Gate, charset, HTML to text, cleaning, language.

    status and MIME type -> size -> charset -> main text -> control characters -> length -> language -> kept

Every record ends as a document or as an excluded row with one reason: `http.status`, `http.mime`, `page.too_large`, `page.empty`,
`page.too_short`, `language.unwanted`, `language.below_threshold`, `error_html.*` (the extractor failed, or `timeout`, `memory`,
`crashed`: it was stopped) or what the reader said (`error_read.*`). Records that hold text already (WET, JSON lines, Parquet) skip
the steps about pages.

Source: Nemotron-CC (arXiv:2412.02595) section 2.1 for the order, extraction and the language threshold.
"""

import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import pyarrow as pa
from corpusmill.manifests.config import config
from corpusmill.manifests.errors import CorpusmillError, RecipeError, nearest
from corpusmill.manifests.schema import DOCUMENT, EXCLUSION, FAILED_PREFIX, conform, extended
from corpusmill.stages.contract import MapStage, Outcome, Reads
from corpusmill.stages.extract import html, language, sandbox
from corpusmill.stages.extract.repair import Repair, repaired, repaired_page, repairer_versions
from corpusmill.stages.readers import charset
from corpusmill.stages.readers.record import TOO_LARGE, ReaderSettings

_EXCLUDED = extended(*EXCLUSION)
_WARM_UP = (
    b"<html><body><p>Any page will do, with <b>marks</b>, \xe2\x80\x9cquotes\xe2\x80\x9d.</p></body></html>",
    None,
    "text/html",
)
_CARRIED = ("id", "url", "source", "date", "origin")


class _Drop(Exception):
    """A record leaves here: reason code and detail."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


@config
class Extract(MapStage):
    """Read raw files and keep the text of their pages.

    reader: how files are read. extractor: main_content (our own), union (it and what others add), resiliparse (DCLM, Dolma 3), justext
    (Nemotron-CC) or trafilatura (FineWeb).
    statuses: the lowest and the highest HTTP status that is kept. mimes: kept MIME types; where the header gives none, the content decides.
    page_seconds: processor time that one page may take; 0 extracts in the worker itself, without limits. page_memory_mb: memory that the
    process for extraction may hold.
    max_page_bytes: a longer page (decoded) is excluded. min_text_chars: shorter texts are excluded.
    languages: codes to keep; empty keeps all. language_threshold: lowest score kept (Nemotron-CC 0.3, FineWeb 0.65).
    language_thresholds: language -> a threshold of its own, in place of that.
    language_model: a fastText language model; empty means the lid.176 that ships.
    trust_language: take the language that a record brings (JSON lines, Parquet) instead of identifying it.
    repair: what is mended in texts that were decoded with a wrong charset (`stages.extract.repair`).
    """

    name: ClassVar[str] = "extract"
    version: ClassVar[int] = 3
    reads: ClassVar[Reads] = Reads.RECORDS

    reader: ReaderSettings = dataclasses.field(default_factory=ReaderSettings)
    extractor: html.Extractor = "main_content"
    statuses: tuple[int, int] = (200, 299)
    mimes: tuple[str, ...] = ("text/html", "application/xhtml+xml", "text/plain")
    max_page_bytes: int = 20_000_000
    page_seconds: float = 10
    page_memory_mb: int = 2048
    min_text_chars: int = 1
    languages: tuple[str, ...] = ("en",)
    language_threshold: float = 0.3
    language_thresholds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    language_model: str = ""
    trust_language: bool = False
    repair: Repair = Repair()

    def __post_init__(self) -> None:
        for threshold in (self.language_threshold, *self.language_thresholds.values()):
            if not 0 <= threshold <= 1:
                raise RecipeError(
                    f"extract has the language threshold {threshold}", "give a score from 0 to 1"
                )
        if unwanted := [
            code
            for code in self.language_thresholds
            if self.languages and code not in self.languages
        ]:
            raise RecipeError(
                f"extract.language_thresholds names {', '.join(unwanted)}, which extract.languages does not keep",
                "name the language in both, or in neither",
            )
        lowest, highest = self.statuses
        if not 100 <= lowest <= highest <= 599:
            raise RecipeError(
                f"extract.statuses is [{lowest}, {highest}]",
                "give the lowest and the highest status, as in [200, 299]",
            )
        for key, least in (
            ("page_seconds", 0),
            ("page_memory_mb", 512),
            ("max_page_bytes", 1),
            ("min_text_chars", 0),
        ):
            if getattr(self, key) < least:
                raise RecipeError(
                    f"extract.{key} is {getattr(self, key)}", f"give at least {least}"
                )

    def adds(self) -> tuple[pa.Field, ...]:
        return ()

    def depends_on(self) -> str:
        """The language model's digest, the extractor's version and the repairer's: they decide the text and what is kept.

        Raises ModelError for a model that cannot be used, RecipeError for a language that it does not know: no document would be in it.
        """
        if not self.trust_language:  # what records say of themselves is anybody's code
            known = language.codes(self.language_model)
            for code in (*self.languages, *self.language_thresholds):
                if code not in known:
                    raise RecipeError(
                        f"the language model knows no language {code!r}", nearest(code, known)
                    )
        extractor = html.extractor_version(self.extractor)
        return " ".join(
            [language.model_digest(self.language_model), extractor, *repairer_versions(self.repair)]
        )

    def apply(self, table: pa.Table) -> Outcome:
        """table: rows of `readers.RECORD`. Returns documents, and excluded rows with their text where there was one.

        A page that fails is an excluded row. Raises ModelError if the language model is missing.
        """
        kept: list[dict[str, Any]] = []
        dropped: list[dict[str, Any]] = []
        waiting: list[tuple[dict[str, Any], str | None]] = []
        for records in _few_rows(table):
            for record, text in zip(records, self._texts(records), strict=True):
                row = {name: record[name] for name in _CARRIED}
                try:
                    row["text"] = repaired(_or_raised(text), self.repair)
                    self._check_length(row["text"])
                    waiting.append((row, record["language"] if self.trust_language else None))
                except _Drop as drop:
                    dropped.append(
                        {**row, "stage": self.name, "reason": drop.reason, "detail": drop.detail}
                    )
        unknown = [row["text"] for row, trusted in waiting if not trusted]
        identified = iter(language.identify(unknown, self.language_model))
        for row, trusted in waiting:
            found = language.Language(trusted, 1.0) if trusted else next(identified)
            row["language"], row["language_score"] = found.code, None if trusted else found.score
            try:
                self._check_language(found)
                kept.append({**row, "kind": "actual"})
            except _Drop as drop:
                dropped.append(
                    {**row, "stage": self.name, "reason": drop.reason, "detail": drop.detail}
                )
        return Outcome(_table(kept, DOCUMENT), _table(dropped, _EXCLUDED))

    def _texts(self, records: Sequence[dict[str, Any]]) -> list[Any]:
        """Each record's text, or the exception that it ends with. Pages go through the sandbox."""
        texts: list[Any] = []
        pages: list[tuple[int, tuple[Any, ...]]] = []
        for record in records:
            try:
                texts.append(self._own_text(record))
                if texts[-1] is None:
                    pages.append(
                        (
                            len(texts) - 1,
                            (record["payload"] or b"", record["charset"], record["mime"]),
                        )
                    )
            except _Drop as drop:
                texts.append(drop)
        arguments = [page for _, page in pages]
        if self.page_seconds and sys.platform == "linux" and pages:
            limited = sandbox.shared(self.page_seconds, self.page_memory_mb)
            found = limited.run(self.page_text, arguments, _WARM_UP)
        else:
            found = sandbox.called(self.page_text, arguments)
        for (place, _), text in zip(pages, found, strict=True):
            texts[place] = text
        return texts

    def _own_text(self, record: dict[str, Any]) -> str | None:
        """The text that a record brings; None for a page. Raises _Drop."""
        self._check_http(record)
        if record["error"]:
            raise _Drop(record["error"], record["error_detail"] or "")
        if record["text"] is not None:
            return html.clean(record["text"]).strip("\n")
        size = len(record["payload"] or b"")
        if size > self.max_page_bytes:
            raise _Drop(TOO_LARGE, f"bytes={size} > {self.max_page_bytes}")
        return None

    def page_text(self, payload: bytes, declared: str | None, mime: str) -> str:
        """The text of a page. declared: its header's charset. Raises _Drop, or CorpusmillError if no page could be read."""
        try:
            page = repaired_page(charset.decoded(payload, declared)[0], self.repair)
            if mime == "text/plain":
                return html.clean(page).strip("\n")
            return html.main_text(page, self.extractor, self._language_of)
        except (_Drop, CorpusmillError, MemoryError):
            raise
        except Exception as error:  # whatever a page does to an extractor must cost that page only
            what = (str(error).splitlines() or [""])[0][:300]
            raise _Drop(f"{FAILED_PREFIX}html.{type(error).__name__}", what) from error

    def _language_of(self, text: str) -> str:
        return language.identify([text], self.language_model)[0].code

    def _check_http(self, record: dict[str, Any]) -> None:
        """The gate. Sets the MIME type by content where the header gave none. Raises _Drop."""
        status = record["status"]
        lowest, highest = self.statuses
        if status is not None and not lowest <= status <= highest:
            raise _Drop("http.status", f"status={status}")
        payload = record["payload"]
        if record["mime"] is None and payload:
            record["mime"] = charset.sniffed_mime(payload)
        if record["mime"] is None or record["text"] is not None:
            return
        if record["mime"] not in self.mimes:
            raise _Drop("http.mime", f"mime={record['mime']}")
        binary = charset.binary_mime(payload) if payload else None
        if binary:
            raise _Drop("http.mime", f"mime={binary} (its header says {record['mime']})")

    def _check_length(self, text: str) -> None:
        if not text or text.isspace():
            raise _Drop("page.empty", "characters=0")
        if len(text) < self.min_text_chars:
            raise _Drop("page.too_short", f"characters={len(text)} < {self.min_text_chars}")

    def _check_language(self, found: language.Language) -> None:
        if self.languages and found.code not in self.languages:
            raise _Drop(
                "language.unwanted", f"language={found.code} language_score={found.score:.3f}"
            )
        threshold = self.language_thresholds.get(found.code, self.language_threshold)
        if found.score < threshold:
            what = f"language_score={found.score:.3f} < {threshold} ({found.code})"
            raise _Drop("language.below_threshold", what)


def _few_rows(table: pa.Table) -> Iterator[list[dict[str, Any]]]:
    for batch in table.to_batches(max_chunksize=16):  # few pages at a time outside Arrow's memory
        yield batch.to_pylist()


def _or_raised(text: Any) -> str:
    """The text; raises what stands in its place."""
    if isinstance(text, sandbox.Stopped):
        raise _Drop(f"{FAILED_PREFIX}html.{text.reason}", text.detail)
    if isinstance(text, Exception):
        raise text
    return text


def _table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    return conform(pa.Table.from_pylist(rows, schema=schema), schema)
