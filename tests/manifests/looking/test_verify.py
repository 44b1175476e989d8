"""verify: each failed check is one problem in the list. The other checks go on."""

import gzip
import json

import pytest
from corpusmill.manifests.looking.inspect import inspect
from corpusmill.manifests.looking.verify import verify
from corpusmill.manifests.manifest import Manifest, Parent, write_manifest
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner


@pytest.fixture
def run(tmp_path):
    """Two stages, `a` and `b`, with two shards each. `b` reads `a`."""
    (tmp_path / "in").mkdir()
    for name in ("x", "y"):
        (tmp_path / "in" / f"{name}.jsonl").write_text(
            json.dumps({"id": name, "text": f"{name} text " * 40}) + "\n"
        )
    for verb, read, written in (("extract", "in", "run/a"), ("dedup", "run/a", "run/b")):
        run_step(Step(verb, verb), (str(tmp_path / read),), str(tmp_path / written), InlineRunner())
    root = tmp_path / "run"
    assert verify(str(root)).problems == []
    return root


def test_a_stage_that_lost_its_manifest_is_a_problem_of_it_and_of_its_reader(run):
    (run / "a" / "manifest.json").unlink()
    (run / "b" / "documents" / "x.parquet").unlink()
    verdict = verify(str(run))
    problems = verdict.problems
    assert verdict.files > 0
    assert (
        f"{run}/a is not finished (it has no manifest.json); run the same command again to go on"
        in problems
    )
    assert (
        f"{run}/b: its input {run}/a has no manifest.json; run the stage that writes it again"
        in problems
    )
    assert f"{run}/b/documents/x.parquet is missing; run the same command again" in problems


@pytest.mark.parametrize("content", ["{", "[]", "3", '{"outputs": 3}'])
@pytest.mark.parametrize("name", ["manifest.json", "receipts/extract/x.json"])
def test_a_damaged_manifest_or_receipt_is_named(run, name, content):
    (run / "a" / name).write_text(content)
    (run / "b" / "documents" / "x.parquet").unlink()
    problems = verify(str(run)).problems
    assert any(problem.startswith(f"{run}/a/{name} is damaged") for problem in problems)
    assert any("documents/x.parquet is missing" in problem for problem in problems)


def test_a_circle_of_parents_is_a_problem(tmp_path):
    places = [tmp_path / "run" / name for name in "abc"]
    for number, place in enumerate(places):
        parent = Parent(str(places[number - 1]), "0")
        write_manifest(Manifest(["filter"], {}, {}, "0", [parent], verbs=["filter"]), str(place))
    problems = verify(str(tmp_path / "run")).problems
    a, b, c = map(str, places)
    assert (
        f"{a} reads {c} reads {b} reads {a}: these manifests form a circle; "
        "run these stages again" in problems
    )
    assert inspect(str(tmp_path / "run")) == []


def warc_record(url=b"https://a.example/"):
    """A page in a WARC record, as bytes."""
    page = (
        b"<html><body><p>" + b"A page about the river and the bridge. " * 20 + b"</p></body></html>"
    )
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + page
    return (
        b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: " + url + b"\r\n"
        b"WARC-Date: 2026-01-01T00:00:00Z\r\n"
        b"WARC-Record-ID: <urn:uuid:11111111-1111-1111-1111-111111111111>\r\n"
        b"Content-Type: application/http; msgtype=response\r\n"
        b"Content-Length: " + str(len(answer)).encode() + b"\r\n\r\n" + answer + b"\r\n\r\n"
    )


def test_a_shard_without_its_receipt_is_to_be_made_again(run):
    (run / "b" / "receipts" / "dedup" / "000000-x.json").unlink()
    (problem,) = verify(str(run)).problems
    assert problem == (
        f"{run}/b: the receipt of 2 files is missing or damaged, e.g. of "
        f"{run}/b/documents/x.parquet; run the same command again, it makes these shards anew and "
        "leaves the others"
    )
    before = (run / "b" / "documents" / "x.parquet").read_bytes()
    run_step(Step("dedup", "dedup"), (str(run / "a"),), str(run / "b"), InlineRunner())
    assert verify(str(run)).problems == []
    assert (run / "b" / "documents" / "x.parquet").read_bytes() == before


def test_a_document_that_two_copies_of_a_file_hold_is_a_remark(tmp_path):
    record = warc_record()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.warc").write_bytes(record)
    (tmp_path / "in" / "a.warc.gz").write_bytes(gzip.compress(record))
    run_step(
        Step("extract", "extract"), (str(tmp_path / "in"),), str(tmp_path / "out"), InlineRunner()
    )
    verdict = verify(str(tmp_path / "out"))
    assert verdict.problems == []
    (remark,) = verdict.remarks
    assert "hold 1 documents twice" in remark
    assert "let dedup remove them" in remark
