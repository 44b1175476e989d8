"""The two stages of compression, from token shards to a smaller model that loads elsewhere."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from corpusmill.commands.stages import print_finished
from corpusmill.compression.memory import Serving, parameters_of
from corpusmill.compression.space import Sizes
from corpusmill.compression.step_times import key_of
from corpusmill.manifests.errors import CorpusmillError, ModelError
from corpusmill.manifests.looking.verify import verify
from corpusmill.manifests.manifest import read_manifest
from corpusmill.manifests.receipt import list_receipts
from corpusmill.pipeline.accounts import LostRows
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.stages.compress.candidates import Candidate, rank_correlation, winner
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.data import PackedStream
from corpusmill.trainer.export import export, write_model
from corpusmill.trainer.importing import load_pretrained, read_shape
from corpusmill.trainer.model import HybridModel, initialise
from corpusmill.trainer.shape import HybridConfig
from corpusmill.trainer.train import train

from tests.compression.shards import write_shards, write_tokenizer

SHAPE = HybridConfig(
    pattern="M-M*-M-",
    hidden_size=32,
    ffn_size=48,
    attention_heads=4,
    key_value_heads=2,
    head_dim=8,
    mamba_heads=8,
    mamba_head_dim=6,
    mamba_groups=2,
    mamba_state=8,
    chunk_size=16,
    vocab_size=64,
)
SHARED = {
    "sequence_length": 16,
    "batch_size": 4,
    "eval_fraction": 0.2,
    "device": "cpu",
    "threads": 1,
}
MEASURING = {**SHARED, "sequences": 12, "layer_sequences": 6}
DISTILLING = {
    "finalists": 3,
    "tokens": 16 * 4 * 30,
    "final_tokens": 16 * 4 * 20,
    "batch_size": 4,
    "learning_rate": 3e-3,
    "warmup_steps": 2,
    "checkpoint_every": 2,
}
SMALLER = {
    **SHARED,
    "budget": {"parameters": 28_500},
    "space": {
        "ffn_size": [24, 32, 40, 48],
        "mamba_heads": [6, 8],
        "mamba_layers": [2, 3],
        "ffn_layers": [2, 3],
    },
    "candidates": 5,
    "validation_sequences": 6,
    "distillation": DISTILLING,
    "export_dtype": "float32",
}


def run(verb, folder, settings, data):
    return run_step(Step(verb, verb, (), settings), (str(data),), str(folder), InlineRunner())


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    """(the folder of a trained parent, the token shards that it was trained on)."""
    folder = tmp_path_factory.mktemp("parent")
    shards = write_shards(folder / "pack", 64)
    config = TrainConfig(
        model=SHAPE,
        sequence_length=16,
        batch_size=8,
        steps=150,
        warmup_steps=10,
        learning_rate=1e-2,
        eval_fraction=0.2,
        device="cpu",
        threads=1,
    )
    result = train(config, shards, folder / "run")
    tokenizer = write_tokenizer(folder / "tokenizer", 64)
    export(result.checkpoint, tokenizer, folder / "model", "float32", 512)
    return folder / "model", folder / "pack"


@pytest.fixture(scope="module")
def measured(parent, tmp_path_factory):
    """The output of importance."""
    folder = tmp_path_factory.mktemp("measured") / "importance"
    run("importance", folder, {**MEASURING, "parent": str(parent[0])}, parent[1])
    return folder


@pytest.fixture(scope="module")
def compressed(parent, measured, tmp_path_factory):
    """(its manifest, its folder)."""
    folder = tmp_path_factory.mktemp("compressed") / "compress"
    return compress(folder, parent, measured), folder


def compress(folder, parent, measured, **changes):
    named = {"parent": str(parent[0]), "importance": str(measured)}
    return run("compress", folder, {**SMALLER, **named, **changes}, parent[1])


def table_of(folder):
    return pq.read_table(folder / "candidates.parquet").to_pylist()


def test_importance_leaves_scores_a_picture_and_a_ranking(measured):
    table = pq.read_table(measured / "importance.parquet").to_pylist()
    parts = {row["part"] for row in table}
    assert parts == {"layer", "layer_rank", "hidden", "ffn", "mamba", "attention"}
    record = json.loads((measured / "importance.json").read_text())
    assert (record["sequences"], record["layer_sequences"]) == (12, 6)
    picture = (measured / "layers.svg").read_text()
    assert picture.count("<title>layer ") == len(SHAPE.pattern)
    ranking = (measured / "summary.txt").read_text().splitlines()
    mamba = [line.split() for line in ranking if " mamba " in line]
    ranks = [float(line[3]) for line in mamba]
    assert [int(line[0]) for line in mamba] == [1, 2, 3]
    assert ranks == sorted(ranks)


def test_the_command_prints_the_summary(measured, capsys):
    print_finished(str(measured), read_manifest(str(measured)))
    assert capsys.readouterr().out.endswith((measured / "summary.txt").read_text())


def test_pieces_do_not_change_the_scores(parent, measured, tmp_path):
    settings = {**MEASURING, "parent": str(parent[0]), "pieces": 3}
    run("importance", tmp_path / "importance", settings, parent[1])
    found, expected = (
        pq.read_table(folder / "importance.parquet")
        for folder in (tmp_path / "importance", measured)
    )
    places = ["part", "layer", "index"]
    assert found.select(places).equals(expected.select(places))
    np.testing.assert_allclose(found["score"], expected["score"], atol=1e-4)


def test_the_child_meets_the_budget_and_loads_as_written(compressed):
    manifest, folder = compressed
    shape = read_shape(folder)
    assert parameters_of(shape) <= 28_500
    assert json.loads((folder / "config.json").read_text())["max_position_embeddings"] == 512
    child = HybridModel(shape)
    load_pretrained(folder, child)
    assert torch.isfinite(child(torch.arange(16).unsqueeze(0))).all()
    names = {output.name for output in manifest.outputs}
    assert {"model.safetensors", "config.json", "tokenizer.json", "candidates.parquet"} <= names
    assert {"memory.svg", "speed.svg", "summary.txt"} <= names
    assert {Path(item.path).name for item in manifest.parents} >= {"importance"}


def test_every_child_is_a_row_with_what_was_measured(compressed):
    rows = table_of(compressed[1])
    assert rows[0]["name"] == "parent"
    assert rows[0]["relative_speed"] == 1
    assert rows[0]["agreement"] == 1
    assert rows[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert rows[-1]["name"] == "child"
    children = rows[1:-1]
    assert len(children) == 5
    assert all(row["parameters"] <= 28_500 < rows[0]["parameters"] for row in children)
    assert all(row["relative_speed"] > 1 for row in children)
    assert all(row["kl"] > 0.01 for row in children)
    ratings = [row["accuracy"] + row["agreement"] for row in children]
    assert ratings == sorted(ratings, reverse=True)
    assert [row["distilled_loss"] is not None for row in children] == [True] * 3 + [False] * 2


def test_the_child_of_least_loss_after_distillation_is_chosen(compressed):
    rows = table_of(compressed[1])
    chosen = [row for row in rows if row["chosen"]]
    distilled = [row for row in rows[1:-1] if row["distilled_loss"] is not None]
    assert [row["name"] for row in chosen] == [
        min(distilled, key=lambda row: row["distilled_loss"])["name"],
        "child",
    ]
    assert all(row["distilled_kl"] < row["kl"] for row in distilled)
    assert chosen[1]["distilled_kl"] < chosen[1]["kl"]
    assert chosen[1]["distilled_kl"] != chosen[0]["distilled_kl"]  # it was trained on
    summary = (compressed[1] / "summary.txt").read_text()
    assert summary.count("rank correlation") == 2
    assert summary.count("\n*") == 2


def test_the_account_and_the_lineage_hold(compressed, measured):
    for folder in (measured, compressed[1]):
        assert not verify(str(folder)).problems
    (total,) = compressed[0].totals
    assert total.rows_in == 60
    assert total.tokens == 16 * 4 * 50


def test_a_document_that_is_neither_used_nor_left_ends_the_run(parent, tmp_path, monkeypatch):
    right = PackedStream.documents_from
    monkeypatch.setattr(PackedStream, "documents_from", lambda *given: max(0, right(*given) - 1))
    settings = {**MEASURING, "parent": str(parent[0])}
    with pytest.raises(LostRows, match="the account of importance does not balance"):
        run("importance", tmp_path / "importance", settings, parent[1])


def test_a_run_goes_on_where_it_stopped(compressed, parent, measured, tmp_path, monkeypatch):
    """It stops in the second finalist. The first is not distilled again, and bytes are equal."""
    from corpusmill.stages.compress import work

    distil, begun = work.distil.distil, []

    class Stop(Exception):
        pass

    def stopping(*given):
        begun.append(given[2].name)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return distil(*given)

    folder = tmp_path / "compress"
    with monkeypatch.context() as patch:
        patch.setattr(work.distil, "distil", stopping)
        with pytest.raises(KeyboardInterrupt):
            compress(folder, parent, measured)
    done = {
        receipt.shard for receipt in list_receipts(str(folder)) if receipt.pass_name == "distil"
    }
    assert done == {begun[0]}
    manifest = compress(folder, parent, measured)
    assert manifest.digest == compressed[0].digest
    assert manifest.work.reused == 1 + 5 + 5 + 1  # sample, widths, score, one finalist


def test_stored_targets_teach_as_the_teacher_does(compressed, parent, measured, tmp_path):
    """With the whole vocabulary stored, only the rounding to 16 bits is between the two."""
    folder = tmp_path / "compress"
    targets = {"top_k": 64, "sequences": 50}
    compress(folder, parent, measured, distillation={**DISTILLING, "targets": targets})
    for found, expected in zip(table_of(folder), table_of(compressed[1]), strict=True):
        assert found["name"] == expected["name"]
        for name in ("distilled_loss", "distilled_kl"):
            if expected[name] is not None:
                assert found[name] == pytest.approx(expected[name], rel=0.01, abs=1e-4)
    stored = pq.read_table(folder / "work" / "targets", columns=["row"])
    assert stored.num_rows == 30 * 4  # the longest run's
    receipts = [item for item in list_receipts(str(folder)) if item.pass_name == "targets"]
    assert [item.shard for item in receipts] == [f"rows-{n:010d}" for n in (0, 50, 100)]
    assert all(len(item.inputs) == 1 for item in receipts)  # its own sequences
    assert not verify(str(folder)).problems


def test_a_budget_of_time_is_met_by_the_measured_layers(parent, measured, tmp_path, monkeypatch):
    """The clock is replaced by one that always shows the same: Mamba layers take most time."""
    shown = []

    def measure_steps(shape, choices, serving, device, dtype, report):
        shown.append((serving.batch, serving.context, str(device)))
        times = {key_of(shape, ""): 0.001, key_of(shape, "*"): 0.001}
        for heads in (6, 8):
            changed = shape.model_copy(update={"mamba_heads": heads})
            times[key_of(changed, "M")] = 0.001 * heads
        for size in (*choices["ffn_size"], 48):
            changed = shape.model_copy(update={"ffn_size": size})
            times[key_of(changed, "-")] = 0.00001 * size
        return times

    monkeypatch.setattr("corpusmill.compression.clock.measure_steps", measure_steps)
    folder = tmp_path / "compress"
    serving = {"batch": 3, "context": 128}
    layers = {"mamba_layers": [2, 3], "ffn_layers": [2, 3]}
    space = {**layers, "mamba_heads": [6], "ffn_size": [24, 32]}  # not the parent's widths
    changes = {
        "budget": {"step_ms": 22, "serving": serving},
        "space": space,
        "distillation": None,
    }
    compress(folder, parent, measured, **changes)
    assert shown == [(3, 128, "cpu")]
    rows = table_of(folder)
    # 3 layers of 8 heads, 3 FFNs of 48, one attention layer, the head: more than 22 ms
    assert rows[0]["step_ms"] == pytest.approx(3 * 8 + 3 * 0.48 + 1 + 1)
    assert all(row["step_ms"] <= 22 for row in rows[1:])
    assert "step ms" in (folder / "summary.txt").read_text()
    compress(folder, parent, measured, **changes)
    assert len(shown) == 1  # what was measured counts, also in a run that goes on


def test_without_distillation_the_best_rated_child_is_pruned(parent, measured, tmp_path):
    compress(tmp_path / "compress", parent, measured, distillation=None)
    rows = table_of(tmp_path / "compress")
    assert rows[1]["chosen"]
    assert rows[1]["pattern"] == read_shape(tmp_path / "compress").pattern == rows[-1]["pattern"]
    # the child that was written is the one that was compared
    assert rows[-1]["distilled_loss"] == pytest.approx(rows[1]["loss"], rel=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget": {"parameters": 900}}, "no child meets the budget; the nearest one (mamba_"),
        ({"space": {"ffn_size": [96]}}, "space.ffn_size holds 96, and the parent has 48"),
        ({"eval_fraction": 1e-9}, "no document falls into the held-out fraction"),
        ({"distillation": {**DISTILLING, "warmup_steps": 99}}, "warmup_steps 99 is not less than"),
        (
            {
                "space": {"hidden_size": [16, 32]},
                "budget": {"parameters": 20_000},
                "distillation": {**DISTILLING, "hidden_loss": 1.0},
            },
            "space.hidden_size has other widths than the parent's",
        ),
        (
            {"distillation": {**DISTILLING, "teacher_precision": "fp8"}},
            "precision fp8 needs multiples of 16",
        ),
        (
            {"distillation": {**DISTILLING, "targets": {"top_k": 65}}},
            "top_k is 65, and the vocabulary has 64 tokens",
        ),
        (
            {"distillation": {**DISTILLING, "targets": {}, "hidden_loss": 1.0}},
            "needs the teacher's hidden states",
        ),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(parent, measured, tmp_path, changes, message):
    with pytest.raises(CorpusmillError) as refused:
        compress(tmp_path / "compress", parent, measured, **changes)
    assert message in str(refused.value)
    assert "; " in str(refused.value)
    assert "\n" not in str(refused.value)


def test_too_little_memory_says_what_to_lower(parent, measured, tmp_path, monkeypatch):
    def full(*given):
        raise torch.OutOfMemoryError

    monkeypatch.setattr("corpusmill.compression.compare.compare", full)
    with pytest.raises(ModelError, match=r"too little memory .* 4 sequences of 16 .*; lower batch"):
        compress(tmp_path / "compress", parent, measured)


@pytest.mark.parametrize(
    ("losses", "best"), [((2.3, 2.2), "wide"), ((2.2004, 2.2001), "narrow"), ((2.1, 2.2), "narrow")]
)
def test_the_least_loss_wins_and_of_a_tie_the_faster_child(losses, best):
    def child(name, ffn_size, loss):
        shape = SHAPE.model_copy(update={"ffn_size": ffn_size})
        pruned = {"accuracy": 0.5, "agreement": 0.5}
        plain = shape.model_dump(mode="json")
        return Candidate(name, Sizes.of(shape), plain, pruned, {"loss": loss})

    children = [child("narrow", 24, losses[0]), child("wide", 48, losses[1])]
    assert winner(children, Serving()).name == best


def test_rank_correlation_is_spearmans_over_the_children():
    def rows(*pairs):
        return [{"name": f"{n}", "one": a, "other": b} for n, (a, b) in enumerate(pairs)]

    assert rank_correlation(rows((1, 10), (2, 20), (9, 30)), "one", "other") == pytest.approx(1)
    assert rank_correlation(rows((1, 3), (2, 2), (9, 1)), "one", "other") == pytest.approx(-1)
    assert rank_correlation(rows((1, 1), (2, None), (3, 3)), "one", "other") is None
    parent = {"name": "parent", "one": 0, "other": 99}
    found = rank_correlation([parent, *rows((1, 1), (2, 2), (3, 3))], "one", "other")
    assert found == pytest.approx(1)


def test_a_parent_of_another_family_is_refused(parent, measured, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(CorpusmillError, match="only nemotron_h models"):
        compress(tmp_path / "compress", (other, parent[1]), measured)


def test_the_importance_of_another_parent_is_refused(parent, measured, tmp_path):
    other = HybridModel(SHAPE)
    initialise(other, 4)
    write_model(other, parent[0], tmp_path / "other", "float32", 512)
    with pytest.raises(CorpusmillError, match="measured on another parent; run `corpusmill impor"):
        compress(tmp_path / "compress", (tmp_path / "other", parent[1]), measured)
