"""Diversity of a prompt's rows: varied rows pass, and each kind of collapse is told."""

import json
import random

import pytest
from corpusmill.manifests.looking.inspect import stage_rows
from corpusmill.manifests.looking.tables import row_remarks
from corpusmill.manifests.manifest import read_manifest
from corpusmill.stages.synthesize import diversity

from tests.stages.engines.scripted_server import answer, serving
from tests.stages.synthesize.test_synthesize import (
    document,
    echo,
    rows_of,
    run,
    sentence,
    stage_at,
    tokenizer_folder,  # noqa: F401 - a fixture
    write_shards,
)

WORDS = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnrst"]


def prose(seed: int, words: int = 80) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


VARIED = [prose(seed) for seed in range(40)]


def test_varied_rows_have_no_warning_and_high_measures():
    found = diversity.measures(VARIED)
    assert found["warnings"] == []
    assert found["first_words_entropy"] == found["first_words_entropy_most"] == 5.3219
    assert found["commonest_opening_share"] == 1 / 40
    assert found["distinct_4"] > 0.99
    assert found["template_share"] == 0
    assert found["self_similarity"] < 0.05


@pytest.mark.parametrize(
    ("rows", "warning"),
    [
        (
            [f"The passage discusses {text}" for text in VARIED],
            "100% of its rows begin with 'the pa",
        ),
        (
            [f"{text[:90]} {prose(999, 60)} {text[90:180]}" for text in VARIED],
            "of its words are a template that many rows share",
        ),
        ([f"{n} {prose(n % 2)}" for n in range(40)], "two of its rows share"),
        ([prose(n % 4) for n in range(40)], "of its runs of four words are different"),
    ],
)
def test_each_kind_of_collapse_is_told(rows, warning):
    assert any(warning in text for text in diversity.measures(rows)["warnings"])


def test_the_entropy_is_that_of_the_openings():
    rows = ["a b c d"] * 2 + ["a b x d"] + ["q q q q"]
    assert diversity.measures(rows)["first_words_entropy"] == 1.5


def test_words_that_the_form_asks_for_are_no_opening():
    rows = [f"Question: {text}" for text in VARIED]
    assert diversity.measures(rows)["commonest_opening_share"] == 1 / 40


def test_few_rows_give_no_warning():
    assert diversity.measures(["the same"] * 19)["warnings"] == []
    assert diversity.measures([""])["self_similarity"] == 0


def test_a_run_measures_each_prompt_into_its_manifest(tmp_path, tokenizer_folder):  # noqa: F811
    texts = [" ".join(map(sentence, range(n, n + 6))) for n in range(0, 300, 10)]
    documents = write_shards(
        tmp_path, {"in/00.parquet": [document(str(n), text) for n, text in enumerate(texts)]}
    )
    out = tmp_path / "out"
    asked = []

    def behave(prompt, attempt):
        asked.append(prompt)
        return echo(prompt, attempt)

    with serving(behave) as server:
        run(stage_at(server, tokenizer_folder), documents, out)
        again = run(stage_at(server, tokenizer_folder, diversity_rows=20), documents, out)
    assert len(asked) == 30
    measured = again.measures["diversity"]["rephrase"]
    assert (measured["rows"], measured["sampled"]) == (30, 20)
    smallest = sorted(rows_of(out, "documents"), key=lambda row: row["id"])[:20]
    expected = diversity.measures([row["text"] for row in smallest])
    assert {**expected, "rows": 30} == measured
    assert read_manifest(str(out)).measures == again.measures
    assert json.loads((out / "work/diversity/diversity.json").read_bytes())["rephrase"] == measured


def test_a_collapsed_prompt_is_a_warning_of_its_stage(tmp_path, tokenizer_folder):  # noqa: F811
    documents = write_shards(
        tmp_path,
        {"in/00.parquet": [document(str(n), f"{n} {sentence(1)} " * 4) for n in range(25)]},
    )
    same = " ".join(sentence(1) for _ in range(1)) + " " + prose(3, 50)
    prompt = tmp_path / "same.md"
    prompt.write_text(
        "---\nname: same\nlimits: {max_input_tokens: 900, max_output_tokens: 300}\n---\n"
        "{document}\n"
    )
    with serving(lambda prompt, attempt: answer(same, chat=True)) as server:
        manifest = run(
            stage_at(server, tokenizer_folder, routes={"low": (str(prompt),)}),
            documents,
            tmp_path / "out",
        )
    lines = list(row_remarks(stage_rows(manifest)[-1]))
    assert any(
        "warning: synthesize: prompt same may have collapsed: 100%" in line for line in lines
    )


@pytest.mark.parametrize(
    ("answered", "warnings"),
    [
        (0, ["prompt often kept 0 of 8 rows"]),
        (3, ["prompt often kept 3 of 8 rows"]),
        (4, []),
    ],
)
def test_a_prompt_with_few_rows_kept_is_a_warning(tmp_path, tokenizer_folder, answered, warnings):  # noqa: F811
    pages = [document(str(n), f"{n} {sentence(n)} " * 4) for n in range(8)]
    documents = write_shards(tmp_path, {"in/00.parquet": pages})
    prompt = tmp_path / "often.md"
    prompt.write_text(
        "---\nname: often\nlimits: {max_input_tokens: 900, max_output_tokens: 300}\n---\n"
        "{document}\n"
    )

    def behave(text, attempt):
        return answer(prose(3, 50) if int(text[0]) < answered else "", chat=True)

    with serving(behave) as server:
        settings = stage_at(server, tokenizer_folder, routes={"low": (str(prompt),)})
        (row,) = stage_rows(run(settings, documents, tmp_path / "out"))
    assert list(row.warnings) == [f"{text}; excluded/ says why" for text in warnings]
