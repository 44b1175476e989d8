"""Damaged input of every kind, through the command line.

Each ends in one line that names the file and what to do, or in a row of `excluded/` with its
reason. The rest of the run goes on, and `verify` holds.
"""

import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.schema import DOCUMENT, actual_id, conform

from tests.command_line import ROOT, corpusmill, error_lines
from tests.stages.engines.scripted_server import answer as completion
from tests.stages.engines.scripted_server import serving
from tests.stages.readers.warc_bytes import PROSE, answer, page, pages, record

CLEAN = (
    "The river rose during the night and covered the lower fields. In the morning many people "
    "walked to the bridge to see it. They remembered earlier floods, which had closed the road for "
    "a week. A farmer said that his sheep were safe on the hill, and that the water would fall "
    "before the next market day."
)
TINY_MODEL = ROOT / "models" / "tiny"


def refused(result):
    """The one line that answers a user's mistake."""
    assert result.returncode == 2, result.stderr
    (line,) = error_lines(result.stderr)
    return line


def excluded(folder):
    return [
        row
        for path in sorted((folder / "excluded").rglob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]


def documents(path, **columns):
    rows = {
        "id": [actual_id("test", str(path), row) for row in range(2)],
        "text": [PROSE * 3, PROSE * 4],
    } | columns
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(conform(pa.table(rows), DOCUMENT), path)
    return path


# --- the crawl


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """A crawl of every kind of damage beside a good file, extracted and filtered."""
    folder = tmp_path_factory.mktemp("damaged")
    crawl = folder / "crawl"
    crawl.mkdir()
    members = pages(3)
    plain = b"".join(pages(3, compressed=False))
    files = {
        "good.warc.gz": b"".join(members),
        "truncated.warc.gz": b"".join(members)[:-40],
        "cut.warc": plain[: len(plain) - 300],
        "empty.warc.gz": b"",
        "no-archive.warc.gz": gzip.compress(b"\x00\x01 no archive at all " * 50),
        "one-line.warc": record(1, answer(page("word " * 10_000_000))),
        "not-utf8.warc": record(1, answer(page(PROSE * 3).replace(b"river", b"r\xff\xfe\xe9ver"))),
        "nul.warc": record(1, answer(page(PROSE * 3).replace(b"river", b"ri\x00ver"))),
        "bomb.warc": record(1, answer(b"<html><body>" + b"<div>" * 100_000 + PROSE.encode()))
        + plain,
    }
    for name, data in files.items():
        (crawl / name).write_bytes(data)
    (folder / "recipe.yaml").write_text(
        "stages:\n- extract: {languages: [en]}\n- filter: {families: []}\n", encoding="utf-8"
    )
    result = corpusmill(
        "run",
        "recipe.yaml",
        "--input",
        "crawl",
        "--output",
        "out",
        "--runner",
        "inline",
        cwd=folder,
    )
    return folder, result


def test_a_damaged_crawl_costs_its_damaged_parts_only(damaged):
    folder, result = damaged
    # One file is no archive. It is quarantined, and the exit code says so.
    assert result.returncode == 3, result.stderr
    assert "Traceback" not in result.stderr
    kept = {
        path.stem: pq.read_table(path).num_rows
        for path in (folder / "out/filter/documents").glob("*.parquet")
    }
    assert kept == {
        "good": 3,
        "truncated": 2,
        "cut": 2,
        "empty": 0,
        "one-line": 0,
        "not-utf8": 1,
        "nul": 1,
        "bomb": 4,
    }


def test_each_damage_is_a_row_with_its_reason(damaged):
    folder, _ = damaged
    found = {
        (Path(row["origin"]["file"]).name, row["reason"])
        for row in excluded(folder / "out/extract")
    }
    assert {name for name, reason in found if reason.startswith("error_read.")} >= {
        "truncated.warc.gz",
        "cut.warc",
    }
    assert ("one-line.warc", "page.too_large") in found
    # 100,000 nested tags are read like any page.
    assert not any(name == "bomb.warc" for name, _ in found)


def test_the_file_that_is_no_archive_is_named_in_its_receipt(damaged):
    folder, _ = damaged
    receipt = json.loads((folder / "out/extract/receipts/extract/no-archive.json").read_text())
    assert receipt["status"] == "quarantined"
    assert "no-archive.warc.gz" in receipt["error"]


def test_verify_holds_over_a_damaged_crawl(damaged):
    folder, _ = damaged
    result = corpusmill("verify", "out", cwd=folder)
    assert result.returncode == 3, result.stdout  # a file that is no archive is quarantined
    assert "all hold; 1 shard is quarantined" in result.stdout


# --- documents from elsewhere


def test_a_missing_column_is_one_line_with_the_file_and_the_column(tmp_path):
    pq.write_table(pa.table({"id": ["a"], "content": ["text"]}), tmp_path / "other.parquet")
    line = refused(
        corpusmill("filter", "-i", "other.parquet", "-o", "out", "--runner", "inline", cwd=tmp_path)
    )
    assert "other.parquet" in line
    assert "text" in line


def test_a_column_of_the_wrong_type_is_one_line_with_the_column(tmp_path):
    table = pq.read_table(documents(tmp_path / "in" / "a.parquet"))
    wrong = table.set_column(table.schema.get_field_index("text"), "text", pa.array([[1], [2]]))
    pq.write_table(wrong, tmp_path / "wrong.parquet")
    line = refused(
        corpusmill("filter", "-i", "wrong.parquet", "-o", "out", "--runner", "inline", cwd=tmp_path)
    )
    assert "text" in line


@pytest.mark.parametrize("verb", ["filter", "dedup", "substring", "synthesize"])
@pytest.mark.parametrize(
    ("name", "what"), [("pages.warc.gz", "a WARC file"), ("rows.jsonl", "JSON lines")]
)
def test_a_file_that_goes_through_extract_first_is_refused_with_the_command(
    tmp_path, verb, name, what
):
    (tmp_path / name).write_bytes(b"".join(pages(2)) if "warc" in name else b'{"text": "a"}\n')
    line = refused(corpusmill(verb, "-i", name, "-o", "out", "--runner", "inline", cwd=tmp_path))
    assert f"{name} is {what}, not Parquet; run `corpusmill extract` on it first" in line
    assert not (tmp_path / "out").exists()


def test_what_a_stage_dropped_is_no_input_of_the_next(tmp_path):
    documents(tmp_path / "old" / "documents" / "a.parquet")
    documents(tmp_path / "old" / "excluded" / "a.parquet")
    command = ("filter", "-o", "out", "--runner", "inline", "-i")
    line = refused(corpusmill(*command, "old", cwd=tmp_path))
    assert "old looks like a stage's output but has no manifest.json and no receipts" in line
    assert corpusmill(*command, "old/documents", cwd=tmp_path).returncode == 0


def test_one_unreadable_file_among_good_ones_is_quarantined(tmp_path):
    documents(tmp_path / "in" / "good.parquet")
    (tmp_path / "in" / "bad.parquet").write_bytes(b"PAR1 and then nothing")
    result = corpusmill("filter", "-i", "in", "-o", "out", "--runner", "inline", cwd=tmp_path)
    assert result.returncode == 3
    assert corpusmill("verify", "out", cwd=tmp_path).returncode == 3


# --- language models


def synthesize(folder, *settings, **environment):
    documents(folder / "in" / "a.parquet", level=["low", "low"])
    assignments = [part for setting in settings for part in ("--set", f"synthesize.{setting}")]
    return corpusmill(
        "synthesize",
        "-i",
        "in",
        "-o",
        "out",
        "--runner",
        "inline",
        *assignments,
        cwd=folder,
        **environment,
    )


def engine(url, **more):
    fields = {
        "kind": "openai",
        "url": url,
        "model": "m",
        "tokenizer_name": str(TINY_MODEL),
        "context": 2048,
        **more,
    }
    return f"engine={json.dumps(fields)}"


def test_a_server_that_is_down_is_named_with_its_address(tmp_path):
    result = synthesize(tmp_path, engine("http://127.0.0.1:9/v1", attempts=2, backoff_seconds=0.01))
    line = refused(result)
    assert "http://127.0.0.1:9/v1" in line


@pytest.mark.parametrize("status", [429, 500])
def test_a_server_that_is_always_busy_or_broken_stops_the_stage_with_one_line(tmp_path, status):
    with serving(lambda prompt, attempt: (status, {}, b"not now")) as server:
        line = refused(synthesize(tmp_path, engine(server.url, attempts=2, backoff_seconds=0.01)))
    assert str(status) in line
    assert server.url in line


def test_a_server_that_was_busy_at_first_costs_nothing(tmp_path):
    def behave(prompt, attempt):
        return (429, {}, b"later") if attempt == 1 else completion(f"Rewritten text:\n{CLEAN}")

    with serving(behave) as server:
        result = synthesize(tmp_path, engine(server.url, backoff_seconds=0.01))
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[3:5] == ["2", "kept"]


def test_garbage_from_a_server_is_excluded_rows(tmp_path):
    with serving(
        lambda prompt, attempt: (200, {"content-type": "application/json"}, b"<html>busy</html>")
    ) as server:
        result = synthesize(tmp_path, engine(server.url, attempts=2, backoff_seconds=0.01))
    assert "Traceback" not in result.stderr
    if result.returncode == 2:  # no request got an answer: the error names the server
        assert server.url in refused(result)
    else:
        assert {row["reason"].split(".")[0] for row in excluded(tmp_path / "out")} == {
            "error_synthesize"
        }


def test_a_prompt_without_its_placeholder_is_one_line_with_the_file(tmp_path):
    text = (ROOT / "prompts" / "rephrase.md").read_text(encoding="utf-8").replace("{document}", "")
    (tmp_path / "mine.md").write_text(text, encoding="utf-8")
    line = refused(synthesize(tmp_path, "routes={low: [./mine.md]}"))
    assert "mine.md" in line
    assert "{document}" in line


def test_a_model_folder_without_a_tokenizer_is_one_line_with_the_folder(tmp_path):
    (tmp_path / "model").mkdir()
    shutil.copy(TINY_MODEL / "config.json", tmp_path / "model")
    line = refused(synthesize(tmp_path, 'engine={"model": "model"}'))
    assert "model" in line
    assert "tokenizer" in line


# --- the disk


@pytest.mark.parametrize(
    ("output", "named"),
    [("file", "file is no folder"), ("file/out", "file is no folder"), ("/proc/out", "/proc/out")],
)
def test_an_output_that_can_be_no_folder_is_refused(tmp_path, output, named):
    documents(tmp_path / "in" / "a.parquet")
    (tmp_path / "file").write_text("mine")
    line = refused(
        corpusmill("filter", "-i", "in", "-o", output, "--runner", "inline", cwd=tmp_path)
    )
    assert named in line
    assert "choose another --output" in line


@pytest.fixture
def small_disk(tmp_path):
    """A command prefix that runs a command where `tmp_path/small` is a disk of one megabyte."""
    (tmp_path / "small").mkdir()
    prefix = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount = f"mount -t tmpfs -o size=1m none {tmp_path}/small"
    if (
        not shutil.which("unshare")
        or subprocess.run([*prefix, mount], capture_output=True).returncode
    ):
        pytest.skip("this machine lets nobody mount a small disk")
    return [*prefix, f'{mount} && exec "$@"', "sh"]


def test_a_full_disk_is_one_line_and_the_same_command_goes_on_when_there_is_room(
    tmp_path, small_disk
):
    rows = 400
    noise = [os.urandom(3000).hex() for _ in range(rows)]  # a megabyte even when compressed
    table = pa.table({"id": [actual_id("test", "disk", row) for row in range(rows)], "text": noise})
    pq.write_table(conform(table, DOCUMENT), tmp_path / "large.parquet")
    documents(tmp_path / "in" / "a.parquet")
    arguments = ("filter", "-i", "in/*.parquet", "-i", "large.parquet", "--runner", "inline", "-o")
    line = refused(corpusmill(*arguments, "small/out", cwd=tmp_path, prefix=small_disk))
    assert "No space left" in line
    assert "run the same command again" in line
    result = corpusmill(*arguments, "roomy/out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert corpusmill("verify", "roomy/out", cwd=tmp_path).returncode == 0


def test_an_input_that_cannot_be_read_is_one_line(tmp_path):
    (tmp_path / "in").mkdir()
    os.symlink("nowhere", tmp_path / "in" / "a.jsonl")
    line = refused(corpusmill("extract", "-i", "in", "-o", "out", cwd=tmp_path))
    assert "in/a.jsonl is a link to a file that is gone; restore the file" in line
    line = refused(corpusmill("extract", "-i", "/proc/self/mem", "-o", "out", cwd=tmp_path))
    assert "/proc/self/mem cannot be read (Input/output error); check the file" in line
