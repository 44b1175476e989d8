"""The source identifies a user's class, the version an installed one."""

import importlib
import sys

import pyarrow.parquet as pq
from corpusmill.manifests.source_code import source_digest

from tests.command_line import corpusmill

FILTER = """
from datatrove.pipeline.filters.base_filter import BaseFilter
from words import WORD


class Without(BaseFilter):
    name = "without"

    def filter(self, document):
        return WORD not in document.text
"""


def test_an_installed_class_is_known_by_its_version():
    from datatrove.pipeline.filters import LambdaFilter

    (line,) = source_digest(LambdaFilter).splitlines()
    assert line.startswith("datatrove ")


def test_a_class_of_the_users_is_known_by_its_source_and_what_that_imports(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)

    def digest(**files):
        for name, source in files.items():
            (tmp_path / f"{name}.py").write_text(source)
        for name in ("own_base", "own_class", "own_words"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return source_digest(importlib.import_module("own_class").Mine)

    own_class = "import own_words\nfrom own_base import Base\n\nclass Mine(Base):\n    pass\n"
    first = digest(own_class=own_class, own_base="class Base: ...", own_words="WORDS = 1")
    assert [line.split()[0] for line in first.splitlines()] == [
        "own_base",
        "own_class",
        "own_words",
    ]
    assert digest() == first
    found = {
        digest(own_words="WORDS = 20"),
        digest(own_base="class Base: pass  # another"),
        digest(own_class=own_class + "# another"),
    }
    assert len({first, *found}) == 4


def test_a_changed_filter_gives_another_result_and_not_the_old_one(tmp_path):
    (tmp_path / "in.jsonl").write_text(
        '{"id": "a", "text": "One text about Kafka."}\n{"id": "b", "text": "One about Proust."}\n'
    )
    (tmp_path / "own.py").write_text(FILTER)

    def kept(word):
        (tmp_path / "words.py").write_text(f"WORD = {word!r}\n")
        block = "{families: [], blocks: [{class: 'own:Without'}]}"
        (tmp_path / "r.yaml").write_text(f"inputs: [in.jsonl]\nstages: [extract, filter: {block}]")
        result = corpusmill("run", "r.yaml", "-o", "out", "--runner", "inline", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        return [
            text
            for file in sorted((tmp_path / "out" / "filter" / "documents").rglob("*.parquet"))
            for text in pq.read_table(file)["text"].to_pylist()
        ]

    assert kept("Kafka") == ["One about Proust."]
    assert kept("Proust") == ["One text about Kafka."]
