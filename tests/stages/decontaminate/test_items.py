"""Reading evaluation sets: public layouts are known by their fields, others are named."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.errors import InputError, RecipeError
from corpusmill.stages.decontaminate.items import read_items
from corpusmill.stages.decontaminate.layouts import Role, layout_of, parts_of
from corpusmill.stages.decontaminate.settings import EvaluationSet

Q, A, P, T = Role.QUESTION, Role.ANSWER, Role.PASSAGE, Role.TEXT
LONG = " ".join(f"word{number}" for number in range(60))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"question": "q", "answer": "a <<1+1=2>>2"}, [(Q, "q"), (A, "a 2")]),
        ({"query": "q", "choices": ["x", "y"], "gold": 1}, [(Q, "q"), (A, "y")]),
        ({"ctx": "q", "endings": ["x", "y"], "label": "1"}, [(Q, "q"), (A, "y")]),
        ({"goal": "q", "sol1": "x", "sol2": "y", "label": 0}, [(Q, "q"), (A, "x")]),
        (
            {"sentence": "so _ ran", "option1": "Al", "option2": "Bo", "answer": "2"},
            [(Q, "so   ran"), (A, "Bo")],
        ),
        (
            {
                "question": "q",
                "choices": {"text": ["x", "y"], "label": ["1", "2"]},
                "answerKey": "2",
            },
            [(Q, "q"), (A, "y")],
        ),
        ({"question": "q", "choices": ["x", "y"], "answer": 0}, [(Q, "q"), (A, "x")]),
        ({"question": "q", "options": ["x", "y"], "answer": "B"}, [(Q, "q"), (A, "y")]),
        (
            {"context": LONG, "question": "q", "answers": {"text": ["a"], "answer_start": [1]}},
            [(Q, "q"), (P, LONG), (A, "a")],
        ),
        ({"passage": LONG, "question": "q", "answer": True}, [(Q, "q"), (P, LONG), (A, "yes")]),
        ({"contexts": ["x", "y"], "continuation": "a", "gold": 1}, [(Q, "y"), (A, "a")]),
        ({"prompt": "q", "canonical_solution": "a", "test": "t"}, [(Q, "q"), (A, "a")]),
        ({"text": "q", "code": "a"}, [(Q, "q"), (A, "a")]),
        ({"problem": "q", "solution": "a"}, [(Q, "q"), (A, "a")]),
        ({"input": "q", "target": "a"}, [(Q, "q"), (A, "a")]),
        ({"text": "t"}, [(T, "t")]),
        (
            {"query": f"Passage: {LONG}\nQuestion: q", "choices": ["x"], "gold": 0},
            [(P, f"{LONG}\n"), (Q, "q"), (A, "x")],
        ),
    ],
)
def test_public_layouts_are_known(row, expected):
    assert parts(row) == expected


def parts(row):
    layout = layout_of(row)
    assert layout is not None
    return [tuple(part) for part in parts_of(row, layout)]


def test_a_short_context_belongs_to_the_question():
    row = {"query": "Context: Al fell.\nQuestion: Why?", "choices": ["x"], "gold": 0}
    assert parts(row) == [(Q, "Al fell.\n"), (Q, "Why?"), (A, "x")]


def test_an_unknown_gold_gives_no_answer():
    row = {"query": "q", "choices": ["x", "y"], "gold": -1}
    assert parts(row) == [(Q, "q")]


ROWS = [{"id": "a", "question": "q0", "answer": "a0"}, {"question": "q1", "answer": "a1"}]


def write_lines(path):
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))


def write_list(path):
    path.write_text(json.dumps(ROWS, indent=1))


def write_gzip(path):
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, ROWS)).encode()))


def write_parquet(path):
    pq.write_table(pa.Table.from_pylist(ROWS), path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("s.jsonl", write_lines),
        ("s.json", write_list),
        ("s.jsonl.gz", write_gzip),
        ("s.parquet", write_parquet),
    ],
)
def test_every_format_gives_the_same_items(tmp_path, name, write):
    write(tmp_path / name)
    items = list(read_items("set", EvaluationSet(input=str(tmp_path / name))))
    assert [(item.set, item.id) for item in items] == [("set", "a"), ("set", "1")]
    assert [part.text for item in items for part in item.parts] == ["q0", "a0", "q1", "a1"]


def test_the_sets_of_a_folder_keep_their_names(tmp_path):
    write_lines(tmp_path / "one.jsonl")
    (tmp_path / "two.jsonl").write_text(json.dumps({"prompt": "q", "completion": "a"}))
    (tmp_path / "README.md").write_text("no set")
    items = list(read_items("all", EvaluationSet(input=str(tmp_path))))
    assert [item.set for item in items] == ["all/one", "all/one", "all/two"]


def test_fields_can_be_named(tmp_path):
    path = tmp_path / "s.jsonl"
    path.write_text(json.dumps({"deep": {"ask": "q"}, "say": ["a", "b"], "key": 7}))
    chosen = EvaluationSet(input=str(path), question=("deep.ask",), answer=("say",), id="key")
    (item,) = read_items("set", chosen)
    assert item.id == "7"
    assert [tuple(part) for part in item.parts] == [(Q, "q"), (A, "a"), (A, "b")]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ('{"foo": 1}', "no layout that is known: fields foo"),
        ("[1, 2]", "a record is int"),
        ("not json", "cannot be read as an evaluation set"),
        ('{"question": "", "answer": null}', "has nothing in the fields question, answer"),
    ],
)
def test_a_file_that_is_no_set_is_refused(tmp_path, content, match):
    path = tmp_path / "s.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match=match):
        list(read_items("set", EvaluationSet(input=str(path))))


def test_a_field_that_no_record_has_is_refused(tmp_path):
    """A misspelt field would leave items that no document can match."""
    path = tmp_path / "s.jsonl"
    path.write_text('{"ask": "q", "say": "a"}\n{"ask": "q", "say": "a", "about": "p"}')
    chosen = EvaluationSet(input=str(path), question=("ask",), answer=("say",), passage=("about",))
    assert len(list(read_items("set", chosen))) == 2
    chosen = EvaluationSet(input=str(path), question=("asked",), answer=("say",))
    with pytest.raises(InputError, match="the evaluation set set has anything in the field asked"):
        list(read_items("set", chosen))


def test_a_set_without_records_is_refused(tmp_path):
    (tmp_path / "s.jsonl").write_bytes(b"")
    with pytest.raises(InputError, match=r"holds no record .*s\.jsonl"):
        list(read_items("set", EvaluationSet(input=str(tmp_path / "s.jsonl"))))


def test_choices_need_a_gold():
    with pytest.raises(RecipeError, match="gold is missing"):
        EvaluationSet(input="x", choices=("options",))
