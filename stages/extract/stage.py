"""Extract: records become documents. Gate, charset, HTML to text, cleaning, language.

    status and MIME type -> size -> charset -> main text -> control characters -> length
                         -> language -> kept

Every record ends as a document or as an excluded row with one reason: `http.status`, `http.mime`,
`page.too_large`, `page.empty`, `page.too_short`, `language.unwanted`, `language.below_threshold`,
`pdf.*`, `error_html.*`, `error_pdf.*` or `error_read.*`. `error_html.*` and `error_pdf.*` mean that
the extractor failed, or that it was stopped (`timeout`, `memory`, `crashed`). `error_read.*` comes
from the reader. Records that hold text already (WET, JSON lines, Parquet) skip the steps for pages.

Source: Nemotron-CC (arXiv:2412.02595) section 2.1 for the order, extraction and the language
threshold.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import pyarrow as pa
from corpusmill.manifests.errors import CorpusmillError, RecipeError, nearest
from corpusmill.manifests.schema import (
    EXCLUSION,
    FAILED_PREFIX,
    LICENCE,
    LINKS,
    conform,
    extended,
    list_of,
)
from corpusmill.manifests.settings import Share
from corpusmill.stages.contract import MapStage, Outcome, Reads
from corpusmill.stages.extract import html, language, pdf, sandbox
from corpusmill.stages.extract.links import resolved
from corpusmill.stages.extract.repair import Repair, repaired, repaired_page, repairer_versions
from corpusmill.stages.licences.expressions import named
from corpusmill.stages.readers import charset, content_type
from corpusmill.stages.readers.record import TOO_LARGE, ReaderSettings
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

TITLE = pa.field("title", pa.string())
PAGES_WITHOUT_TEXT = pa.field("pages_without_text", list_of(pa.int32()))  # from 1
_WARM_UP = (
    b"<html><body><p>Any page will do, with <b>marks</b>, "
    b"\xe2\x80\x9cquotes\xe2\x80\x9d.</p></body></html>",
    None,
    "text/html",
)
_CARRIED = ("id", "url", "source", "date", "origin")


class _Drop(Exception):
    """The record is excluded: reason code and detail."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


class Extract(MapStage):
    """Read raw files and keep the text of their pages."""

    name: ClassVar[str] = "extract"
    version: ClassVar[int] = 12
    reads: ClassVar[Reads] = Reads.RECORDS

    reader: ReaderSettings = ReaderSettings()
    """How raw files are read."""
    extractor: html.Extractor = "main_content"
    """What turns HTML into text.

    main_content is our own; union is it and what others add; resiliparse is used by DCLM and
    Dolma 3, justext by Nemotron-CC, trafilatura by FineWeb.
    """
    comments: html.Comments = "drop"
    """Comments below an article. Posts of a forum are its main content and stay in any case.

    jusText and Resiliparse do not tell comments from text.
    """
    statuses: tuple[int, int] = (200, 299)
    """The lowest and the highest HTTP status that is kept."""
    mimes: tuple[str, ...] = ("text/html", "application/xhtml+xml", "text/plain")
    """MIME types that are kept. Where the header gives none, the content decides. Add
    application/pdf for the text of PDF files."""
    max_pdf_pages: PositiveInt = 1000
    """A PDF file with more pages is excluded."""
    scanned_pages: Literal["leave_out", "exclude"] = "leave_out"
    """What becomes of a PDF file if only some of its pages have text. leave_out: keep that text;
    `pages_without_text` names the other pages. exclude: drop the file, so that `ocr` reads all of
    it.
    """
    max_page_bytes: PositiveInt = 20_000_000
    """A longer page is excluded. Bytes after decoding."""
    page_seconds: float = Field(default=10, ge=0, le=86_400)
    """Processor time for one page, in seconds. 0 extracts in the worker itself, without limits."""
    page_memory_mb: int = Field(default=2048, ge=512, le=16 << 20)
    """Memory of the process for extraction, in MB."""
    max_links: NonNegativeInt = 100
    """So many links of the main content are kept, the first ones, in the column `links`. 0: none.
    """
    min_text_chars: NonNegativeInt = 1
    """A text of fewer characters is excluded."""
    languages: tuple[str, ...] = ("en",)
    """Codes of the languages to keep. Empty keeps all."""
    language_threshold: Share = 0.3
    """The lowest language score that is kept (Nemotron-CC 0.3, FineWeb 0.65)."""
    language_thresholds: Mapping[str, Share] = {}
    """Language -> a threshold of its own."""
    language_model: str = ""
    """A fastText language model. Empty: the lid.176 that travels with corpusmill."""
    trust_language: bool = False
    """Take the language that a record brings (JSON lines, Parquet) and identify none."""
    repair: Repair = Repair()
    """Repair of texts that were decoded with a wrong charset."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        unwanted = sorted(set(self.language_thresholds) - set(self.languages))
        if self.languages and unwanted:
            raise RecipeError(
                f"language_thresholds names {', '.join(unwanted)}, which `languages` does not keep",
                "name the language in both, or in neither",
            )
        lowest, highest = self.statuses
        if not 100 <= lowest <= highest <= 599:
            raise RecipeError(
                f"statuses is [{lowest}, {highest}]",
                "give the lowest and the highest status, as in [200, 299]",
            )
        return self

    def adds(self) -> tuple[pa.Field, ...]:
        return (TITLE, LINKS, LICENCE, *((PAGES_WITHOUT_TEXT,) if pdf.MIME in self.mimes else ()))

    def depends_on(self) -> str:
        """The language model's digest, and the versions of the extractor, of the charset's
        detectors and of the repair. They decide the text and what is kept.

        Raises ModelError if a model cannot be used. Raises RecipeError for a language that the
        model does not know, since no document would be in it.
        """
        if not self.trust_language:  # a record may bring any language code
            known = language.codes(self.language_model)
            for code in (*self.languages, *self.language_thresholds):
                if code not in known:
                    raise RecipeError(
                        f"the language model knows no language {code!r}", nearest(code, known)
                    )
        extractor = html.extractor_version(self.extractor)
        return " ".join(
            [
                language.model_digest(self.language_model),
                extractor,
                *charset.detector_versions(),
                *repairer_versions(self.repair),
                *([pdf.version()] if pdf.MIME in self.mimes else []),
            ]
        )

    def apply(self, table: pa.Table) -> Outcome:
        """Documents, and excluded rows with their text if there is one. table: rows of
        `readers.RECORD`.

        A page that fails is an excluded row. Raises ModelError if the language model is missing.
        """
        kept: list[dict[str, Any]] = []
        dropped: list[dict[str, Any]] = []
        waiting: list[tuple[dict[str, Any], str | None]] = []
        for records in _few_rows(table):
            for record, text in zip(records, self._texts(records), strict=True):
                row = {name: record[name] for name in _CARRIED}
                row["licence"] = named(record["licence"] or "")
                try:
                    page = _or_raised(text, record["mime"])
                    row["text"] = repaired(page.text, self.repair)
                    row["title"] = repaired(page.title, self.repair) if page.title else None
                    row[PAGES_WITHOUT_TEXT.name] = list(page.pages_without_text) or None
                    self._check_length(row["text"])
                    if page.links and self.max_links:
                        row["links"] = resolved(page.links, record["url"], self.max_links)
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
        columns = self.adds()
        return Outcome(
            _table(kept, extended(*columns)), _table(dropped, extended(*columns, *EXCLUSION))
        )

    def _texts(self, records: Sequence[dict[str, Any]]) -> list[Any]:
        """Each record's text, or the exception that ended it. Pages go through the sandbox."""
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

    def page_text(self, payload: bytes, declared: str | None, mime: str) -> html.Page:
        """The text of a page and its title. declared: its header's charset.

        Raises _Drop, or CorpusmillError if no page at all could be read.
        """
        try:
            if mime == pdf.MIME:
                return self._pdf_text(payload)
            page = repaired_page(charset.decoded(payload, declared)[0], self.repair)
            if mime == "text/plain":
                return html.Page(html.clean(page).strip("\n"))
            return html.read(page, self.extractor, self._language_of, self.comments)
        except (_Drop, CorpusmillError, MemoryError):
            raise
        except pdf.PdfError as error:
            raise _Drop(error.reason, error.detail) from error
        except Exception as error:  # a page that breaks an extractor must cost only that page
            what = (str(error).splitlines() or [""])[0][:300]
            raise _Drop(f"{_failed(mime)}.{type(error).__name__}", what) from error

    def _pdf_text(self, payload: bytes) -> html.Page:
        page = pdf.read(payload, self.max_pdf_pages)
        if self.scanned_pages == "exclude" and page.pages_without_text:
            raise _Drop("pdf.scanned_pages", f"without text: {list(page.pages_without_text)}")
        return page

    def _language_of(self, text: str) -> str:
        return language.identify([text], self.language_model)[0].code

    def _check_http(self, record: dict[str, Any]) -> None:
        """The gate. The MIME type is the content's where it belies its header. Raises _Drop."""
        status = record["status"]
        lowest, highest = self.statuses
        if status is not None and not lowest <= status <= highest:
            raise _Drop("http.status", f"status={status}")
        payload, declared = record["payload"], record["mime"]
        if record["text"] is not None:
            return
        if payload:
            record["mime"] = content_type.mime_of(payload, declared)
        if record["mime"] is not None and record["mime"] not in self.mimes:
            but = f" (its header says {declared})" if declared not in (None, record["mime"]) else ""
            raise _Drop("http.mime", f"mime={record['mime']}{but}")

    def _check_length(self, text: str) -> None:
        if all(character in html.UNSEEN or character.isspace() for character in text):
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


def _failed(mime: str | None) -> str:
    return f"{FAILED_PREFIX}{'pdf' if mime == pdf.MIME else 'html'}"


def _or_raised(text: Any, mime: str | None) -> html.Page:
    """The page, also for a text that the record brought. Raises the exception that stands in its
    place.
    """
    if isinstance(text, sandbox.Stopped):
        raise _Drop(f"{_failed(mime)}.{text.reason}", text.detail)
    if isinstance(text, Exception):
        raise text
    return html.Page(text) if isinstance(text, str) else text


def _table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    return conform(pa.Table.from_pylist(rows, schema=schema), schema)
