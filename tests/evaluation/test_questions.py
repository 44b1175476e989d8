"""Task files and questions: what is asked, which rows are examples, and which are refused."""

import math

import pytest
from corpusmill.evaluation import task as task_files
from corpusmill.evaluation.answers import final_answer
from corpusmill.evaluation.questions import build
from corpusmill.manifests.errors import InputError, RecipeError

CHOICE = """
name: capitals
kind: multiple_choice
files: [{path: capitals.jsonl, fields: {options: "[a, b]"}}]
context: "Capital of {{ country }}?"
choices: options
gold: gold
"""


def task(text=CHOICE, path="/data/capitals.yaml"):
    return task_files.parse(text.encode(), path)


def row(number, gold=0, **more):
    return {"id": f"r{number}", "country": f"C{number}", "a": "A", "b": "B", "gold": gold, **more}


FIELDS = {"options": "[a, b]"}


def test_a_row_becomes_contexts_and_continuations():
    (question,) = build(task(), [row(1, gold=1)], FIELDS).asked
    assert question.pairs == (("Capital of C1?", " A"), ("Capital of C1?", " B"))
    assert (question.choices, question.gold, question.id) == (("A", "B"), 1, "r1")


def test_a_null_id_or_domain_is_none():
    (question,) = build(task(CHOICE + "domain: subject\n"), [row(1, subject=None)], FIELDS).asked
    assert question.domain == ""
    (question,) = build(task(), [{**row(1), "id": None}], FIELDS).asked
    assert question.id == "0"


def test_examples_come_from_the_first_rows_and_are_not_asked():
    shots = task(CHOICE + "shots: {count: 2}\npreamble: 'Quiz. '\n")
    found = build(shots, [row(1), row(2, gold=1), row(3)], FIELDS)
    (question,) = found.asked
    assert question.pairs[0][0] == ("Quiz. Capital of C1? A\n\nCapital of C2? B\n\nCapital of C3?")
    assert found.unused == {"example": 2}


def test_examples_of_a_subject_serve_that_subject_only():
    shots = task(
        CHOICE + "shots: {count: 1, where: split == 'dev', same: subject}\nwhere: split == 'test'\n"
        "domain: subject\n"
    )
    rows = [
        row(1, split="dev", subject="x"),
        row(2, split="dev", subject="y"),
        row(3, split="dev", subject="x"),
        row(4, split="test", subject="y"),
        row(5, split="test", subject="z"),
    ]
    found = build(shots, rows, FIELDS)
    (question,) = found.asked
    assert question.pairs[0][0].startswith("Capital of C2? A\n\nCapital of C4?")
    assert question.domain == "y"
    assert found.unused == {"example": 2, "other_split": 1}
    assert found.bad == [(4, "r5", "there are 0 examples of 1 for it")]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (row(1, gold=2), "gold is 2, and there are 2 choices"),
        (row(1, gold=-1), "gold is -1, and there are 2 choices"),
        (row(1, gold=None), "gold is None, not a number"),
        (row(1, gold=math.inf), "gold is inf, not a number"),
        (row(1, gold=0.5), "gold is 0.5, not a whole number"),
        (row(1, a=""), "a choice is empty"),
        (row(1, a=None), "a text is null"),
        (row(1, country=None), "a text is null"),
        (row(1, a=["A"]), "options holds \"['A']\", not a text"),
        ({"id": "r1", "a": "A", "b": "B", "gold": 0}, "'country' is undefined"),
        ("the line is not JSON", "the line is not JSON"),
    ],
)
def test_a_row_that_cannot_be_asked_is_named_and_costs_only_itself(bad, why):
    found = build(task(), [bad, row(2)], FIELDS)
    assert [question.id for question in found.asked] == ["r2"]
    assert [reason for _, _, reason in found.bad] == [why]


@pytest.mark.parametrize("asked", ["{{ 1 / n }}", "{{ n.up }}", "{{ n | boxed }}", "{{ n[3] }}"])
def test_a_template_that_fails_over_a_row_costs_only_the_row(asked):
    found = build(task(CHOICE.replace("{{ country }}", asked)), [row(1, n=0)], FIELDS)
    assert (found.asked, len(found.bad)) == ([], 1)


@pytest.mark.parametrize(
    "fields",
    [
        {"place": "'Of ' ~ country ~ '?'"},
        {"place": "[a ~ country, b]"},
        {"place": "a ~ country | capitalize"},
        {"place": "[a, country] | join(' and ')"},
        {"place": "[{'of': country}] | join(attribute='of')"},
        {"gold": "gold | int"},
    ],
)
def test_a_null_that_is_joined_or_filtered_costs_the_row(fields):
    rows = [row(1, gold=None, country=None), row(2)]
    found = build(task(), rows, {**FIELDS, **fields})
    assert [question.id for question in found.asked] == ["r2"]
    assert [reason for _, _, reason in found.bad] == ["a text is null"]


@pytest.mark.parametrize("between", ["'-'", "d='-'"])
def test_texts_are_joined(between):
    fields = {**FIELDS, "country": f"[country, 2, 'x'] | join({between})"}
    (question,) = build(task(), [row(1, country="Peru")], fields).asked
    assert question.pairs[0][0] == "Capital of Peru-2-x?"


def test_a_null_with_a_default_is_taken():
    fields = {**FIELDS, "country": "country | default('no land', true) ~ '!'"}
    (question,) = build(task(), [row(1, country=None)], fields).asked
    assert question.pairs[0][0] == "Capital of no land!?"


def test_a_column_may_have_any_name():
    assert build(task(), [row(1, **{"self": 1, "a b": 2})], FIELDS).bad == []


def test_an_answer_that_is_null_is_refused():
    text = "name: a\nkind: answer\nfiles: [{path: a}]\ncontext: c\nanswer: right\n"
    found = build(task(text), [{"right": None}, {"right": ["4", None]}, {"right": 4}], {})
    assert [why for _, _, why in found.bad] == ["a text is null"] * 2
    assert [question.right for question in found.asked] == [("4",)]


def test_a_limit_takes_the_same_items_each_time():
    rows = [row(number) for number in range(100)]
    once, again = (build(task(), rows, FIELDS, limit=7) for _ in range(2))
    assert once.asked == again.asked
    assert [question.row for question in once.asked] != list(range(7))
    assert once.unused == {"over_limit": 93}


def test_schemas_put_the_choice_before_the_scored_text():
    text = (
        "name: s\nkind: multiple_choice\nfiles: [{path: s.jsonl}]\n"
        "contexts: contexts\ncontinuation: '{{ after }}'\ngold: gold\n"
    )
    (question,) = build(
        task(text), [{"contexts": ["Sarah", "Maria"], "after": "won.", "gold": 0}], {}
    ).asked
    assert question.pairs == (("Sarah", " won."), ("Maria", " won."))
    assert question.choices == ("won.", "won.")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("gold: gold\n", ""), "gold is missing"),
        (("choices: options\n", ""), "choices is missing"),
        (("kind: multiple_choice", "kind: multiple"), "kind is 'multiple'"),
        (("gold: gold", "gold: gold +"), "is no expression"),
        (("{{ country }}", "{{ country"), "a template cannot be read"),
        (("name: capitals", "name: a/b"), "'a/b' cannot name a task"),
        (("gold: gold", "gold: gold\ncolour: red"), "unknown key colour"),
        (("name: capitals", "\t"), "is not readable YAML"),
        (("gold: gold", "gold: gold\nshots: {count: -1}"), "shots.count is -1"),
    ],
)
def test_a_task_file_with_a_fault_is_refused_by_name(change, message):
    with pytest.raises(RecipeError) as refused:
        task(CHOICE.replace(*change))
    assert message in str(refused.value)
    assert "/data/capitals.yaml" in str(refused.value)


def test_every_shipped_task_is_read_and_names_a_source():
    tasks = task_files.load(tuple(task_files.shipped()))
    assert all(found.source and found.purpose and found.digest for found in tasks)
    assert {found.name for found in tasks} == set(task_files.shipped())
    wanted = {"mmlu", "mmlu_pro", "gsm8k", "math", "humaneval", "humaneval_plus", "mbpp"}
    wanted |= {"mbpp_plus", "arc_easy", "arc_challenge", "hellaswag", "winogrande", "piqa"}
    assert wanted | {"openbook_qa", "commonsense_qa", "race", "siqa"} <= set(task_files.shipped())


@pytest.mark.parametrize(
    ("name", "text", "answer"),
    [
        ("gsm8k", "20 sheep, so 4 x 20 = 80 sheep.", "80"),
        ("gsm8k", "So he pays $1,200.50.\n#### 1,200", "1,200"),
        ("gsm8k", "That is $7", "$7"),
        ("mmlu_pro", "Hence the answer is (C).", "C"),
        ("math", r"so \boxed{\frac{1}{2}} holds", r"\frac{1}{2}"),
    ],
)
def test_shipped_tasks_find_the_final_answer(name, text, answer):
    (found,) = task_files.load((name,))
    assert isinstance(found, task_files.AnswerTask)
    assert (final_answer(text, found.patterns) or "").rstrip(".") == answer


def test_a_pattern_that_is_none_is_refused():
    text = "name: a\nkind: answer\nfiles: [{path: a}]\ncontext: c\nanswer: a\npatterns: ['(']\n"
    with pytest.raises(RecipeError, match="is no regular expression"):
        task(text)


def test_an_empty_stop_text_is_refused():
    """It would end every answer of one runtime, and none of the other."""
    text = "name: a\nkind: answer\nfiles: [{path: a}]\ncontext: c\nanswer: a\nstop: ['']\n"
    with pytest.raises(RecipeError, match=r"stop\[0\] is ''"):
        task(text)


def test_the_right_answer_of_math_is_what_the_box_holds():
    (found,) = task_files.load(("math",))
    rows = [
        {"problem": f"p{number}", "level": "1", "math_split": split, "solution": solution}
        for number, (split, solution) in enumerate(
            [*[("train", r"\boxed{1}")] * 4, ("test", r"it is \boxed{\frac{1}{2}} in $\mathbb{R}$")]
        )
    ]
    (question,) = build(found, rows, {}).asked
    assert question.right == (r"\frac{1}{2}",)


def test_a_folder_of_task_files_works_like_the_shipped_ones(tmp_path):
    (tmp_path / "one.yaml").write_text(CHOICE)
    (tmp_path / "capitals.jsonl").write_text("{}\n")
    (found,) = task_files.load((str(tmp_path),))
    assert task_files.items_path(found, None).path == f"{tmp_path}/capitals.jsonl"
    with pytest.raises(RecipeError, match="there is no task 'hella'"):
        task_files.load(("hella",))
    with pytest.raises(RecipeError, match="two tasks are named 'capitals'"):
        task_files.load((str(tmp_path), str(tmp_path / "one.yaml")))
    with pytest.raises(InputError, match=r"nowhere, and there is no such folder"):
        task_files.items_path(found, str(tmp_path / "nowhere"))
    (tmp_path / "capitals.jsonl").unlink()
    with pytest.raises(InputError, match=r"evaluate\.items"):
        task_files.items_path(found, None)
