"""A whole recipe from `s3://` to `s3://` on a store that fails: the bytes of a local run."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from corpusmill.manifests import finding, storage
from corpusmill.manifests.yaml_text import parse_yaml

from tests.command_line import ROOT, corpusmill, error_lines
from tests.object_store import SHARES, object_store

RECIPE = Path(__file__).with_name("kill.yaml")
CRAWL = "samples/crawl/flink-000.warc.gz"
NO_DATA = ("report.html", "train/log.jsonl")
# Ids of JSON lines hold the path of the file, unless their reader names the source.
NAMED = (
    *("--set", "quality.reader.source=books"),
    *("--set", "blend.sources.math.reader.source=problems"),
)
LEFT_OUT = ("synthesize", "train", "export")
INPUTS = (CRAWL, "samples/reference/books.jsonl.zst", "samples/math/word_problems.jsonl.zst")


def recipe_for(place, folder):
    """The recipe with its inputs at `place`. They are copied there."""
    for name in INPUTS:
        storage.copy(str(ROOT / name), f"{place}/{name}")
    return written(RECIPE.read_text().replace("package:samples", f"{place}/samples"), folder)


def written(recipe, folder, left_out=()):
    """The recipe as a file, without some steps. Its blend needs no answers, because the
    post-filters may keep none.
    """
    path = folder / "recipe.yaml"
    found = parse_yaml(recipe)
    found["stages"] = [step for step in found["stages"] if step.keys().isdisjoint(left_out)]
    (blend,) = (step["blend"] for step in found["stages"] if "blend" in step)
    del blend["sources"]["synthetic"]
    path.write_text(json.dumps(found))
    return path


def data_of(output):
    """Every data file below `output`: its name -> its bytes. Of manifests: the counts."""
    found: dict[str, Any] = {}
    for path in finding.files_below(output):
        name = path.removeprefix(f"{output}/")
        if "/work/" in name or "/receipts/" in name or name in NO_DATA:
            continue
        found[name] = storage.read_bytes(path)
        if name.endswith("/manifest.json"):
            totals = json.loads(found[name])["totals"]
            found[name] = [{**counts, "seconds": 0} for counts in totals]
    return found


def without_places(name, content, place):
    """A data file's content. Of documents: their rows, with `origin.file` as if `place` were here.

    Only `origin` says where a crawl lay, so all other files keep their bytes.
    """
    if not name.endswith(".parquet"):
        return content
    table = pq.read_table(io.BytesIO(content))
    if "origin" not in table.column_names:
        return content
    rows = table.to_pylist()
    for row in rows:
        if row["origin"] is not None:
            row["origin"]["file"] = row["origin"]["file"].replace(place, "", 1)
    return rows


def assert_same(found, expected):
    assert sorted(found) == sorted(expected)
    assert len(expected) > 25
    assert [name for name in expected if found[name] != expected[name]] == []


@pytest.mark.timeout(900)
def test_a_store_that_fails_changes_no_byte(tmp_path):
    """It is down for a while, too. Then the run ends, and the same command goes on."""
    with object_store(seed=7) as (_, faults):
        recipe = recipe_for("s3://bucket/in", tmp_path)
        command = ["run", str(recipe), "--runner", "inline", *NAMED, "--output"]
        local = corpusmill(*command, tmp_path / "out", cwd=tmp_path)
        assert local.returncode == 0, local.stderr
        # Not the errors that a client with two attempts may not survive: it is to meet the outage.
        faults.shares = {fault: SHARES[fault] for fault in SHARES if fault not in ("error", "lost")}
        faults.down_after = faults.requests + 600
        stopped = corpusmill(*command, "s3://bucket/out", cwd=tmp_path, AWS_MAX_ATTEMPTS="2")
        assert stopped.returncode == 2, stopped.stderr
        assert "Traceback" not in stopped.stderr
        assert "run the same command again" in error_lines(stopped.stderr)[-1]
        assert faults.injected["down"] > 0
        faults.down, faults.down_after, faults.shares = False, None, SHARES
        assert storage.exists("s3://bucket/out/extract/manifest.json")
        finished = corpusmill(*command, "s3://bucket/out", cwd=tmp_path)
        assert finished.returncode == 0, finished.stderr
        checked = corpusmill("verify", "s3://bucket/out", cwd=tmp_path)
        assert checked.returncode == 0, checked.stdout
        faults.shares = {}
        print(f"{faults.requests} requests, injected {dict(faults.injected)}")
        assert min(faults.injected[fault] for fault in SHARES) > 0
        found = data_of("s3://bucket/out")
        assert_same(found, data_of(str(tmp_path / "out")))
    # Without any store: the same bytes, but for the origins. `train` and `export` read what `pack`
    # wrote, and nothing reads the rows of `synthesize` here.
    recipe = written(RECIPE.read_text().replace("package:", f"{ROOT}/"), tmp_path, LEFT_OUT)
    alone = corpusmill("run", str(recipe), *command[2:], tmp_path / "alone", cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr
    expected = data_of(str(tmp_path / "alone"))
    assert any(name.startswith("pack/") for name in expected)
    places = {
        name: without_places(name, one, "s3://bucket/in")
        for name, one in found.items()
        if name.split("/")[0] not in LEFT_OUT
    }
    assert_same(
        places,
        {name: without_places(name, one, str(ROOT)) for name, one in expected.items()},
    )
    assert sum(without_places(name, one, "") is one for name, one in expected.items()) > 20
