"""The optional judge: grades become columns, a threshold drops rows, and nothing else changes."""

import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.errors import RecipeError
from corpusmill.stages.synthesize.judging import Judge, grades_of

from tests.stages.engines.scripted_server import answer, serving
from tests.stages.synthesize.test_synthesize import (
    PROSE,
    document,
    echo,
    rows_of,
    run,
    stage_at,
    tokenizer_folder,  # noqa: F401 - a fixture
    write_shards,
)

GRADES = {
    "good": "Fine.\nfaithfulness: 5\nfluency: 4\nusefulness: 3",
    "bad": "It says more.\n**Faithfulness:** 1\nfluency: 4\nusefulness: 3",
    "silent": "This text is good.",
    "cut": "faithfulness: 0\nfluency: 0\nusefulness: 0",
    "thinks": "<think>faithfulness: 0</think>faithfulness: 4,5\nfluency: 9\nusefulness: 3",
}


def judge_of(asked: list[str]):
    def behave(prompt, attempt):
        asked.append(prompt)
        if "Text made from it:" not in prompt:
            return echo(prompt, attempt)
        name = prompt.split("Passage:\n", 1)[1].split()[0]
        return answer(GRADES[name], "length" if name == "cut" else "stop", chat=True)

    return behave


@pytest.fixture
def documents(tmp_path):
    rows = [document(name, f"{name} {PROSE}") for name in GRADES]
    return write_shards(tmp_path, {"in/00.parquet": rows})


def test_grades_are_columns_and_a_low_one_drops_its_row(
    tmp_path,
    tokenizer_folder,  # noqa: F811
    documents,
):
    asked: list[str] = []
    judge = Judge(least={"faithfulness": 3})
    with serving(judge_of(asked)) as server:
        manifest = run(stage_at(server, tokenizer_folder, judge=judge), documents, tmp_path / "out")
    kept = {row["text"].split()[0]: row for row in rows_of(tmp_path / "out", "documents")}
    names = ("faithfulness", "fluency", "usefulness")
    grades = {key: tuple(row[f"judge_{name}"] for name in names) for key, row in kept.items()}
    assert grades == {
        "good": (5, 4, 3),
        "silent": (None, None, None),
        "cut": (None, None, None),
        "thinks": (4.5, None, 3),
    }
    (dropped,) = rows_of(tmp_path / "out", "excluded")
    assert dropped["reason"] == "synthesize.judged_low"
    assert dropped["detail"].startswith("faithfulness=1 < 3: bad ")
    assert dropped["judge_faithfulness"] == 1
    assert manifest.conserved
    assert len(asked) == 2 * len(GRADES)
    took = manifest.measures["usage"]["prompts"]["judge"]
    assert (took["rows"], took["kept"]) == (len(GRADES), len(GRADES) - 1)
    assert took["output_tokens"] == 3 * len(GRADES)


def test_without_a_judge_there_are_no_columns(tmp_path, tokenizer_folder, documents):  # noqa: F811
    with serving(echo) as server:
        manifest = run(stage_at(server, tokenizer_folder), documents, tmp_path / "out")
    schema = pq.read_schema(manifest.documents()[0].path)
    assert not [name for name in schema.names if name.startswith("judge")]


def test_a_judge_of_ones_own_has_its_own_scores(tmp_path, tokenizer_folder, documents):  # noqa: F811
    path = tmp_path / "mine.md"
    path.write_text(
        "---\nname: mine\nlimits: {max_input_tokens: 900, max_output_tokens: 20}\nscores: [good]\n"
        "---\nGrade. {document}\n"
    )

    def behave(prompt, attempt):
        graded = "Text made from it:" in prompt
        return answer("good: 2", chat=True) if graded else echo(prompt, attempt)

    stage_settings = {"judge": Judge(prompt=str(path))}
    with serving(behave) as server:
        run(stage_at(server, tokenizer_folder, **stage_settings), documents, tmp_path / "out")
    assert {row["judge_good"] for row in rows_of(tmp_path / "out", "documents")} == {2}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prompt": "rephrase"}, "prompts/rephrase.md has no `scores`"),
        ({"least": {"fluencey": 2}}, "no score 'fluencey'; did you mean 'fluency'"),
        ({"least": {"fluency": 7}}, "least.fluency is 7.0; wanted: 0 to 5"),
    ],
)
def test_a_judge_that_cannot_work_is_refused(settings, message):
    with pytest.raises(RecipeError, match=message):
        Judge(**settings).loaded()


def test_a_judge_is_no_route(tokenizer_folder):  # noqa: F811
    with serving(echo) as server, pytest.raises(RecipeError, match=r"name it in synthesize\.judge"):
        stage_at(server, tokenizer_folder, routes={"low": ("judge",)}).prompts()


def test_the_last_line_of_a_score_counts():
    assert grades_of("a: 1\nb: 2\n- a: 3", ["a", "b", "c"]) == {"a": 3, "b": 2}
