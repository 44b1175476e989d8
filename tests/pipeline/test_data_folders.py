"""What a folder stands for as an input: its files of data. The others are named."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.listed import list_input
from corpusmill.manifests.manifest import read_manifest, summed_up
from corpusmill.pipeline import display
from corpusmill.pipeline.inputs import expand_inputs
from corpusmill.pipeline.recipe import Recipe, Step
from corpusmill.pipeline.run import run_recipe
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.stages.readers.data_files import (
    ABOUT,
    BESIDE_DATA,
    OTHER_JSON,
    UNKNOWN,
    why_left_out,
)

from tests.stages.readers.warc_bytes import PROSE, page, pages

ROW = b'{"text": "one"}\n'
DATA = {
    "a.txt": PROSE.encode(),
    "b.txt.gz": gzip.compress(PROSE.encode()),
    "c.html": page(),
    "d.jsonl": ROW,
    "e.json": ROW * 3,
    "list.json": b'[{"text": "one"}, {"text": "two"}]',
    "pretty-list.json": b'[\n  {\n    "text": "one"\n  }\n]\n',
    "f.warc.gz": b"".join(pages(2)),
    "notes.md": b"# A note",
    "news-2007.txt": PROSE.encode(),
    **dict.fromkeys(
        ("news.txt", "security.txt", "install.txt", "todo.txt", "changes.txt"), PROSE.encode()
    ),
    **dict.fromkeys(("history.html", "copyright.html", "citation.html"), page()),
    "metadata.txt": PROSE.encode(),
    "part-00000": ROW,
    "part-00001.zst.tmp": ROW,
    "crawl[2007].txt": PROSE.encode(),
    "deep/er/page.htm": page(),
    "archive": b"".join(pages(1, compressed=False)),
}
OTHERS = {
    "README.md": b"# About",
    "README": b"About",
    "readme.txt": b"About",
    "LICENSE": b"You may",
    "LICENSE.txt": b"You may",
    "CHANGELOG.rst": b"1.0",
    "CONTRIBUTING.rst": b"Send",
    "AUTHORS.txt": b"We",
    "NEWS": b"1.0",
    "requirements.txt": b"numpy",
    "metadata.json": b'{"rows": 1}',
    "table.csv": b"text,url\nhello,http://a\n",
    "table.tsv.gz": gzip.compress(b"text\turl\n"),
    "load.py": b"import json\n",
    "run.sh": b"#!/bin/sh\n",
    "app.js": b"var a;",
    "notebook.ipynb": b'{\n "cells": []\n}',
    "dataset_infos.json": b'{"default": {}}',
    "pretty.json": b'{\n  "text": "one"\n}\n',
    "numbers.json": b"[1, 2]",
    "config.yaml": b"a: b\n",
    "crawl.md5": b"d41d8cd98f00b204e9800998ecf8427e  a.txt\n",
    "_SUCCESS": b"",
    "_metadata": b"PAR1....PAR1",
    "picture.png": b"\x89PNG\r\n\x1a\n",
    "paper.pdf": b"%PDF-1.4",
    "many.zip": b"PK\x05\x06" + bytes(18),
    "no-suffix": b"plain words",
}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "in"
    for name, data in (DATA | OTHERS).items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(data)
    return made


@pytest.fixture
def said(monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr(display.current(), "say", lines.append)
    return lines


def read(pattern, tmp_path, **more):
    found = expand_inputs([str(pattern)], str(tmp_path / "out"), InlineRunner(), **more)
    return {artifact.path for artifact in found.artifacts}


def test_a_folder_stands_for_its_files_of_data(folder, tmp_path, said):
    assert read(folder, tmp_path) == {str(folder / name) for name in DATA}
    (line,) = [line for line in said if "left out" in line]
    assert f"left out {len(OTHERS)} files that are no data: " in line
    assert "AUTHORS.txt, CHANGELOG.rst, CONTRIBUTING.rst, LICENSE, LICENSE.txt" in line
    assert line.endswith(f"and {len(OTHERS) - 5} more")


@pytest.mark.parametrize("name", OTHERS)
def test_each_other_file_is_no_data(folder, name):
    assert why_left_out(str(folder / name))


def test_the_manifest_names_the_files_that_are_left_out(folder, tmp_path):
    recipe = Recipe("r", (), (Step("extract", "extract", (str(folder),), {"languages": []}),))
    run_recipe(recipe, str(tmp_path / "out"), InlineRunner(), lambda folder, manifest: None)
    left_out = {
        item["reason"]: item for item in read_manifest(str(tmp_path / "out" / "extract")).left_out
    }
    assert sum(item["files"] for item in left_out.values()) == len(OTHERS)
    assert str(folder / "README.md") in left_out[ABOUT]["paths"]
    assert left_out[OTHER_JSON]["paths"] == [
        str(folder / "numbers.json"),
        str(folder / "pretty.json"),
    ]
    assert left_out[BESIDE_DATA]["files"] == 2
    assert str(folder / "load.py") in left_out[UNKNOWN]["paths"]


def test_of_many_files_left_out_the_manifest_names_some():
    (item,) = summed_up({f"in/{number:03}.csv": UNKNOWN for number in range(100)})
    assert item["files"] == 100
    assert item["paths"] == [f"in/{number:03}.csv" for number in range(20)]


def test_a_glob_without_a_suffix_is_like_a_folder(folder, tmp_path):
    beside = {name for name in DATA if "/" not in name}
    assert read(folder / "*", tmp_path) == {str(folder / name) for name in beside}


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("README.md", ["README.md"]),
        ("table.csv", ["table.csv"]),
        ("*.csv", ["table.csv"]),
        ("*.md", ["README.md", "notes.md"]),
        ("crawl[2007].txt", ["crawl[2007].txt"]),
        ("no-suffix", ["no-suffix"]),
    ],
)
def test_files_that_are_named_are_taken_as_they_are(folder, tmp_path, said, pattern, names):
    assert read(folder / pattern, tmp_path) == {str(folder / name) for name in names}
    odd = [line for line in said if "read as it is" in line]
    assert bool(odd) == (pattern in ("README.md", "table.csv", "no-suffix"))


def test_a_format_in_the_settings_takes_all_files(folder, tmp_path):
    found = read(folder, tmp_path, format="text")
    assert found == {str(folder / name) for name in (*DATA, *OTHERS)}


def test_a_folder_without_data_is_refused_with_the_names(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "table.csv").write_text("text\nhello\n")
    with pytest.raises(InputError, match=r"no file of data, only table\.csv; name the files"):
        read(tmp_path / "in", tmp_path)


def test_a_raw_folder_of_documents_may_have_a_readme(tmp_path):
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "in" / "a.parquet")
    (tmp_path / "in" / "README.md").write_text("About")
    assert read(tmp_path / "in", tmp_path, reads="documents") == {
        str(tmp_path / "in" / "a.parquet")
    }


def test_a_long_first_line_is_json_lines(tmp_path):
    path = tmp_path / "long"
    path.write_text(json.dumps({"text": "word " * 5000}) + "\n")
    assert not why_left_out(str(path))


def test_a_listed_folder_is_what_it_was(folder):
    listed = list_input(str(folder))
    assert isinstance(listed, list)
    assert len(listed) == len(DATA) + len(OTHERS)
