"""kill -9 of a run: the same command goes on, and the documents are those of an undisturbed run."""

import sys

import pytest

from tests.stages.ocr.scanned import drawn, pdf_of
from tests.stages.small_corpus import run
from tests.stages.synthesize.test_synthesis_kill import Server, files, started, wait_for

FILES, PAGES = 4, 10
IN_FLIGHT = 2


def engine(server):
    return {
        "kind": "openai",
        "url": f"http://127.0.0.1:{server.port}/v1",
        "model": "m",
        "in_flight": IN_FLIGHT,
    }


def command(folder, output, server):
    settings = [f"ocr.engine.{key}={value}" for key, value in engine(server).items()]
    return [
        *(sys.executable, "-m", "corpusmill.cli", "ocr", "--runner", "inline", "--quiet"),
        *("--input", str(folder), "--output", str(output), "--set", "ocr.page_seconds=0"),
        *(part for setting in settings for part in ("--set", setting)),
    ]


@pytest.mark.timeout(200)
def test_a_killed_run_asks_only_for_what_is_missing(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(FILES):
        images = [drawn(PAGES * number + page)[0] for page in range(PAGES)]
        (tmp_path / "in" / f"{number}.pdf").write_bytes(pdf_of(images))
    server = Server(tmp_path / "log", seconds=0.03)
    try:
        with started(command(tmp_path / "in", tmp_path / "out", server)) as process:
            wait_for(server, 15, process)  # within the second file
            process.kill()
            process.wait()
        first = len(server.answers())
        assert first < FILES * PAGES
        with started(command(tmp_path / "in", tmp_path / "out", server)) as process:
            assert process.wait(100) == 0
        answers = server.answers()
        assert len(set(answers)) == FILES * PAGES
        assert len(answers) <= FILES * PAGES + IN_FLIGHT
        settings = {"engine": engine(server), "page_seconds": 0}
        run("ocr", settings, tmp_path / "whole", str(tmp_path / "in"))
    finally:
        server.kill()
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    assert not list((tmp_path / "out").rglob("answers.jsonl"))
