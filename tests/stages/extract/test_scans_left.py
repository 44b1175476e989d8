"""What `extract` says about scans does not open every file of a crawl."""

import json
from pathlib import Path

from corpusmill.stages.extract.scans_left import remark

from tests.stages.readers.warc_bytes import PROSE
from tests.stages.small_corpus import run


def test_without_pdf_files_one_file_tells_that_there_are_no_pages(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / f"in/{name}.jsonl").write_text(json.dumps({"id": name, "text": PROSE}))
    manifest = run("extract", {}, tmp_path / "out", str(tmp_path / "in"))
    _, *others = manifest.documents()
    assert len(others) == 2
    for output in others:
        Path(output.path).unlink()
    assert remark(str(tmp_path / "out"), manifest) == ""
