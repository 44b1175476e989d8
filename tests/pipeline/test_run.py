"""Stages one after another, each in its folder: what counts as another stage's output."""

import json
from typing import Any

import pytest
import torch
from corpusmill.manifests.errors import CorpusmillError, InputError, RecipeError
from corpusmill.manifests.looking.inspect import inspect
from corpusmill.manifests.looking.verify import verify
from corpusmill.manifests.manifest import read_manifest
from corpusmill.pipeline import display
from corpusmill.pipeline.groups import groups_of
from corpusmill.pipeline.recipe import Recipe, Step, override
from corpusmill.pipeline.run import run_recipe, run_step
from corpusmill.pipeline.runner import InlineRunner

PROSE = (
    "The river had risen in the night and the people of the town went to the bridge to look at it. "
)


@pytest.fixture
def texts(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b"):
        rows = [{"id": f"{name}{number}", "text": PROSE * number} for number in range(1, 5)]
        (folder / f"{name}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8"
        )
    return folder


def extract(inputs, output, **settings):
    return run_step(
        Step("extract", "extract", (), settings), (str(inputs),), str(output), InlineRunner()
    )


def keep(inputs, output):
    return run_step(
        Step("filter", "filter", (), {"families": []}), (str(inputs),), str(output), InlineRunner()
    )


def test_what_was_dropped_is_no_input_wherever_the_output_lies(texts, tmp_path):
    output = tmp_path / "documents" / "extract"
    made = extract(texts, output, min_text_chars=200)
    assert (made.totals[0].kept, sum(made.totals[0].excluded.values())) == (4, 4)
    assert keep(output, tmp_path / "kept").totals[0].rows_in == 4


def test_a_reference_of_a_stage_alone_means_a_folder_beside_the_output(texts, tmp_path):
    extract(texts, tmp_path / "there" / "extract")
    step = Step("filter", "filter", ("step:extract",), {"families": []})
    run_step(step, (), str(tmp_path / "there" / "kept"), InlineRunner())
    elsewhere = str(tmp_path / "elsewhere" / "kept")
    with pytest.raises(
        RecipeError, match=r"beside --output, and \S+/elsewhere/extract is not there"
    ):
        run_step(step, (), elsewhere, InlineRunner())


def test_an_unfinished_stage_is_refused(texts, tmp_path):
    extract(texts, tmp_path / "extract")
    (tmp_path / "extract" / "manifest.json").unlink()
    with pytest.raises(InputError, match="not finished"):
        keep(tmp_path / "extract", tmp_path / "kept")


def test_a_manifest_does_not_outlive_its_plan(texts, tmp_path, monkeypatch):
    extract(texts, tmp_path / "extract")

    class Interrupted(InlineRunner):
        def run(self, tasks, *, holds_engine):
            yield from (
                (task, result)
                for task, result in super().run(list(tasks)[:1], holds_engine=holds_engine)
            )
            raise KeyboardInterrupt

    step = Step("extract", "extract", (), {"min_text_chars": 200})
    with pytest.raises(KeyboardInterrupt):
        run_step(step, (str(texts),), str(tmp_path / "extract"), Interrupted(), replace=True)
    with pytest.raises(InputError, match="not finished"):
        keep(tmp_path / "extract", tmp_path / "kept")


def test_a_shard_newer_than_its_manifest_is_noticed(texts, tmp_path):
    extract(texts, tmp_path / "extract")
    path = tmp_path / "extract" / "manifest.json"
    record = json.loads(path.read_text())
    record["outputs"][0]["rows"] += 1
    path.write_text(json.dumps(record))
    problems = verify(str(tmp_path / "extract")).problems
    assert any("is newer than the manifest" in problem for problem in problems)
    assert any("the manifest was changed" in problem for problem in problems)


def test_ids_do_not_depend_on_how_a_file_was_named(texts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in texts.iterdir():
        path.write_text(
            "".join(json.dumps({"text": PROSE * number}) + "\n" for number in (1, 2)),
            encoding="utf-8",
        )
    one, other = extract("in/*.jsonl", "one"), extract(tmp_path / "in", "other")
    assert [item.digest for item in one.documents()] == [item.digest for item in other.documents()]


def test_a_group_of_map_stages_ends_where_its_documents_have_to_be_there():
    def groups(*steps):
        return [[step.name for step in group.steps] for group in groups_of(Recipe("r", (), steps))]

    strict, tokenizer = Step("filter", "strict"), Step("tokenizer", "tokenizer", ("step:filter",))
    rest = (Step("filter", "filter"), strict, tokenizer)
    kept = [["extract"], ["filter"], ["strict"], ["tokenizer"]]
    assert groups(Step("extract", "extract"), *rest) == kept
    fused = [["extract", "filter"], ["strict"], ["tokenizer"]]
    assert groups(Step("extract", "extract", keep_documents=False), *rest) == fused


def test_another_threshold_does_not_read_the_crawl_again(texts, tmp_path):
    for number in range(600):  # more than one batch
        with open(texts / "a.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps({"id": f"n{number}", "text": PROSE * (number % 9)}) + "\n")

    def run(output, words, replace=False, keep=None):
        settings = {"thresholds": {"gopher_quality": {"few_words": words}}}
        extract = Step("extract", "extract", keep_documents=keep)
        recipe = Recipe("r", (str(texts),), (extract, Step("filter", "filter", (), settings)))
        made = run_recipe(recipe, str(tmp_path / output), InlineRunner(), lambda *_: None, replace)
        return [(manifest.work.made, manifest.work.reused) for manifest in made]

    assert run("out", 5) == [(2, 0), (2, 0)]
    assert run("out", 30, replace=True) == [(0, 2), (2, 0)]
    assert run("afresh", 30) == [(2, 0), (2, 0)]
    assert run("fused", 30, keep=False) == [(2, 0)]
    digests = [
        [output.digest for output in read_manifest(str(tmp_path / name / "filter")).documents()]
        for name in ("out", "afresh", "fused")
    ]
    assert digests[0] == digests[1] == digests[2]


def test_two_steps_of_one_stage_have_an_account_each(texts, tmp_path):
    settings: dict[str, list[str]] = {"families": []}
    steps = (
        Step("extract", "extract", keep_documents=False),
        Step("filter", "first", (), settings),
        Step("filter", "second", (), settings),
    )
    run_recipe(
        Recipe("r", (str(texts),), steps),
        str(tmp_path / "out"),
        InlineRunner(),
        lambda folder, manifest: None,
    )
    rows = {row.stage: (row.rows_in, row.kept) for row in inspect(str(tmp_path / "out"))}
    assert rows == {"extract": (8, 8), "first": (8, 8), "second": (8, 8)}
    assert verify(str(tmp_path / "out")).problems == []
    assert read_manifest(str(tmp_path / "out" / "second")).verbs == ["extract", "filter", "filter"]


def test_the_funnel_is_in_order_below_a_relative_root(texts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    extract("in", "out/z-first")
    keep("out/z-first", "out/a-second")
    assert [row.stage for row in inspect("out")] == ["extract", "filter"]


def test_an_input_of_a_late_step_that_matches_no_file_is_refused_before_the_first(texts, tmp_path):
    sources = {
        "web": {"input": "step:extract", "weight": 1},
        "math": {"input": str(tmp_path / "math/*.jsonl"), "weight": 1},
    }
    recipe = Recipe(
        "r",
        (str(texts),),
        (Step("extract", "extract"), Step("blend", "blend", (), {"sources": sources})),
    )
    with pytest.raises(InputError, match="matches no file"):
        run_recipe(recipe, str(tmp_path / "out"), InlineRunner(), on_done=lambda *_: None)
    assert not (tmp_path / "out").exists()


ON_GPU: dict[str, dict[str, Any]] = {
    "synthesize": {"engine": {"device": "cuda"}},
    "annotate": {"engine": {"kind": "transformers", "device": "cuda"}},
    "evaluate": {"device": "cuda", "held_out": {"prose": ["step:extract"]}},
}


@pytest.mark.parametrize("verb", ON_GPU)
def test_an_absent_gpu_is_found_before_an_earlier_stage_runs(texts, tmp_path, verb, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    steps = (Step("extract", "extract"), Step(verb, verb, (), ON_GPU[verb]))
    with pytest.raises(CorpusmillError, match="no device cuda here"):
        run_recipe(
            Recipe("r", (str(texts),), steps),
            str(tmp_path / "out"),
            InlineRunner(),
            on_done=lambda *_: None,
        )
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_larger_than_the_model_is_named_before_an_earlier_stage_runs(
    texts, tmp_path, monkeypatch
):
    said: list[str] = []
    monkeypatch.setattr(display.current(), "say", said.append)
    shape = {"pattern": "M*-", "hidden_size": 32, "ffn_size": 64, "attention_heads": 2}
    # The tokenizer has 4096 tokens. The texts hold none after 3481, so the model can be trained.
    shape |= {"key_value_heads": 1, "mamba_heads": 8, "vocab_size": 3500}
    small = {"model": shape, "steps": 1, "sequence_length": 32, "batch_size": 1, "device": "cpu"}
    steps = (
        Step("extract", "extract"),
        Step("pack", "pack", (), {"tokenizer": "package:models/tiny"}),
        Step("train", "small", (), small),
    )
    before: list[str] = []

    def on_done(*_: object) -> None:
        before.extend([] if before else said)

    run_recipe(Recipe("r", (str(texts),), steps), str(tmp_path / "out"), InlineRunner(), on_done)
    (doubt,) = (line for line in before if "the model knows 3500" in line)
    assert doubt.startswith("small: ")
    assert doubt.endswith("set model.vocab_size to at least 4096")
    assert verify(str(tmp_path / "out")).problems == []


LINKING = (Step("extract", "extract"), Step("link", "link"))


@pytest.mark.parametrize(
    ("behind", "name", "way"),
    [
        ((Step("sections", "cut"),), "cut", "run cut before link"),
        # The pairs pass through a stage of several passes and one that only drops documents.
        (
            (
                Step("dedup", "dedup"),
                Step("filter", "filter", (), {"families": ["gopher_quality"]}),
                Step("redact", "redact"),
            ),
            "redact",
            "run redact before link, or set mode to count",
        ),
        ((Step("substring", "substring", ("step:link",)),), "substring", "run substring before"),
        ((Step("dedup", "dedup"), Step("templates", "templates")), "templates", "before link"),
    ],
)
def test_a_step_that_would_edit_one_text_of_a_pair_is_refused_before_anything_runs(
    texts, tmp_path, behind, name, way
):
    recipe = Recipe("r", (str(texts),), (*LINKING, *behind))
    with pytest.raises(RecipeError, match=rf"^{name} edits the column text only.*{way}"):
        run_recipe(recipe, str(tmp_path / "out"), InlineRunner(), on_done=lambda *_: None)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "behind",
    [
        (Step("filter", "filter", (), {"families": ["gopher_quality"]}),),
        (Step("redact", "redact", (), {"mode": "count"}),),
        (Step("redact", "redact", ("step:extract",)),),
    ],
)
def test_a_step_that_edits_no_pair_is_let_through(texts, tmp_path, behind):
    """The run goes on to link, which finds no link in these texts."""
    recipe = Recipe("r", (str(texts),), (*LINKING, *behind))
    with pytest.raises(InputError, match="no document links to another page"):
        run_recipe(recipe, str(tmp_path / "out"), InlineRunner(), on_done=lambda *_: None)


@pytest.mark.parametrize(
    ("assignment", "mend"),
    [
        (
            "filter.input=step:extrct",
            "step:extrct names no step of the recipe; did you mean 'extract'",
        ),
        ("filter.input=step:dedup", "filter reads the later step dedup"),
    ],
)
def test_a_reference_that_leads_nowhere_is_refused_before_anything_is_read(
    texts, tmp_path, assignment, mend
):
    steps = (Step("extract", "extract"), Step("filter", "filter"), Step("dedup", "dedup"))
    recipe = override(Recipe("r", (str(texts),), steps), [assignment])
    with pytest.raises(RecipeError, match=mend):
        run_recipe(recipe, str(tmp_path / "out"), InlineRunner(), on_done=lambda *_: None)
    assert not (tmp_path / "out").exists()
