"""The ocr stage against a real HTTP server: scans of all kinds come back as their text."""

import gzip
import io
import itertools
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.errors import EngineError, InputError, RecipeError
from corpusmill.manifests.looking.trace import origin_of, trace
from corpusmill.manifests.looking.trace_text import trace_text
from corpusmill.manifests.looking.verify import verify
from corpusmill.manifests.schema import DOCUMENT, IMAGE, LICENCE
from corpusmill.stages.extract import pdf, sandbox
from corpusmill.stages.ocr.page_images import Cutting, Looking, look
from corpusmill.stages.ocr.stage import Ocr
from corpusmill.stages.readers import locate
from PIL import Image

from tests.stages.engines.scripted_server import answer, serving
from tests.stages.extract.test_pdf import GOOD, LOCKED, pdf_file
from tests.stages.ocr.scanned import (
    Reading,
    blank,
    drawn,
    joined,
    pdf_of,
    picture_in,
    png,
    stamped,
    stamped_scan,
    turned,
)
from tests.stages.readers.warc_bytes import answer as http_answer
from tests.stages.readers.warc_bytes import put, record
from tests.stages.small_corpus import rows_of, run

PAGES = {text: image for image, text in map(drawn, range(6))}
TEXTS, IMAGES = list(PAGES), list(PAGES.values())


def settings_for(server, **changes):
    engine = {"kind": "openai", "url": server.url, "model": "eyes"}
    engine |= {"attempts": 2, "backoff_seconds": 0.0}
    # Most tests look at pages in their own process. The sandbox has its own tests.
    return {"engine": engine, "page_seconds": 0, **changes}


def read(folder, *inputs, behave=None, **changes):
    """(kept rows, excluded rows, requests) of a run over these files."""
    with serving(behave or Reading(PAGES)) as server:
        manifest = run("ocr", settings_for(server, **changes), folder / "out", *map(str, inputs))
        assert manifest.conserved
        return rows_of(folder / "out"), rows_of(folder / "out", "excluded"), server.seen


def write(folder, **files):
    """Files of a folder; `a_png` becomes a.png."""
    (folder / "in").mkdir()
    for name, content in files.items():
        (folder / "in" / ".".join(name.rsplit("_", 1))).write_bytes(content)
    return folder / "in"


def test_pictures_and_a_scanned_pdf_file_come_back_as_their_text(tmp_path):
    folder = write(tmp_path, a_png=IMAGES[0], b_pdf=pdf_of(IMAGES[1:4]))
    kept, excluded, seen = read(tmp_path, folder)
    assert [row["text"] for row in kept] == [TEXTS[0], "\n\n".join(TEXTS[1:4])]
    assert excluded == []
    assert len(seen) == 4
    path, _, body = seen[0]
    assert path == "/v1/chat/completions"
    image, words = body["messages"][-1]["content"]
    assert image["image_url"]["url"].startswith("data:image/png;base64,")
    assert "word for word" in words["text"]
    assert (body["temperature"], body["max_tokens"]) == (0, 4096)
    assert verify(str(tmp_path / "out")).problems == []


def test_every_piece_says_page_and_box(tmp_path):
    book = pdf_of(IMAGES[:2])  # it holds the time of its making
    ((row,), _, _) = read(tmp_path, write(tmp_path, book_pdf=book))
    first, second = row["pieces"]
    assert (first["page"], second["page"], row["pages"]) == (1, 2, 2)
    assert [row["text"][piece["start"] : piece["end"]] for piece in (first, second)] == TEXTS[:2]
    assert [first[name] for name in ("x0", "y0", "x1", "y1")] == [0, 0, 400, 300]
    assert (first["width"], first["height"], first["how"]) == (400, 300, "read")
    assert (row["prompt"], row["lineage"]["model"]) == ("read_page", "eyes")
    assert (row["prompt_tokens"], row["output_tokens"]) == (14, 6)
    shown = trace_text(trace(str(tmp_path / "out"), row["id"]))
    assert "page 2, box 0,0-400,300 of 400x300" in shown
    origin = origin_of(trace(str(tmp_path / "out"), row["id"]))
    assert locate(origin) == book


def test_a_mixed_file_keeps_its_page_order_and_is_asked_only_about_scans(tmp_path):
    file = joined(pdf_file([["On the first page."]]), pdf_of([IMAGES[0], blank()]), GOOD)
    kept, _, seen = read(tmp_path, write(tmp_path, mixed_pdf=file))
    assert kept[0]["text"] == f"On the first page.\n\n{TEXTS[0]}\n\n{pdf.read(GOOD, 9).text}"
    how = [piece["how"] for piece in kept[0]["pieces"]]
    assert how == ["layer", "read", "blank", "layer", "layer"]
    assert len(seen) == 1


def test_a_file_with_text_reads_as_extract_reads_it_without_a_request(tmp_path):
    kept, _, seen = read(tmp_path, write(tmp_path, paper_pdf=GOOD))
    settings = {"mimes": [pdf.MIME], "page_seconds": 0, "reader": {"format": "pdf"}}
    run("extract", settings, tmp_path / "extract", str(tmp_path / "in/*.pdf"))
    (extracted,) = rows_of(tmp_path / "extract")
    columns = ("id", "text", "title", "origin", "source", "language", "kind")
    assert [kept[0][name] for name in columns] == [extracted[name] for name in columns]
    assert seen == []


def test_a_stamp_is_no_text_layer(tmp_path):
    file = stamped(pdf_of([IMAGES[0]]), pdf_file([["Digitised by the town library"]]))
    assert "Digitised" in pdf.read(file, 9).text
    kept, _, _ = read(tmp_path, write(tmp_path, stamped_pdf=file))
    assert kept[0]["text"] == TEXTS[0]


STAMP = "Digitized by Library"
BOXES = {
    "below": {"MediaBox": (0, -792, 612, 0)},
    "far": {"MediaBox": (1000, 1000, 1612, 1792)},
    "cropped": {"MediaBox": (0, 0, 2000, 2000), "CropBox": (700, 700, 1312, 1492)},
}


@pytest.mark.parametrize("in_form", [False, True])
@pytest.mark.parametrize("boxes", BOXES.values(), ids=BOXES)
def test_a_stamped_scan_is_known_wherever_its_page_box_lies(boxes, in_form):
    file = stamped_scan(IMAGES[0], STAMP, in_form, **boxes)
    looking = Looking(Cutting(), 4, 100, 10)
    assert pdf.read(file, 9).text == STAMP
    seen = look(file, True, 0, looking)
    assert "text" not in seen
    assert len(seen["pieces"]) == 1


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_page_that_the_pdf_file_turns_is_read_upright(tmp_path, degrees):
    """/Rotate says by how much a viewer turns the page to the right."""
    lying = Image.open(io.BytesIO(IMAGES[0])).rotate(degrees, expand=True)
    ((row,), _, _) = read(tmp_path, write(tmp_path, a_pdf=turned(pdf_of([png(lying)]), degrees)))
    (piece,) = row["pieces"]
    assert row["text"] == TEXTS[0]
    assert [piece[name] for name in ("x1", "y1", "width", "height")] == [400, 300, 400, 300]


def test_a_picture_that_pdfium_cannot_decode_is_no_blank_page(tmp_path):
    scan = pdf_of([IMAGES[0]])
    at = scan.index(b"\xff\xd8\xff")  # where the JPEG file begins
    broken = scan[:at] + b"broken" + scan[at + 6 :]
    folder = write(tmp_path, a_pdf=broken, b_pdf=pdf_of([blank()]))
    _, excluded, seen = read(tmp_path, folder)
    told = ("pdf.unreadable", "page 1: a picture on it is damaged")
    assert [(row["reason"], row["detail"]) for row in excluded] == [
        told,
        ("ocr.blank", "pages=1, all blank"),
    ]
    assert seen == []


@pytest.mark.parametrize(
    ("column", "licences"),
    [
        (None, [None] * 3),
        (["CC-BY-4.0", "MIT", None], ["CC-BY-4.0", "MIT", None]),
        ([["CC BY 4.0", "MIT"], ["GPL-3.0", None], []], ["CC-BY-4.0 AND MIT", "GPL-3.0", None]),
        ([{"name": "MIT"}, None, {"name": None}], ['{"name": "MIT"}', None, None]),
        ([4, None, 5], ["4", None, "5"]),
        (pa.array(["MIT", "ISC", None]).dictionary_encode(), ["MIT", "ISC", None]),
    ],
)
def test_rows_of_images_lead_to_their_parent_and_keep_its_licence(tmp_path, column, licences):
    rows = [
        {"id": f"row {number}", "text": "what a caption says", "source": "s", "kind": "actual"}
        for number in range(3)
    ]
    table = pa.Table.from_pylist(rows, DOCUMENT).append_column(
        IMAGE, pa.array([IMAGES[0], None, IMAGES[1]], IMAGE.type)
    )
    if column is not None:
        column = column if isinstance(column, pa.Array) else pa.array(column)
        table = table.append_column(LICENCE.name, column)
    pq.write_table(table, tmp_path / "images.parquet")
    kept, excluded, _ = read(tmp_path, tmp_path / "images.parquet")
    assert [(row["text"], row["lineage"]["parent"]) for row in kept] == [
        (TEXTS[0], "row 0"),
        (TEXTS[1], "row 2"),
    ]
    assert [row["reason"] for row in excluded] == ["ocr.no_image"]
    assert [row["licence"] for row in kept] == [licences[0], licences[2]]
    assert [row["licence"] for row in excluded] == [licences[1]]
    assert not {row["id"] for row in kept} & {row["id"] for row in rows}


def test_what_extract_leaves_out_is_read_from_where_it_lies(tmp_path):
    """PDF files in a crawl and alone: `extract` names the scans, `ocr` reads them."""
    mixed = joined(GOOD, pdf_of([IMAGES[1]]))
    bodies = [GOOD, pdf_of([IMAGES[0]]), mixed, LOCKED]
    data = b"".join(
        record(number, http_answer(body, Content_Type=pdf.MIME))
        for number, body in enumerate(bodies)
    )
    crawl = put(tmp_path, "crawl.warc", data)
    settings = {"mimes": [pdf.MIME], "page_seconds": 0, "scanned_pages": "exclude"}
    run("extract", settings, tmp_path / "extract", crawl.path)
    gone = rows_of(tmp_path / "extract", "excluded")
    assert [row["reason"] for row in gone] == ["pdf.no_text", "pdf.scanned_pages", "pdf.encrypted"]
    assert gone[1]["detail"] == "without text: [3]"
    kept, excluded, seen = read(tmp_path, f"{tmp_path}/extract/excluded/*.parquet")
    assert [row["text"] for row in kept] == [TEXTS[0], f"{pdf.read(GOOD, 9).text}\n\n{TEXTS[1]}"]
    assert [row["id"] for row in kept] == [row["id"] for row in gone[:2]]
    assert excluded == []
    assert len(seen) == 2
    (tmp_path / "whole").mkdir()
    kept, excluded, _ = read(tmp_path / "whole", crawl.path)
    assert len(kept) == 3
    assert [row["reason"] for row in excluded] == ["pdf.encrypted"]


def test_extract_keeps_the_text_and_names_the_other_pages(tmp_path):
    mixed = joined(GOOD, pdf_of([IMAGES[1]]), pdf_file([[]]))
    folder = write(tmp_path, mixed_pdf=mixed)
    settings = {"mimes": [pdf.MIME], "page_seconds": 0, "reader": {"format": "pdf"}}
    run("extract", settings, tmp_path / "out", str(folder))
    (row,) = rows_of(tmp_path / "out")
    assert row["text"] == pdf.read(GOOD, 9).text
    assert row["pages_without_text"] == [3]  # the last page is empty


def picture(size, kind="PNG", mode="L", **settings):
    file = io.BytesIO()
    Image.new(mode, size, 255).save(file, kind, **settings)
    return file.getvalue()


def test_bad_files_end_with_their_reason_and_the_others_keep_their_text(tmp_path):
    moving = picture((90, 90), "GIF", save_all=True, append_images=[Image.new("L", (90, 90), 0)])
    folder = write(
        tmp_path,
        a_png=IMAGES[0],
        b_png=IMAGES[1][:-700],
        bomb_png=picture((15_000, 10_000), mode="1"),
        c_gif=moving,
        d_png=b"\x89PNG broken",
        e_pdf=LOCKED,
        f_pdf=GOOD[:200],
        g_pdf=b"no PDF file at all",
        h_pdf=pdf_file([["page"]] * 12),
        i_png=blank(),
        j_txt=b"a note beside the scans",
        k_pdf=pdf_of([blank(), blank()]),
        l_pdf=b"",
        m_rar=b"Rar!\x1a\x07\x01\x00 an archive",
        n_pdf=gzip.compress(GOOD)[:-300],
        thin_png=picture((1, 30_000)),
        z_png=IMAGES[2],
    )
    kept, excluded, seen = read(tmp_path, folder, max_pages=11)
    assert [row["text"] for row in kept] == [TEXTS[0], TEXTS[2]]
    reasons = {row["origin"]["file"].rpartition("/")[2]: row["reason"] for row in excluded}
    assert reasons == {
        "b.png": "image.truncated",
        "bomb.png": "image.too_large",
        "c.gif": "image.animated",
        "d.png": "image.unreadable",
        "e.pdf": "pdf.encrypted",
        "f.pdf": "pdf.unreadable",
        "g.pdf": "pdf.unreadable",
        "h.pdf": "pdf.too_many_pages",
        "i.png": "ocr.blank",
        "j.txt": "ocr.mime",
        "k.pdf": "ocr.blank",
        "l.pdf": "ocr.mime",
        "m.rar": "error_read.format",
        "n.pdf": "error_read.truncated",
        "thin.png": "image.too_thin",
    }
    assert len(seen) == 2


ANSWERS = {
    "ocr.empty": answer(" \n", chat=True),
    "ocr.refusal": answer("I'm sorry, but I can't help with that.", chat=True),
    "ocr.no_text": answer("[no text]", chat=True),
    "ocr.repetition": answer("the river flows to the sea and " * 60, chat=True),
    "ocr.cut_off": answer("It goes on", "length", chat=True),
    "error_ocr.request": (400, {}, b"the image is too large"),
}


def test_useless_answers_end_with_their_reason(tmp_path):
    known = dict(zip(ANSWERS, IMAGES, strict=True))
    recognised = Reading(known)

    def behave(prompt, attempt):
        if picture_in(prompt).size == (64, 64):  # the engine asks whether anything is answered
            return answer("nothing", chat=True)
        _, _, data = recognised(prompt, attempt)
        return ANSWERS[json.loads(data)["choices"][0]["message"]["content"]]

    folder = write(tmp_path, **{f"{n}_png": image for n, image in enumerate(IMAGES)})
    kept, excluded, _ = read(tmp_path, folder, behave=behave)
    assert kept == []
    assert [row["reason"] for row in excluded] == list(ANSWERS)


def test_a_document_with_a_lost_page_is_kept_if_most_is_read(tmp_path):
    reading = Reading(PAGES)

    def behave(prompt, attempt):
        reply = reading(prompt, attempt)
        return ANSWERS["ocr.repetition"] if reply == answer(TEXTS[1], chat=True) else reply

    folder = write(tmp_path, book_pdf=pdf_of(IMAGES[:4]))
    ((row,), _, _) = read(tmp_path, folder, behave=behave, min_read_share=0.7)
    assert row["text"] == "\n\n".join([TEXTS[0], TEXTS[2], TEXTS[3]])
    assert [piece["how"] for piece in row["pieces"]] == ["read", "lost", "read", "read"]
    assert row["pieces"][1]["reason"] == "ocr.repetition"
    measured = json.loads((tmp_path / "out/manifest.json").read_text())["measures"]
    assert measured["pages"]["lost"] == {"ocr.repetition": 1}
    counts = {"blank": 0, "empty": 0, "layer": 0, "lost": 1, "read": 3}
    assert measured["pages"]["pieces"] == counts
    assert measured["usage"]["prompts"]["read_page"]["output_tokens"] == 12
    (tmp_path / "strict").mkdir()
    _, (row,), _ = read(tmp_path / "strict", folder, behave=behave)
    assert (row["reason"], row["pages"]) == ("ocr.repetition", 4)
    assert row["detail"].startswith("1 of 4 pieces; page 2: repeated=")


@pytest.mark.parametrize("said", ["", "***"])
def test_an_empty_answer_about_one_page_costs_no_book(tmp_path, said):
    reading = Reading(PAGES)

    def behave(prompt, attempt):
        reply = reading(prompt, attempt)
        return answer(said, chat=True) if reply == answer(TEXTS[1], chat=True) else reply

    folder = write(tmp_path, book_pdf=pdf_of(IMAGES[:3]))
    ((row,), _, _) = read(tmp_path, folder, behave=behave)
    assert row["text"] == f"{TEXTS[0]}\n\n{TEXTS[2]}"
    assert [piece["how"] for piece in row["pieces"]] == ["read", "empty", "read"]
    assert row["pieces"][1]["reason"] == "ocr.empty"


def test_pages_with_a_text_layer_count_as_read(tmp_path):
    layer = pdf_file([[f"Page {number}."] for number in range(12)])
    folder = write(tmp_path, book_pdf=joined(layer, pdf_of(IMAGES[:1])))

    def behave(prompt, attempt):
        return ANSWERS["ocr.repetition"]

    ((row,), _, _) = read(tmp_path, folder, behave=behave)
    assert row["text"].endswith("Page 11.")
    assert [piece["how"] for piece in row["pieces"]] == ["layer"] * 12 + ["lost"]


def test_lines_are_asked_about_one_by_one(tmp_path):
    def behave(prompt, attempt):
        width, height = picture_in(prompt).size
        return answer(f"{width}x{height}", chat=True)

    folder = write(tmp_path, a_png=IMAGES[0])
    cut = {"by": "lines", "width": 120, "height": 40}
    ((row,), _, seen) = read(tmp_path, folder, behave=behave, cut=cut)
    assert len(seen) == len(row["pieces"]) > 10
    assert set(row["text"].split()) == {"120x40"}
    middles = [(piece["y0"] + piece["y1"]) / 2 for piece in row["pieces"]]
    for before, after in itertools.pairwise(row["pieces"]):  # along a line, then the next line
        assert after["x0"] > before["x0"] or after["y1"] > before["y1"] + 5
    assert middles[-1] - middles[0] > 60


def test_a_server_that_takes_no_images_stops_the_stage(tmp_path):
    def behave(prompt, attempt):
        return 400, {}, b"this model takes no image_url"

    with pytest.raises(EngineError, match="refuses every request"):
        read(tmp_path, write(tmp_path, a_png=IMAGES[0]), behave=behave)


def test_text_corpora_are_refused(tmp_path):
    pq.write_table(pa.table({"text": ["no image"]}), tmp_path / "texts.parquet")
    with pytest.raises(InputError, match="no page images"):
        read(tmp_path, tmp_path / "texts.parquet")


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"cut": {"width": 100}}, "set both"), ({"prompt": "educational"}, "grades texts")],
)
def test_settings_that_cannot_work_are_named(tmp_path, changes, message):
    with pytest.raises(RecipeError, match=message):
        read(tmp_path, write(tmp_path, a_png=IMAGES[0]), **changes)


@pytest.mark.parametrize("library", ["numpy", "scipy"])
def test_what_decides_the_cuts_is_part_of_the_key(monkeypatch, library):
    engine = {"kind": "openai", "url": "http://localhost:1", "model": "eyes"}
    stage = Ocr.model_validate({"engine": engine})
    before = stage.depends_on()
    monkeypatch.setattr(f"{library}.__version__", "0.0.0")
    assert stage.depends_on() != before


def test_a_tiff_file_has_pages(tmp_path):
    first, second = (Image.open(io.BytesIO(image)).convert("L") for image in IMAGES[:2])
    file = io.BytesIO()
    first.save(file, "TIFF", save_all=True, append_images=[second])
    ((row,), _, _) = read(tmp_path, write(tmp_path, fax_tif=file.getvalue()))
    assert row["text"] == "\n\n".join(TEXTS[:2])
    (tmp_path / "few").mkdir()
    _, (row,), _ = read(tmp_path / "few", tmp_path / "in", max_pages=1)
    assert (row["reason"], row["detail"]) == ("image.too_many_pages", "pages=2 > 1")


def test_a_file_whose_pages_all_hang_is_given_up(tmp_path, monkeypatch):
    numbers = []
    called = sandbox.called

    def hangs(function, calls):
        pages = [number for _, _, number, _ in calls if number is not None]
        numbers.extend(pages)
        stopped = sandbox.Stopped("timeout", "processor_seconds > 60")
        return [stopped] * len(calls) if pages else called(function, calls)

    monkeypatch.setattr(sandbox, "called", hangs)
    folder = write(tmp_path, a_pdf=pdf_file([["page"]] * 40))
    _, (row,), _ = read(tmp_path, folder)
    assert numbers == [0, 1, 2]
    assert row["reason"] == "error_pdf.timeout"
    assert [piece["reason"] for piece in row["pieces"]] == ["error_pdf.timeout"] * 40
    assert row["pieces"][3]["detail"] == "not looked at: 3 pages were stopped"


def test_a_file_that_takes_too_long_costs_only_itself(tmp_path):
    """In the sandbox, as a run does it by default."""
    bomb = pdf_file([["x"] * 1_000_000], pack=True)
    folder = write(tmp_path, a_pdf=bomb, b_pdf=pdf_of([IMAGES[0]]))
    kept, excluded, _ = read(tmp_path, folder, page_seconds=0.4)
    assert [row["text"] for row in kept] == [TEXTS[0]]
    assert [row["reason"] for row in excluded] == ["error_pdf.timeout"]
