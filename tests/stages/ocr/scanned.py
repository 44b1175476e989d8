"""Scans for tests: pages that `render` draws, as pictures and PDF files, and what reads them."""

import base64
import functools
import io
import json
from collections.abc import Mapping, Sequence

import pypdfium2
from corpusmill.stages.render.look import Paper
from corpusmill.stages.render.stage import Render, pages
from PIL import Image

from tests.stages.engines.scripted_server import answer
from tests.stages.extract.test_pdf import pdf_bytes
from tests.stages.small_corpus import text

PAPER = Paper(width=400, height=300, max_columns=1, min_jpeg_quality=None)


@functools.cache
def drawn(number: int) -> tuple[bytes, str]:
    """A page as a PNG file, and its text."""
    settings = Render(paper=PAPER)
    page = next(pages(f"page {number}", text(number, 30), settings, settings.faces()))
    return page.image, page.text


def blank() -> bytes:
    return png(Image.new("RGB", (400, 300), "white"))


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def turned(pdf: bytes, degrees: int) -> bytes:
    """The file with /Rotate on its first page."""
    file, whole = io.BytesIO(), pypdfium2.PdfDocument(pdf)
    whole[0].set_rotation(degrees)
    whole.save(file)
    return file.getvalue()


def pdf_of(images: Sequence[bytes]) -> bytes:
    """A PDF file without a text layer, one image a page. 200 dots are an inch."""
    first, *others = (Image.open(io.BytesIO(image)).convert("RGB") for image in images)
    file = io.BytesIO()
    first.save(file, "PDF", save_all=True, append_images=others, resolution=200, quality=95)
    return file.getvalue()


def joined(*files: bytes) -> bytes:
    """The pages of several PDF files in one."""
    whole = pypdfium2.PdfDocument.new()
    for content in files:
        part = pypdfium2.PdfDocument(content)
        whole.import_pages(part)
    file = io.BytesIO()
    whole.save(file)
    return file.getvalue()


def stamped(scan: bytes, stamp: bytes) -> bytes:
    """The first page of a file with that of another one on top."""
    whole, other = pypdfium2.PdfDocument(scan), pypdfium2.PdfDocument(stamp)
    page = whole[0]
    page.insert_obj(other.page_as_xobject(0, whole).as_pageobject())
    page.gen_content()
    file = io.BytesIO()
    whole.save(file)
    return file.getvalue()


def stamped_scan(
    image: bytes, line: str, in_form: bool = False, **page: tuple[float, ...]
) -> bytes:
    """A PDF page that a picture fills, with a line of text on top. page: its boxes, as
    `MediaBox=(...)`. in_form: the picture is in a form XObject that scales and moves it.
    """
    left, bottom, right, top = page.get("CropBox", page["MediaBox"])
    width, height = right - left, top - bottom
    picture = Image.open(io.BytesIO(image)).convert("L")
    place = b"%f 0 0 %f %f %f cm" % (width, height, left, bottom)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F 5 0 R >>"
        b" /XObject << /I 6 0 R /O 7 0 R >> >> %s >>" % _entries(page),
        _stream(
            b"",
            b"q %s %s Do Q BT /F 8 Tf %f %f Td (%s) Tj ET"
            % (place, b"/O" if in_form else b"/I", left + 20, bottom + 20, line.encode()),
        ),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        _stream(
            b"/Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray"
            b" /BitsPerComponent 8" % picture.size,
            picture.tobytes(),
        ),
        _stream(
            b"/Type /XObject /Subtype /Form /BBox [0 0 2 2] /Matrix [0.5 0 0 0.5 0 0]"
            b" /Resources << /XObject << /I 6 0 R >> >>",
            b"2 0 0 2 0 0 cm /I Do",
        ),
    ]
    return pdf_bytes(objects)


def _entries(page: Mapping[str, tuple[float, ...]]) -> bytes:
    shown = {name: " ".join(f"{number:g}" for number in value) for name, value in page.items()}
    return " ".join(f"/{name} [{value}]" for name, value in shown.items()).encode()


def _stream(entries: bytes, data: bytes) -> bytes:
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (entries, len(data), data)


def picture_in(prompt: str) -> Image.Image:
    """The image of a request, as the scripted server hands it on."""
    url = next(part["image_url"]["url"] for part in json.loads(prompt) if "image_url" in part)
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))


class Reading:
    """Behaviour of a server that reads perfectly what it knows. known: text -> a page image."""

    def __init__(self, known: Mapping[str, bytes]) -> None:
        self._images = [
            (said, _vector(Image.open(io.BytesIO(image)))) for said, image in known.items()
        ]

    def __call__(self, prompt, attempt):
        asked = _vector(picture_in(prompt))
        said, _ = min(self._images, key=lambda item: _distance(item[1], asked))
        return answer(said, chat=True)


def _vector(picture: Image.Image) -> list[int]:
    return list(picture.convert("L").resize((40, 30), Image.Resampling.BOX).tobytes())


def _distance(one: Sequence[int], other: Sequence[int]) -> int:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))
