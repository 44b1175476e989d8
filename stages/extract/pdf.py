"""The text of a PDF file, by PDFium (pypdfium2: Apache-2.0 or BSD).

Only the text layer is read. A file that is all scans has none, and ends with `pdf.no_text`. Lines
of a page are joined where they are nearly full, because a PDF knows no paragraphs. Pages stand one
behind the other, parted by a blank line.
"""

import importlib.metadata
from collections.abc import Iterator
from typing import Any

from corpusmill.stages.extract.html import Page, clean, tidy

MIME = "application/pdf"
PASSWORD = 4  # PDFium's FPDF_ERR_PASSWORD
FULL = 0.75  # of the longest line of its page: a shorter line ends a paragraph
HYPHEN = "\ufffe"  # PDFium writes it for the hyphen of a word that goes on in the next line


class PdfError(Exception):
    """A file without a text to keep. reason: a code such as `pdf.encrypted`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def version() -> str:
    """All that decides the text besides the file."""
    return f"pypdfium2 {importlib.metadata.version('pypdfium2')}"


def read(content: bytes, most_pages: int) -> Page:
    """The text of all pages, and the title of the metadata.

    Raises PdfError for a file that needs a password, is damaged, has more than `most_pages`, or has
    no text.
    """
    import pypdfium2

    try:
        file = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        locked = error.err_code == PASSWORD
        raise PdfError("pdf.encrypted" if locked else "pdf.unreadable", str(error)) from error
    try:
        count = len(file)
        if count > most_pages:
            raise PdfError("pdf.too_many_pages", f"pages={count} > {most_pages}")
        text = "\n\n".join(part for part in map(joined, _pages(file)) if part)
        title = clean(file.get_metadata_value("Title")).strip()
    finally:
        file.close()
    if not text:
        raise PdfError("pdf.no_text", f"pages={count}, none with text: they may be scans")
    return Page(text, title or None)


def _pages(file: Any) -> Iterator[str]:
    """The text of each page; empty for a page that is damaged."""
    import pypdfium2

    for number in range(len(file)):
        try:
            page = file[number]
            text = page.get_textpage()
            yield text.get_text_range()
            text.close()
            page.close()
        except pypdfium2.PdfiumError:
            yield ""


def joined(page: str) -> str:
    """The paragraphs of a page's lines."""
    lines = clean(page.replace(HYPHEN, "")).split("\n")
    longest = max(map(len, lines))
    parts: list[str] = []
    for line in lines:
        full = len(line) >= FULL * longest and len(lines) > 1
        parts += [line.strip(), " " if full and line.strip() else "\n"]
    return tidy("".join(parts))
