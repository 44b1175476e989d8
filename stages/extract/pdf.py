"""The text of a PDF file, by PDFium (pypdfium2: Apache-2.0 or BSD).

Only the text layer is read. A file that is all scans has none, and ends with `pdf.no_text`. Lines
of prose are joined where they are nearly full, because a PDF knows no paragraphs. Rows of tables,
indented lines and verse are not. Pages stand one behind the other, parted by a blank line.
"""

import importlib.metadata
import math
import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from corpusmill.stages.extract.html import Page, clean

MIME = "application/pdf"
REVISION = 3  # raised when the same file gives other rows
SCANS = ("pdf.no_text", "pdf.scanned_pages")  # reasons of files that `ocr` can read
LOCKED = (4, 5)  # PDFium's FPDF_ERR_PASSWORD and FPDF_ERR_SECURITY
FULL = 0.75  # of the width of its page: a shorter line ends a paragraph
WIDEST = 0.1  # of the lines: titles and footers may be wider than the text, and so give no width
CAPITALS, FEWEST_LINES = 0.8, 8  # verse and names begin most lines with a capital, prose few
_NUMBER = r"[-+(]?[£$€]?\d(?:[\d.,]*\d)?[)%]?"
# PDFium writes one blank for any gap, so the columns of a table are told by their numbers.
_ALONE = re.compile(
    rf"[ \t]|.*\S(?:[ ]{{2}}|\t)|\d.*\s{_NUMBER}$|.*\s{_NUMBER}\s{_NUMBER}$|.*(?:[{{}}]|[)\]];)$"
)
_BLANK_LINES = re.compile(r"\n{3,}")
_BULLET = re.compile(r"[•◦▪‣·●○■–—*-]\s|\(?\d{1,2}[.)]\s")
HYPHEN = "\ufffe"  # PDFium writes it for the hyphen of a word that goes on in the next line


class PdfError(Exception):
    """A file without a text to keep. reason: a code such as `pdf.encrypted`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def version() -> str:
    """All that decides the text besides the file."""
    return f"pypdfium2 {importlib.metadata.version('pypdfium2')} revision {REVISION}"


def read(content: bytes, most_pages: int) -> Page:
    """The text of all pages, the title of the metadata, and which pages show something and have no
    text.

    Raises PdfError for a file that needs a password, is damaged, has more than `most_pages`, or has
    no text.
    """
    with opened(content) as file:
        count = len(file)
        if count > most_pages:
            raise PdfError("pdf.too_many_pages", f"pages={count} > {most_pages}")
        texts, scanned = [], []
        for number in range(count):
            text, shows = _page(file, number)
            texts.append(joined(text))
            if not texts[-1] and shows:
                scanned.append(number + 1)
        text, title = "\n\n".join(filter(None, texts)), title_of(file)
    if not text:
        raise PdfError("pdf.no_text", f"pages={count}, none with text: they may be scans")
    return Page(text, title, pages_without_text=tuple(scanned))


@contextmanager
def opened(content: bytes) -> Iterator[Any]:
    """The file as PDFium has it. Raises PdfError if it needs a password or is damaged, also for a
    page that is.
    """
    import pypdfium2

    try:
        file = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        raise _unopened(content, error.err_code) from error
    try:
        yield file
    except pypdfium2.PdfiumError as error:
        raise PdfError("pdf.unreadable", str(error)) from error
    finally:
        file.close()


def _unopened(content: bytes, code: int | None) -> PdfError:
    """Why a file cannot be opened. code: PDFium's last error, which may be that of an earlier file:
    a file without pages, for one, sets none.
    """
    if code in LOCKED and b"/Encrypt" in content:
        return PdfError("pdf.encrypted", "it needs a password, or a scheme that PDFium lacks")
    return PdfError("pdf.unreadable", "it is damaged, or has no pages")


def title_of(file: Any) -> str | None:
    """The title that the metadata of an open file give."""
    return clean(file.get_metadata_value("Title")).strip() or None


def text_of(page: Any) -> str:
    """The text layer of a page, with PDFium's line ends."""
    text = page.get_textpage()
    found: str = text.get_text_range()
    text.close()
    return found


def is_picture(page: Any) -> bool:
    """Whether pictures cover more than half of a page."""
    from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

    # What is shown, in the coordinates that objects have: neither moved to (0, 0) nor turned.
    left, bottom, right, top = page.get_bbox()
    covered = 0.0
    for picture in page.get_objects(filter=[FPDF_PAGEOBJ_IMAGE]):
        x0, y0, x1, y1 = _bounds(picture)
        covered += max(0, min(x1, right) - max(x0, left)) * max(0, min(y1, top) - max(y0, bottom))
    return covered > (right - left) * (top - bottom) / 2


def has_broken_picture(page: Any) -> bool:
    """Whether PDFium cannot decode a picture of a page. It then draws nothing in its place."""
    import pypdfium2
    from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

    for picture in page.get_objects(filter=[FPDF_PAGEOBJ_IMAGE]):
        try:
            picture.get_bitmap()
        except pypdfium2.PdfiumError:
            return True
    return False


def _bounds(item: Any) -> tuple[float, float, float, float]:
    """(left, bottom, right, top) on the page. PDFium's are those within the form XObject."""
    bounds: tuple[float, float, float, float] = item.get_bounds()
    form = item.container
    while form is not None:
        bounds = form.get_matrix().on_rect(*bounds)
        form = form.container
    return bounds


def _page(file: Any, number: int) -> tuple[str, bool]:
    """(the text of a page, whether it draws anything). A page that is damaged has neither."""
    import pypdfium2

    try:
        page = file[number]
        text = text_of(page)
        shows = next(iter(page.get_objects(max_depth=1)), None) is not None
        page.close()
    except pypdfium2.PdfiumError:
        return "", False
    return text, shows


def joined(page: str) -> str:
    """The paragraphs of a page's lines. Lines that are not joined keep their indentation."""
    lines = [line.rstrip() for line in clean(page.replace(HYPHEN, "")).split("\n")]
    lines = textwrap.dedent("\n".join(lines)).split("\n")
    full = FULL * _width(lines)
    alone = [_ALONE.match(line) is not None for line in lines] + [True]
    begins = [not line or _BULLET.match(line) is not None for line in lines] + [True]
    parts: list[str] = []
    for number, line in enumerate(lines):
        goes_on = line and len(line) >= full and not (alone[number] or alone[number + 1])
        parts += [line, " " if goes_on and not begins[number + 1] else "\n"]
    return _BLANK_LINES.sub("\n\n", "".join(parts)).strip("\n")


def _width(lines: list[str]) -> float:
    """How long a full line of prose is, in characters; infinite for verse."""
    lines = [line for line in lines if line]
    capitals = sum(line.lstrip()[0].isupper() for line in lines)
    if len(lines) >= FEWEST_LINES and capitals >= CAPITALS * len(lines):
        return math.inf
    lengths = sorted(map(len, lines), reverse=True)
    return lengths[math.ceil(WIDEST * len(lines))] if len(lines) > 3 else max(lengths, default=0)
