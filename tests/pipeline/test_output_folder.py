"""Where a stage must not write: its input, another stage's folder, another program's files."""

import json
import os
import shutil

import pytest
from corpusmill.manifests import finding, storage
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.looking.verify import verify
from corpusmill.manifests.manifest import OtherVersion, read_manifest
from corpusmill.pipeline.recipe import Recipe, Step
from corpusmill.pipeline.run import run_recipe, run_step
from corpusmill.pipeline.runner import InlineRunner


@pytest.fixture
def out(tmp_path, monkeypatch):
    """`crawl/a.jsonl`, read into `out/extract`. The tests run in the folder that holds both."""
    (tmp_path / "crawl").mkdir()
    rows = [
        json.dumps({"id": f"a{number}", "text": f"{number} some text " * 20}) for number in range(4)
    ]
    (tmp_path / "crawl" / "a.jsonl").write_text("\n".join(rows) + "\n")
    monkeypatch.chdir(tmp_path)
    stage("extract", "crawl", "out/extract")
    return tmp_path / "out"


def stage(verb, read, written, replace=False, **settings):
    return run_step(Step(verb, verb, (), settings), (read,), written, InlineRunner(), replace)


def files(folder):
    return {path: storage.digest_of(path) for path in finding.files_below(str(folder))}


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize(
    ("read", "written", "message"),
    [
        ("out/extract", "out/extract", "is read and written"),
        ("out/linked", "out/extract", "is read and written"),
        ("out/extract/documents", "out/extract", "lies in the folder that is written"),
        ("out/extract/documents/*.parquet", "out/extract", "lies in the folder that is written"),
        ("out/extract", "out/extract/more", "lies in a folder that is read"),
        ("out/extract", "out/extract/work/more", "lies in a folder that is read"),
    ],
)
def test_what_is_read_is_not_written(out, read, written, message, replace):
    os.symlink("extract", out / "linked")
    before = files(out)
    with pytest.raises(CorpusmillError, match=rf"{message}.*--output"):
        stage("extract", read, written, replace)
    assert files(out) == before


def test_a_folder_of_raw_files_takes_no_output_that_would_be_read_next_time(out):
    for written in ("crawl", "crawl/out"):
        with pytest.raises(CorpusmillError, match="--output"):
            stage("extract", "crawl", written)
    assert os.listdir("crawl") == ["a.jsonl"]
    assert stage("extract", "crawl/*.jsonl", "crawl/out").totals[0].rows_in == 4


def test_a_recipe_does_not_write_into_what_it_reads(out):
    recipe = Recipe("r", ("crawl",), (Step("extract", "extract"),))
    with pytest.raises(CorpusmillError, match="lies in a folder that is read"):
        run_recipe(recipe, "crawl/run", InlineRunner(), lambda *_: None)
    recipe = Recipe("r", ("out/extract",), (Step("filter", "filter"),))
    with pytest.raises(CorpusmillError, match="lies in the folder of another stage"):
        run_recipe(recipe, "out/extract", InlineRunner(), lambda *_: None)


def test_other_stages_folders_are_no_stages_folder(out):
    before = files(out)
    with pytest.raises(
        CorpusmillError, match=r"holds the folders of other stages \(extract\).*out/NAME"
    ):
        stage("extract", "crawl", "out")
    stage("filter", "out/extract", "out/filter")
    with pytest.raises(
        CorpusmillError, match=r"lies in the folder of another stage.*out/filter-dedup"
    ):
        stage("dedup", "out/extract", "out/filter/dedup")
    assert before.items() <= files(out).items()


@pytest.mark.parametrize("output", ["", " "])
def test_an_empty_output_is_refused(out, output):
    with pytest.raises(CorpusmillError, match="--output is empty"):
        stage("extract", "crawl", output)


@pytest.mark.parametrize("given", ["", " "])
def test_an_empty_input_is_refused(out, given):
    with pytest.raises(CorpusmillError, match="an input is empty"):
        stage("extract", given, "out/extract")


def test_an_output_that_can_only_be_read_is_refused(out):
    with pytest.raises(CorpusmillError, match="http://localhost:1/x can be read only"):
        stage("extract", "crawl", "http://localhost:1/x")


@pytest.mark.parametrize("name", ["manifest.json", "documents/mine.parquet", "excluded/notes.txt"])
def test_files_of_other_programs_are_not_overwritten_unasked(out, name):
    mine = out.parent / "mine" / name
    mine.parent.mkdir(parents=True)
    mine.write_text('{"name": "my app"}')
    with pytest.raises(
        CorpusmillError, match=f"holds {name.split('/')[0]}, which no stage wrote.*--replace"
    ):
        stage("extract", "crawl", "mine")
    assert mine.read_text() == '{"name": "my app"}'
    assert stage("extract", "crawl", "mine", replace=True).totals[0].kept == 4


def test_work_of_another_version_is_named_and_not_thrown_away_unasked(out):
    path = out / "extract" / "manifest.json"
    record = json.loads(path.read_text())
    del record["software"]
    path.write_text(json.dumps({**record, "version": "0.0.1"}))
    before = files(out)
    with pytest.raises(
        OtherVersion,
        match=r"another version .* wrote .* \(its manifest differs in software, version\)",
    ):
        stage("extract", "crawl", "out/extract")
    assert files(out) == before
    assert any("another version of corpusmill" in problem for problem in verify("out").problems)
    stage("extract", "crawl", "out/extract", replace=True)
    assert read_manifest("out/extract").totals[0].kept == 4
    assert verify("out").problems == []


def test_an_input_that_changed_without_changing_its_size_is_not_read(out):
    (shard,) = read_manifest("out/extract").documents()
    shutil.copy(shard.path, "kept")
    with open(shard.path, "r+b") as file:
        file.seek(shard.size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(CorpusmillError, match="has changed since it was written"):
        stage("filter", "out/extract", "out/filter")
    shutil.copy("kept", shard.path)
    assert stage("filter", "out/extract", "out/filter", families=[]).totals[0].kept == 4
    assert verify("out").problems == []


def test_an_input_that_no_step_reads_is_refused(out):
    recipe = Recipe("r", ("crawl/*.jsonl",), (Step("extract", "extract", ("out/extract",)),))
    with pytest.raises(
        CorpusmillError, match=r"no step reads the recipe's input \(crawl/\*.jsonl\)"
    ):
        run_recipe(recipe, "run", InlineRunner(), lambda *_: None)
