"""PDF files in WARC records and alone: their text, and a reason for each that has none."""

import contextlib
import time
import zlib

import pytest
from corpusmill.stages.extract import pdf, sandbox
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
# Most tests do without the sandbox, which has its own tests and starts slowly.
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
    return pdf_bytes(bodies, trailer)


def pdf_bytes(objects, trailer=b""):
    """A PDF file of these objects, numbered from 1. The first is the catalogue."""
    file, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
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


PROSE = [
    "when the water had gone the people of the town came out and looked at what",
    "was left of the harbour, which was not much, and at the boats, which were on",
    "the roofs of the houses that stood on the hill, and nobody knew how it was.",
]
STATEMENT = [
    "02/03/2024 Direct debit City Water Board reference 88213 41.20 1,902.11",
    "03/03/2024 Card payment at the bakery beside the harbour 4.10 1,898.01",
    "Mar 05 Transfer from the account of the committee 250.00 2,148.01",
    "06/03/2024 Card payment at the bakery beside the harbour 4.10",
]
LISTING = [
    "def total(rows, rate, kind):",
    "    kept = [row for row in rows if row]",
    "    for row in kept:",
    "        row.amount = row.amount * rate",
    "    return sum(row.amount for row in kept)",
    "print(total(read(path), 0.2, kind))",
]
FIRST_WORDS = ("The", "A", "One", "No", "Our", "Her", "His", "My")
VERSE = [f"{word} water rose and all the town was wet" for word in FIRST_WORDS]


@pytest.mark.parametrize("lines", [STATEMENT, LISTING, VERSE])
def test_rows_code_and_verse_keep_their_lines(lines):
    assert pdf.joined("\r\n".join(lines)) == "\n".join(lines)
    assert " ".join(PROSE) in pdf.joined("\r\n".join([*PROSE, *lines, *PROSE]))


def test_rows_of_a_file_keep_their_lines():
    found = pdf.read(pdf_file([STATEMENT, LISTING]), 2).text
    assert found.startswith("\n".join(STATEMENT))
    assert [line.strip() for line in found.split("\n")[-6:]] == [line.strip() for line in LISTING]


def test_a_wide_title_does_not_part_the_prose_below():
    title = "Of the water, of the town that it took, and of the committee " * 3 + "that met"
    assert pdf.joined("\n".join([title, "", *PROSE, *PROSE])) == (
        f"{title}\n\n{' '.join([*PROSE, *PROSE])}"
    )


def test_items_of_a_list_are_joined_within():
    items = [f"• {PROSE[0]}", PROSE[1], f"• {PROSE[0]}", PROSE[2]]
    assert pdf.joined("\n".join(items)) == (f"• {PROSE[0]} {PROSE[1]}\n• {PROSE[0]} {PROSE[2]}")


@pytest.mark.parametrize(
    "line", ["1 " * 200_000 + "x", "1" + ",.1 " * 100_000, " \t" * 200_000 + "x"]
)
def test_long_lines_of_a_page_take_linear_time(line):
    start = time.process_time()
    pdf.joined(f"{line}\n{line}")
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (LOCKED, "pdf.encrypted"),
        (GOOD[:200], "pdf.unreadable"),
        (b"%PDF-1.7 and no more", "pdf.unreadable"),
        (pdf_file([["page"]] * 3000), "pdf.too_many_pages"),
        (pdf_file([[], []]), "pdf.no_text"),
        (pdf_file([]), "pdf.unreadable"),
    ],
)
def test_a_file_without_text_has_its_reason(content, reason):
    with pytest.raises(pdf.PdfError) as caught:
        pdf.read(content, 1000)
    assert caught.value.reason == reason


def test_a_reason_does_not_depend_on_the_file_before():
    """PDFium leaves the error of an earlier file where a file without pages sets none."""
    for before in (GOOD, LOCKED, GOOD[:200]):
        with contextlib.suppress(pdf.PdfError):
            pdf.read(before, 10)
        with pytest.raises(pdf.PdfError) as caught:
            pdf.read(pdf_file([]), 10)
        assert caught.value.args == ("pdf.unreadable", "it is damaged, or has no pages")


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


def test_a_stream_that_unpacks_to_much_more_is_stopped():
    bomb = pdf_file([["x"] * 1_000_000], pack=True)
    assert len(bomb) < 50_000
    limited = sandbox.Sandbox(seconds=0.2, memory_mb=1024)
    stopped, fine = limited.run(pdf.read, [(bomb, 1000), (GOOD, 2)], (GOOD, 2))
    limited.stop()
    assert stopped.reason == "timeout"
    assert fine == pdf.read(GOOD, 2)


def test_a_file_that_is_stopped_or_breaks_the_reader_says_so(tmp_path, monkeypatch):
    data = record(0, answer(GOOD, Content_Type=pdf.MIME))
    records = table_of(put(tmp_path, "crawl.warc", data))
    monkeypatch.setattr(pdf, "joined", lambda page: 1 / 0)
    assert SETTINGS.apply(records).excluded["reason"].to_pylist() == ["error_pdf.ZeroDivisionError"]
    stopped = sandbox.Stopped("timeout", "seen")
    monkeypatch.setattr(sandbox, "called", lambda function, pages: [stopped] * len(pages))
    assert SETTINGS.apply(records).excluded["reason"].to_pylist() == ["error_pdf.timeout"]


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
