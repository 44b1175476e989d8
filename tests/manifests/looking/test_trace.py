"""`trace` finds a document by its URL or its id."""

import pytest
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.looking.trace import trace
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner

from tests.command_line import corpusmill
from tests.manifests.looking.test_verify import warc_record


def test_a_url_is_traced_as_an_id_is(tmp_path):
    (tmp_path / "a.warc").write_bytes(warc_record())
    step = Step("extract", "extract")
    run_step(step, (str(tmp_path / "a.warc"),), str(tmp_path / "out"), InlineRunner())
    found = trace(str(tmp_path / "out"), "https://a.example/")
    assert [sighting.row["url"] for sighting in found.sightings] == ["https://a.example/"]
    assert trace(str(tmp_path / "out"), found.id).as_json() == found.as_json()
    with pytest.raises(InputError, match=r"no document https://b\.example/ below"):
        trace(str(tmp_path / "out"), "https://b.example/")


def test_the_record_that_a_document_was_made_from_is_written_as_it_is(tmp_path):
    first, second = warc_record(), warc_record(b"https://b.example/")
    (tmp_path / "a.warc").write_bytes(first + second)
    step = Step("extract", "extract")
    run_step(step, (str(tmp_path / "a.warc"),), str(tmp_path / "out"), InlineRunner())
    result = corpusmill("trace", "out", "https://b.example/", "--record", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == second.decode().split()
