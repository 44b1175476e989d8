"""PDF files in WARC records and alone: their text, and a reason for each that has none."""

import zlib

import pytest
from corpusmill.stages.extract import pdf
from corpusmill.stages.extract.stage import Extract
from corpusmill.stages.readers import locate

from tests.stages.readers.warc_bytes import answer, put, record, table_of
from tests.stages.small_corpus import rows_of, run

LINES = [
    "The committee met on the first day of the month, and it began with a long pause.",
    "Nobody wanted to say what everybody knew: the money was gone, and the well was dry.",
    "They went home.",
    "On the second day the sun was out, and the members spoke of other things in the shade.",
]
# Without the sandbox, which has its own tests and starts slowly.
SETTINGS = Extract(mimes=("text/html", pdf.MIME), page_seconds=0)


def pdf_file(pages, trailer=b"", pack=False):
    """A PDF file with these lines on its pages."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(len(pages)))
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(pages)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, lines in enumerate(pages):
        shown = b" ".join(b"(%s) Tj T*" % line.encode() for line in lines)
        stream = b"BT /F1 12 Tf 72 720 Td 14 TL %s ET" % shown
        packed = zlib.compress(stream) if pack else stream
        kind = b"/Filter /FlateDecode " if pack else b""
        bodies += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R"
            b" /Resources << /Font << /F1 3 0 R >> >> >>" % (5 + 2 * number),
            b"<< %s/Length %d >>\nstream\n%s\nendstream" % (kind, len(packed), packed),
        ]
    file, places = b"%PDF-1.4\n", []
    for number, body in enumerate(bodies, start=1):
        places.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(bodies) + 1
    end = b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
    end += b"trailer << /Size %d /Root 1 0 R %s>>\nstartxref\n%d\n%%%%EOF"
    return file + end % (size, trailer, len(file))


GOOD = pdf_file([LINES, ["The second page."]])
LOCKED = pdf_file(
    [LINES],
    b"/Encrypt << /Filter /Standard /V 1 /R 2 /O <%s> /U <%s> /P -4 >> /ID [<00> <00>] "
    % (b"41" * 32, b"42" * 32),
)


def test_full_lines_are_joined_and_short_ones_end_a_paragraph():
    assert pdf.read(GOOD, 2).text == (
        f"{LINES[0]} {LINES[1]} {LINES[2]}\n{LINES[3]}\n\nThe second page."
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (LOCKED, "pdf.encrypted"),
        (GOOD[:200], "pdf.unreadable"),
        (b"%PDF-1.7 and no more", "pdf.unreadable"),
        (pdf_file([["page"]] * 3000), "pdf.too_many_pages"),
        (pdf_file([[], []]), "pdf.no_text"),
    ],
)
def test_a_file_without_text_has_its_reason(content, reason):
    with pytest.raises(pdf.PdfError) as caught:
        pdf.read(content, 1000)
    assert caught.value.reason == reason


def test_pdf_files_in_a_crawl(tmp_path):
    bodies = [GOOD, LOCKED, GOOD[:200]]
    data = b"".join(
        record(number, answer(body, Content_Type=pdf.MIME)) for number, body in enumerate(bodies)
    )
    records = table_of(put(tmp_path, "crawl.warc", data))
    kept, excluded = SETTINGS.apply(records)
    assert [row["text"] for row in kept.to_pylist()] == [pdf.read(GOOD, 2).text]
    reasons = ["pdf.encrypted", "pdf.unreadable"]
    assert excluded["reason"].to_pylist() == reasons
    assert Extract().apply(records).excluded["reason"].to_pylist() == ["http.mime"] * 3


def test_a_stream_that_unpacks_to_much_more_ends(tmp_path):
    bomb = pdf_file([[" " * 30_000_000]], pack=True)
    assert len(bomb) < 100_000
    data = record(0, answer(bomb, Content_Type=pdf.MIME))
    kept, excluded = SETTINGS.apply(table_of(put(tmp_path, "crawl.warc", data)))
    assert kept.num_rows == 0
    assert excluded["reason"].to_pylist() == ["pdf.no_text"]


def test_pdf_files_themselves(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/paper.pdf").write_bytes(GOOD)
    (tmp_path / "in/locked.pdf").write_bytes(LOCKED)
    settings = {"mimes": [pdf.MIME], "page_seconds": 0, "reader": {"format": "pdf"}}
    run("extract", settings, tmp_path / "out", str(tmp_path / "in/*.pdf"))
    assert [row["text"] for row in rows_of(tmp_path / "out")] == [pdf.read(GOOD, 2).text]
    [gone] = rows_of(tmp_path / "out", "excluded")
    assert gone["reason"] == "pdf.encrypted"
    assert locate({**gone["origin"], "reader": {"format": "pdf"}}) == LOCKED
