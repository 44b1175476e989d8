"""`trace OUT sequence:N`: the documents of a training sequence, by the ids that were packed."""

import json

import pytest
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.looking.trace_text import sequence_text
from corpusmill.manifests.manifest import read_manifest
from corpusmill.pipeline.recipe import Recipe, Step
from corpusmill.pipeline.run import run_recipe
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.stages.train.sequence import trace_sequence

SIZES = {
    "hidden_size": 32,
    "ffn_size": 32,
    "attention_heads": 2,
    "key_value_heads": 1,
    "head_dim": 16,
    "mamba_heads": 2,
}
MORE = {
    "mamba_head_dim": 16,
    "mamba_groups": 1,
    "mamba_state": 16,
    "vocab_size": 270,
    "chunk_size": 32,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model trained for 2 steps of 2 sequences on a blend of one source, `letters`."""
    folder = tmp_path_factory.mktemp("trained")
    lines = [json.dumps({"text": f"{number} some text " * 30}) for number in range(8)]
    (folder / "file.jsonl").write_text("\n".join(lines) + "\n")
    source = {"input": [str(folder / "file.jsonl")], "weight": 1}
    training = {
        "sequence_length": 32,
        "batch_size": 2,
        "steps": 2,
        "warmup_steps": 1,
        "device": "cpu",
        "threads": 1,
    }
    steps = (
        Step("extract", "extract"),
        Step("tokenizer", "tokenizer", (), {"vocab_size": 270}),
        Step(
            "blend",
            "blend",
            (),
            {"tokenizer": "step:tokenizer/tokenizer", "sources": {"letters": source}},
        ),
        Step("pack", "pack", (), {"tokenizer": "step:tokenizer/tokenizer"}),
        Step(
            "train",
            "train",
            (),
            {"model": {"pattern": "M*-", **SIZES, **MORE}, **training, "learning_rate": "1e-4"},
        ),  # YAML reads 1e-4 as text
    )
    recipe = Recipe("r", (str(folder / "file.jsonl"),), steps)
    run_recipe(recipe, str(folder / "out"), InlineRunner(), lambda folder, manifest: None)
    return str(folder / "out")


def test_a_document_is_named_by_its_source_in_the_blend(trained):
    found = trace_sequence(trained, "3")
    assert {document["source"] for document in found["documents"]} == {"letters"}
    assert {document["origin"]["file"].rsplit("/", 1)[-1] for document in found["documents"]} == {
        "file.jsonl"
    }
    assert "  letters\n" in sequence_text(found)


@pytest.mark.parametrize("number", ["4", "999999"])
def test_a_sequence_that_was_never_trained_on_is_refused_with_how_many_there_are(trained, number):
    with pytest.raises(InputError, match="trained on 4 sequences; give sequence:0 to sequence:3"):
        trace_sequence(trained, number)


def test_the_token_that_is_only_predicted_is_explained(trained):
    found = trace_sequence(trained, "0")
    assert found["tokens"] == 32
    assert sum(document["end"] - document["start"] for document in found["documents"]) == 33
    assert sequence_text(found).startswith(
        "training sequence 0 holds 32 tokens, and one more that is only predicted\n"
    )


def test_train_counts_the_documents_that_it_reached(trained):
    counts = read_manifest(f"{trained}/train").totals[0]
    reached = {
        document["id"]
        for number in range(4)
        for document in trace_sequence(trained, str(number))["documents"]
    }
    assert (counts.rows_in, counts.kept) == (8, len(reached))
    assert counts.unused == {"not_reached": 8 - len(reached)}
    assert len(reached) < 8
