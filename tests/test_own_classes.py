"""Stages, filters, readers and scorers of a user's own, named by `module:Class` in a recipe."""

import sys
import textwrap

import corpusmill
import pytest
from corpusmill.classifiers.own import OwnScorerSettings
from corpusmill.manifests.errors import ModelError
from corpusmill.manifests.looking.trace import origin_of, trace
from corpusmill.stages.readers import locate

CODE = '''
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from corpusmill import DocumentFilter, MapStage, Outcome, OwnReader, OwnScorer


class Shout(MapStage):
    """Writes every text in capitals."""

    name: ClassVar[str] = "shout"

    mark: str = "!"
    """Put behind every text."""

    def apply(self, table: pa.Table) -> Outcome:
        text = pc.binary_join_element_wise(pc.utf8_upper(table["text"]), self.mark, "")
        loud = table.set_column(table.column_names.index("text"), "text", text)
        return Outcome.keeping(loud)


class FewQuestions(DocumentFilter):
    name: ClassVar[str] = "few_questions"

    most: int = 1

    def judge(self, document: Mapping[str, Any]) -> str | None:
        return "many" if document["text"].count("?") > self.most else None


class Blocks(OwnReader):
    """Documents that lie between lines of the mark."""

    mark: str = "----"

    def records(self, path: str, file: IO[bytes]) -> Iterator[Mapping[str, Any]]:
        for number, block in enumerate(file.read().decode().split(self.mark + chr(10))):
            yield {"text": block.strip(), "id": f"block-{number}", "url": f"https://a.example/{number}"}


class Lines(OwnReader):
    """A document a line."""

    def records(self, path: str, file: IO[bytes]) -> Iterator[Mapping[str, Any]]:
        for line in file:
            yield {"text": int(line) if line.strip().isdigit() else line.decode()}


class Length(OwnScorer):
    factor: float = 1.0

    def score(self, texts: Sequence[str]) -> Sequence[float]:
        return [self.factor * len(text) for text in texts]


class First(OwnScorer):
    def score(self, texts: Sequence[str]) -> Sequence[float]:
        return [1.0]


class Ragged(OwnScorer):
    def score(self, texts: Sequence[str]) -> Sequence[float]:
        return [[1.0], [1.0, 2.0]]


class Nothing:
    pass
'''
RECIPE = """
name: own
stages:
  - extract: {{min_text_chars: 0, reader: {{own: "{module}:Blocks"}}}}
  - "{module}:FewQuestions": {{most: 2}}
  - "{module}:Shout": {{name: loud}}
  - classify:
      scorers: {{length: {{kind: own, scorer: "{module}:Length", settings: {{factor: 2.0}}}}}}
"""


@pytest.fixture
def module(tmp_path, monkeypatch, request):
    """A module with the classes, in a folder on the path. Its name is that of no other test."""
    name = f"own_{abs(hash(request.node.name)) % 10**8}"
    (tmp_path / f"{name}.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    sys.modules.pop(name, None)


@pytest.fixture
def pages(tmp_path):
    (tmp_path / "pages.blocks").write_text(
        "The river is long.\n----\nWhy? Who? Where? When?\n----\nThe town is small, is it not?\n"
    )
    return str(tmp_path / "pages.blocks")


def test_a_recipe_runs_them_like_shipped_ones(module, pages, tmp_path):
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(module=module))
    output = str(tmp_path / "out")
    corpusmill.run(str(tmp_path / "recipe.yaml"), output, inputs=[pages], runner="inline")
    run = corpusmill.open(output)
    assert run.stages == ["extract", "loud", "classify"]
    rows = run.stage("classify").documents().arrow().to_pylist()
    assert {row["text"] for row in rows} == {
        "THE RIVER IS LONG.!",
        "THE TOWN IS SMALL, IS IT NOT?!",
    }
    assert {row["score_length"] for row in rows} == {38.0, 60.0}
    assert {row["url"] for row in rows} == {"https://a.example/0", "https://a.example/2"}
    (dropped,) = run.stage("loud").documents(excluded=True).arrow().to_pylist()
    assert (dropped["stage"], dropped["reason"]) == ("few_questions", "few_questions.many")
    assert not corpusmill.verify(output).problems


def test_a_scorer_gives_a_number_for_each_text(module):
    texts = ["a", "bc"]
    assert OwnScorerSettings(scorer=f"{module}:Length").score(texts).tolist() == [1.0, 2.0]
    with pytest.raises(ModelError, match=r"First gave scores of shape \(1,\) for 2 texts"):
        OwnScorerSettings(scorer=f"{module}:First").score(texts)
    with pytest.raises(ModelError, match="Ragged gave something else than numbers"):
        OwnScorerSettings(scorer=f"{module}:Ragged").score(texts)


def test_their_settings_are_checked_with_the_same_words(module, pages, tmp_path):
    def refused(verb, settings):
        with pytest.raises(corpusmill.CorpusmillError) as caught:
            corpusmill.run_stage(verb, str(tmp_path / "no"), inputs=[pages], settings=settings)
        return str(caught.value)

    assert refused(f"{module}:Shout", {"mrk": "?"}) == "unknown key shout.mrk; did you mean 'mark'?"
    assert "few_questions.most is 'x'; wanted: int" in refused(
        f"{module}:FewQuestions", {"most": "x"}
    )
    assert "factr" in refused(
        "classify",
        {"scorers": {"a": {"kind": "own", "scorer": f"{module}:Length", "settings": {"factr": 1}}}},
    )
    assert "did you mean 'mark'" in refused(
        "extract", {"reader": {"own": f"{module}:Blocks", "own_settings": {"marc": "x"}}}
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Shuot", r"has no stage 'Shuot'; did you mean 'Shout'\?"),
        ("Nothing", r"is no stage; derive it from corpusmill.stages.contract:Stage"),
        ("Length", r"is no stage"),
    ],
)
def test_a_class_that_is_not_there_or_no_stage_is_refused(module, pages, tmp_path, name, said):
    with pytest.raises(corpusmill.CorpusmillError, match=said):
        corpusmill.run_stage(f"{module}:{name}", str(tmp_path / "no"), inputs=[pages])


def test_a_module_that_is_not_there_is_refused(pages, tmp_path):
    with pytest.raises(corpusmill.CorpusmillError, match="put its folder into PYTHONPATH"):
        corpusmill.run_stage("no_such_module:Stage", str(tmp_path / "no"), inputs=[pages])


def test_changed_code_makes_the_work_again(module, pages, tmp_path):
    def made():
        manifest = corpusmill.run_stage(
            f"{module}:Shout",
            str(tmp_path / "loud"),
            inputs=[str(tmp_path / "extract")],
            runner="inline",
            replace=True,
        )
        return manifest.work.made, manifest.plan_hash

    corpusmill.run_stage(
        "extract",
        str(tmp_path / "extract"),
        inputs=[pages],
        settings={"min_text_chars": 0, "reader": {"own": f"{module}:Blocks"}},
        runner="inline",
    )
    (shards, first), (again, same) = made(), made()
    assert (shards, again) == (1, 0)
    assert first == same
    source = tmp_path / f"{module}.py"
    source.write_text(source.read_text() + textwrap.dedent("\nOTHER = 1\n"))
    shards, other = made()
    assert shards == 1
    assert other != first


def read_lines(module, tmp_path, content):
    (tmp_path / "some.lines").write_bytes(content)
    settings = {"reader": {"own": f"{module}:Lines"}, "min_text_chars": 0, "languages": []}
    inputs, out = [str(tmp_path / "some.lines")], str(tmp_path / "out")
    corpusmill.run_stage("extract", out, inputs=inputs, settings=settings, runner="inline")
    return corpusmill.open(out).stage("out").documents().arrow()["text"].to_pylist()


def test_a_reader_may_read_lines(module, tmp_path):
    assert [text.strip() for text in read_lines(module, tmp_path, b"one\ntwo\n")] == ["one", "two"]


def test_a_reader_that_gives_no_text_is_told_so(module, tmp_path):
    with pytest.raises(corpusmill.CorpusmillError, match="it gave int as 'text', not str"):
        read_lines(module, tmp_path, b"one\n2\n")


def test_a_reader_that_fails_names_the_file(module, tmp_path):
    (tmp_path / "bad.blocks").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(corpusmill.CorpusmillError, match=rf"{module}:Blocks cannot read .*bad"):
        corpusmill.run_stage(
            "extract",
            str(tmp_path / "out"),
            inputs=[str(tmp_path / "bad.blocks")],
            settings={"reader": {"own": f"{module}:Blocks"}},
            runner="inline",
        )


def test_the_record_of_a_reader_of_ones_own_is_what_it_gave(module, pages, tmp_path):
    """Also if the stage that read the file lies elsewhere. A JSON file is no JSON line here."""
    reader = {"own": f"{module}:Blocks", "own_settings": {"mark": "===="}}
    settings = {"min_text_chars": 0, "languages": [], "reader": reader}
    source = tmp_path / "blocks.jsonl"
    source.write_text("first\n====\nsecond\n====\n")
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    corpusmill.run_stage("extract", first, inputs=[str(source)], settings=settings, runner="inline")
    corpusmill.run_stage(f"{module}:Shout", second, inputs=[first], runner="inline")
    for folder in (first, second):
        found = trace(folder, "https://a.example/1")
        assert locate(origin_of(found)) == b"second"
    source.write_text("first\n")
    with pytest.raises(corpusmill.CorpusmillError, match="finds no document 1 in"):
        locate(origin_of(found))


def test_a_document_of_ones_own_reader_may_be_too_large(module, pages, tmp_path):
    settings = {
        "min_text_chars": 0,
        "languages": [],
        "reader": {"own": f"{module}:Blocks", "max_payload_bytes": 20},
    }
    out = str(tmp_path / "out")
    corpusmill.run_stage("extract", out, inputs=[pages], settings=settings, runner="inline")
    run = corpusmill.open(out).stage("out")
    assert run.documents().arrow()["text"].to_pylist() == ["The river is long."]
    excluded = run.documents(excluded=True).arrow().to_pylist()
    assert {row["reason"] for row in excluded} == {"page.too_large"}
    assert "row 1: 22 bytes > 20" in excluded[0]["detail"]
