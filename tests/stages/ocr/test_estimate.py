"""What a run will take, beside what the same run asks for."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.schema import DOCUMENT, IMAGE
from corpusmill.pipeline.estimate import estimate_step
from corpusmill.pipeline.recipe import Step
from corpusmill.stages.extract import pdf
from corpusmill.stages.ocr.estimate import spread

from tests.command_line import corpusmill
from tests.stages.engines.scripted_server import serving
from tests.stages.extract.test_pdf import GOOD, LOCKED
from tests.stages.ocr.scanned import blank, drawn, joined, pdf_of
from tests.stages.ocr.test_ocr import IMAGES, TEXTS, read, settings_for, write
from tests.stages.readers.warc_bytes import answer, put, record
from tests.stages.small_corpus import rows_of, run


def estimated(*inputs, like=None, url="http://localhost:1", **changes):
    engine = {"kind": "openai", "url": url, "model": "eyes"}
    settings = {"engine": engine, "page_seconds": 0, **changes}
    paths = [str(path) for path in inputs]
    return estimate_step(Step("ocr", "ocr", (), settings), paths, "none/ocr", 1, None, None, like)


def images(folder, count):
    rows = [
        {"id": f"row {number}", "text": "a page", "source": "s", "kind": "actual"}
        for number in range(count)
    ]
    table = pa.Table.from_pylist(rows, DOCUMENT).append_column(
        IMAGE, pa.array([IMAGES[number % 4] for number in range(count)], IMAGE.type)
    )
    pq.write_table(table, folder / "images.parquet")
    return folder / "images.parquet"


@pytest.mark.parametrize("by", ["page", "lines"])
def test_with_all_pages_looked_at_it_is_what_the_run_asks(tmp_path, by):
    mixed = joined(GOOD, pdf_of([IMAGES[2], blank()]))
    folder = write(
        tmp_path, a_png=IMAGES[0], b_pdf=mixed, c_pdf=LOCKED, d_txt=b"a note", e_pdf=GOOD, f_png=b""
    )
    found = estimated(folder, cut={"by": by})
    (line,) = found.lines
    _, _, seen = read(tmp_path, folder, cut={"by": by}, min_read_share=0)
    assert (found.documents, found.sampled) == (6, 6)
    assert (line.documents, line.pages, line.requests) == (2, 2, len(seen))
    assert line.most_output_tokens == 4096 * len(seen)
    assert line.output_tokens < line.most_output_tokens
    assert not line.from_run
    unread = "1 blank, 2 ocr.mime, 1 pdf.encrypted, 4 with a text layer"
    assert line.remarks == (f"not read by the model, files or pages: {unread}",)


def test_the_letters_on_a_page_tell_about_how_long_an_answer_is(tmp_path):
    (line,) = estimated(write(tmp_path, a_png=IMAGES[0])).lines
    assert line.output_tokens == pytest.approx(len(TEXTS[0]) / 4, rel=0.3)
    assert line.prompt_tokens == pytest.approx(400 * 300 / 28**2 + 200, rel=0.5)


def test_pages_of_a_long_scan_are_far_apart():
    assert list(spread(5)) == [0, 1, 2, 3, 4]
    assert list(spread(8)) == list(range(8))
    assert list(spread(80)) == [5, 15, 25, 35, 45, 55, 65, 75]


def test_some_pages_stand_for_a_long_scan(tmp_path):
    found = estimated(write(tmp_path, book_pdf=pdf_of([IMAGES[0], IMAGES[1]] * 20)))
    assert (found.documents, found.lines[0].requests) == (1, 40)


def test_some_files_stand_for_all(tmp_path):
    scan = pdf_of([IMAGES[0]] * 2)
    folder = write(tmp_path, **{f"{number}_pdf": scan for number in range(50)})
    found = estimated(folder)
    assert (found.documents, found.sampled, found.lines[0].pages) == (50, 32, 100)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_the_beginning_of_a_crawl_stands_for_the_whole(tmp_path, monkeypatch, pack):
    monkeypatch.setattr("corpusmill.pipeline.estimate.SAMPLE", 8)
    scan = answer(pdf_of([IMAGES[0]]), Content_Type=pdf.MIME)
    data = b"".join(pack(record(number, scan)) for number in range(30))
    found = estimated(put(tmp_path, "crawl.warc", data).path)
    assert (found.documents, found.sampled, found.lines[0].requests) == (30, 8, 30)


def test_a_damaged_crawl_is_looked_at_up_to_a_scan_that_has_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr("corpusmill.pipeline.estimate.SAMPLE", 8)
    records = [
        record(number, answer(pdf_of([IMAGES[0]]), Content_Type=pdf.MIME)) for number in range(30)
    ]
    records[6] += b"no record\r\n" * 9
    data = b"".join(map(gzip.compress, records))
    found = estimated(put(tmp_path, "crawl.warc.gz", data).path)
    assert found.sampled == 9  # the eighth row has no end
    assert found.lines[0].requests == pytest.approx(30, abs=1)


def test_rows_of_images_and_what_extract_left_out_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("corpusmill.pipeline.estimate.SAMPLE", 8)
    found = estimated(images(tmp_path, 60))
    assert (found.documents, found.sampled) == (60, 8)
    folder = write(
        tmp_path, **{f"{n}_pdf": pdf_of([IMAGES[n % 4]]) for n in range(12)}, z_pdf=LOCKED
    )
    settings = {"mimes": [pdf.MIME], "page_seconds": 0, "reader": {"format": "pdf"}}
    run("extract", settings, tmp_path / "extract", str(folder))
    assert len(rows_of(tmp_path / "extract", "excluded")) == 13
    found = estimated(tmp_path / "extract/excluded")
    assert (found.documents, found.lines[0].pages) == (12, 12)


def test_tokens_and_speed_come_from_a_run_before(tmp_path):
    folder = write(tmp_path, book_pdf=pdf_of(IMAGES[:3]), cover_png=drawn(4)[0])
    read(tmp_path, folder)
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    used = manifest["measures"]["usage"]["prompts"]["read_page"]
    assert (used["rows"], used["requests"]) == (2, 4)
    found = estimated(folder, like=str(tmp_path / "out"))
    (line,) = found.lines
    assert line.from_run
    assert (line.requests, line.prompt_tokens, line.output_tokens) == (
        4,
        used["prompt_tokens"],
        used["output_tokens"],
    )
    assert found.hours > 0


def test_the_command_prints_and_asks_and_writes_nothing(tmp_path):
    folder = write(tmp_path, a_png=IMAGES[0], b_pdf=pdf_of(IMAGES[:2]))
    with serving(lambda prompt, attempt: (500, {}, b"asked")) as server:
        recipe = {"stages": [{"ocr": settings_for(server)}]}
        (tmp_path / "ocr.yaml").write_text(json.dumps(recipe))
        command = ["ocr", "--estimate", "-i", str(folder), "-o", str(tmp_path / "out")]
        command += ["--config", str(tmp_path / "ocr.yaml")]
        done = corpusmill(*command, "--tokens-per-second", "100", "--price", "2", cwd=tmp_path)
        shown = json.loads(corpusmill(*command, "--json", cwd=tmp_path).stdout)
        assert server.seen == []
    assert "pages   requests" in done.stdout
    assert "under a minute on 1 GPU" in done.stdout
    assert "cost: under 0.01" in done.stdout
    assert (shown["documents"], shown["lines"][0]["pages"]) == (2, 3)
    assert not (tmp_path / "out").exists()
    for option in ("--gpus", "--tokens-per-second", "--price"):
        refused = corpusmill(*command, option, "inf", cwd=tmp_path)
        assert refused.returncode == 2
        assert "it must be a finite number" in refused.stderr
    for option in ("--gpus", "--tokens-per-second"):
        refused = corpusmill(*command, option, "0", cwd=tmp_path)
        assert refused.returncode == 2
        assert "it must be more than 0" in refused.stderr
