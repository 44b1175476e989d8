"""`corpusmill prompts`: list, show and test."""

import pytest
from corpusmill.manifests.errors import InputError, RecipeError
from corpusmill.prompts import loader
from corpusmill.stages.engines.openai import OpenAIEngine
from corpusmill.stages.synthesize import prompt_trial
from corpusmill.stages.synthesize.stage import Synthesize

from tests.stages.engines import tiny_model
from tests.stages.engines.scripted_server import serving
from tests.stages.synthesize.test_synthesize import PROSE, echo


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "page.txt").write_text(PROSE)
    (tmp_path / "short.txt").write_text("A river.")
    tiny_model.save_tokenizer(tmp_path / "tokenizer")
    return tmp_path


def settings(folder, url="http://127.0.0.1:9/v1"):
    engine = OpenAIEngine(
        url=url, model="m", tokenizer_name=str(folder / "tokenizer"), api="chat", context=2048
    )
    return Synthesize(engine=engine)


def test_every_shipped_prompt_is_listed_with_its_purpose():
    lines = list(prompt_trial.listed())
    assert [line.split()[0] for line in lines] == loader.shipped()
    assert "  512 in   512 out  Say a web page" in next(
        line for line in lines if "rephrase" in line
    )


def test_a_prompt_is_shown_as_its_file_has_it(tmp_path):
    assert "{document}" in prompt_trial.shown("distill")
    mine = tmp_path / "mine.md"
    mine.write_text(
        "---\nname: mine\nlimits: {max_input_tokens: 9, max_output_tokens: 9}\n---\n{document}\n"
    )
    assert prompt_trial.shown(str(mine)) == mine.read_text()
    with pytest.raises(RecipeError, match="did you mean 'distill'"):
        prompt_trial.shown("destill")


def test_a_test_shows_the_rendered_prompt_without_asking(folder):
    head, prompt = prompt_trial.tried(
        settings(folder), "rephrase", str(folder / "page.txt"), ask=False
    )
    assert head.startswith("--- request 1 of 1: ")
    assert prompt.startswith("<SPECIAL_3>You rewrite web text")
    assert PROSE in prompt


def test_a_test_that_asks_shows_the_answer_and_what_is_kept(folder):
    with serving(echo) as server:
        lines = list(
            prompt_trial.tried(
                settings(folder, server.url), "rephrase", str(folder / "page.txt"), ask=True
            )
        )
    assert f"answer, stop: Rewritten text:\n{PROSE}" in lines
    assert lines[-1] == f"kept: {PROSE}"


def test_a_text_that_is_not_asked_about_says_why(folder):
    lines = list(
        prompt_trial.tried(settings(folder), "distill", str(folder / "short.txt"), ask=False)
    )
    assert lines[-1].startswith("dropped, synthesize.document_too_short: n_tokens=")


def test_a_rubric_is_not_shown_as_synthesize_would_ask_it(folder):
    shown = prompt_trial.tried(settings(folder), "educational", str(folder / "page.txt"), ask=False)
    with pytest.raises(RecipeError, match="is a rubric"):
        list(shown)


def test_a_test_without_a_text_shows_what_becomes_of_the_examples(tmp_path):
    lines = list(prompt_trial.examined("table"))
    assert lines[0] == "--- example 1 of 4: as the file says"
    assert lines[1].startswith("kept: | year | event |")
    wrong = prompt_trial.shown("table").replace("dropped: synthesize.no_table", "kept: x")
    (tmp_path / "mine.md").write_text(wrong)
    shown = prompt_trial.examined(str(tmp_path / "mine.md"))
    with pytest.raises(RecipeError, match="1 of 4 examples come out otherwise"):
        list(shown)


def test_the_prompts_of_a_folder_are_listed(tmp_path):
    (tmp_path / "mine.md").write_text(prompt_trial.shown("faq").replace("name: faq", "name: ours"))
    assert [line.split()[0] for line in prompt_trial.listed(str(tmp_path))] == ["ours"]
    (tmp_path / "README.md").write_text("notes")
    ours, other = prompt_trial.listed(str(tmp_path))
    assert ours.startswith("ours ")
    assert other == f"no prompt: {tmp_path}/README.md has no front matter"
    (tmp_path / "typo.md").write_text("---\nname: x\nlimit: {}\n---\n{document}\n")
    *_, typo = prompt_trial.listed(str(tmp_path))
    assert typo.startswith(f"cannot be used: {tmp_path}/typo.md: ")
    assert "limits" in typo.rpartition("; ")[2]  # the mend
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="holds no prompt file"):
        list(prompt_trial.listed(str(tmp_path / "none")))
