"""`trace` knows the ids of records, clusters, evaluation items and files."""

import json

import pytest
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.looking.trace_kinds import cluster, documents_at, file_made_by, item
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner

from tests.command_line import corpusmill
from tests.manifests.looking.test_verify import warc_record
from tests.report.small_run import make_run

QUESTION = "Which river rises in the northern hills and reaches the sea after many days of rain?"


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("kinds"))


@pytest.fixture(scope="module")
def crawl(tmp_path_factory):
    """A run over a WARC file of two records, and the place of the second."""
    folder = tmp_path_factory.mktemp("crawl")
    first, second = warc_record(), warc_record(b"https://b.example/")
    (folder / "a.warc").write_bytes(first + second)
    run_step(
        Step("extract", "extract"), (str(folder / "a.warc"),), str(folder / "out"), InlineRunner()
    )
    return str(folder / "out"), len(first), second.decode()


def test_a_records_place_leads_to_its_document(crawl, tmp_path):
    output, offset, _ = crawl
    (found,) = documents_at(output, f"record:a.warc@{offset}")
    shown = corpusmill("trace", output, f"record:a.warc@{offset}", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(found)
    assert "https://b.example/" in shown.stdout


def test_a_warc_record_id_leads_to_its_document(crawl):
    output, offset, record = crawl
    (line,) = [line for line in record.splitlines() if line.startswith("WARC-Record-ID")]
    urn = line.partition(": ")[2].strip()
    found = documents_at(output, urn)
    assert documents_at(output, urn.strip("<>")) == found
    assert set(found) <= {
        *documents_at(output, "record:a.warc@0"),
        *documents_at(output, f"record:a.warc@{offset}"),
    }


def test_a_row_of_json_lines_is_a_place_too(output):
    assert len(documents_at(output, "record:in.jsonl#3")) == 1
    with pytest.raises(InputError, match=r"was made from record:in\.jsonl#99"):
        documents_at(output, "record:in.jsonl#99")
    with pytest.raises(InputError, match="write record:FILE@OFFSET"):
        documents_at(output, "record:in.jsonl")


def test_a_cluster_holds_the_kept_document_and_its_copies(output, tmp_path):
    (copy,) = documents_at(output, "record:in.jsonl#9")
    (other,) = documents_at(output, "record:in.jsonl#8")
    rows = cluster(output, copy)
    assert [row["reason"] for row in rows] == [None, "dedup.exact"]
    assert {row["id"] for row in rows} == {copy, other}
    assert cluster(output, other[:12]) == rows
    shown = corpusmill("trace", output, f"cluster:{copy}", cwd=tmp_path)
    assert [line.split("  ")[1] for line in shown.stdout.splitlines()] == ["kept", "dedup.exact"]
    with pytest.raises(InputError, match=r"no cluster below .* has abcdef"):
        cluster(output, "abcdef")


def test_a_file_leads_to_the_shard_that_wrote_it(output, tmp_path):
    found = file_made_by(output, "dedup/documents/in.parquet")
    assert (found["stage"], found["pass"], found["rows"]) == ("dedup", "dedup", 6)
    assert any(path.endswith("filter/documents/in.parquet") for path, _ in found["read"])
    shown = corpusmill("trace", output, "file:excluded/in.parquet", "--json", cwd=tmp_path)
    assert json.loads(shown.stdout)["rows"] == 3
    with pytest.raises(InputError, match="no receipt below"):
        file_made_by(output, "nothing.parquet")


def test_an_evaluation_item_leads_to_the_documents_that_hold_it(tmp_path):
    rows = [{"text": f"An old story. {QUESTION} The Arda does. The end."}, {"text": "Other words."}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    items = [{"question": QUESTION, "answer": "The Arda does."}]
    (tmp_path / "quiz.jsonl").write_text("".join(json.dumps(row) + "\n" for row in items))
    settings = {"sets": {"quiz": {"input": str(tmp_path / "quiz.jsonl")}}}
    output = str(tmp_path / "out")
    step = Step("decontaminate", "decontaminate", (), settings)
    run_step(step, (str(tmp_path / "in.jsonl"),), output, InlineRunner())
    (found,) = item(output, "quiz")
    assert found["reason"].startswith("decontaminate.")
    with pytest.raises(InputError, match="holds the item quiz/99"):
        item(output, "quiz/99")
