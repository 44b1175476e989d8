"""Metrics count what the manifests count. They are written as a file, or served on a port."""

import json
import re
import socket
import urllib.request

import pytest
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.manifest import read_manifest
from corpusmill.pipeline.display import Display
from corpusmill.pipeline.metrics import Metrics
from prometheus_client.parser import text_string_to_metric_families

from tests.command_line import ROOT, corpusmill
from tests.pipeline.test_progress import receipt

PAGE = ROOT / "docs" / "operations.md"


def samples(text):
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_run_writes_the_numbers_of_its_manifests_and_its_log_as_json(tmp_path):
    good = [json.dumps({"text": f"The {word} house has a door and a window."}) for word in "abcd"]
    (tmp_path / "in.jsonl").write_text("\n".join([*good, "{damaged", good[0]]))
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    (tmp_path / "two.yaml").write_text(
        "name: two\ninputs: [in.jsonl, bad.parquet]\nstages:\n- extract: {languages: []}\n- dedup\n"
    )
    command = ["run", "two.yaml", "--output", "out", "--runner", "inline"]
    command += ["--metrics", "metrics/two.prom", "--log", "json"]
    run = corpusmill(*command, cwd=tmp_path)
    assert run.returncode == 3, run.stderr
    found = samples((tmp_path / "metrics" / "two.prom").read_text())
    for step in ("extract", "dedup"):
        (totals,) = read_manifest(str(tmp_path / "out" / step)).totals
        counted = {
            outcome: found["corpusmill_documents_total", outcome, step]
            for outcome in ("read", "kept", "excluded", "failed", "unused")
        }
        assert counted == {
            "read": totals.rows_in,
            "kept": totals.kept,
            "excluded": sum(totals.excluded.values()),
            "failed": totals.failed,
            "unused": 0,
        }
        assert found["corpusmill_text_bytes_total", step] == totals.text_bytes > 0
    assert found["corpusmill_shard_failures_total", "quarantined", "extract"] == 1
    assert found["corpusmill_shard_failures_total", "tried_again", "extract"] == 1
    assert found["corpusmill_running",] == 0
    documented = set(re.findall(r"`(corpusmill_\w+)`", PAGE.read_text()))
    assert {name for name, *_ in found} == documented
    events = [json.loads(line) for line in run.stderr.splitlines()]
    stages = {
        name: event for event in events if event["event"] == "stage" for name in event["stages"]
    }
    assert stages["dedup"]["totals"][0]["kept"] == totals.kept
    failures = [event for event in events if event["event"] == "failure"]
    assert [(event["shard"], event["quarantined"]) for event in failures] == [
        ("bad", False),
        ("bad", True),
    ]
    again = corpusmill(*command, "--set", "dedup.seed=x", cwd=tmp_path)
    assert again.returncode == 2
    assert "dedup" in json.loads(again.stderr.splitlines()[-1])["text"]


def test_a_port_serves_them_while_the_run_goes_on():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    metrics = Metrics(Display(), str(port))
    metrics.shard("p", receipt("a", 7))
    metrics.shard("p", receipt("b", 3, reused=True))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        found = samples(answer.read().decode())
    assert found["corpusmill_documents_total", "kept", "s"] == 10
    assert found["corpusmill_shards_total", "reused", "p", "s"] == 1
    assert found["corpusmill_running",] == 1
    with pytest.raises(CorpusmillError, match=f"metrics cannot be given at {port}"):
        Metrics(Display(), str(port))
    metrics.close()


def test_a_file_that_cannot_be_written_is_told_before_the_run(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CorpusmillError, match="choose another file or port for --metrics"):
        Metrics(Display(), str(tmp_path / "file" / "corpusmill.prom"))


def test_a_run_goes_on_if_its_metrics_cannot_be_written_any_more(tmp_path):
    folder = tmp_path / "metrics"
    metrics = Metrics(Display(), str(folder / "corpusmill.prom"))
    (folder / "corpusmill.prom").unlink()
    folder.rmdir()
    metrics.shard("p", receipt("a", 7))
    metrics.close()
    folder.mkdir()
    metrics.close()
    found = samples((folder / "corpusmill.prom").read_text())
    assert found["corpusmill_documents_total", "kept", "s"] == 7
