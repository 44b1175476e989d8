"""The static scorer: it learns what a bag of words can tell, and its file gives the same scores."""

import numpy as np
import pytest
from corpusmill.classifiers.linear import fit_ridge
from corpusmill.classifiers.perceptron import Perceptron, fit_perceptron
from corpusmill.classifiers.static_model import (
    StaticModel,
    StaticScorer,
    StaticTraining,
    fit_static,
)
from corpusmill.classifiers.static_table import StaticTable, load_table
from corpusmill.manifests.errors import ModelError, RecipeError

from tests.classifiers.static_tables import write_table
from tests.classifiers.tiny_encoders import TOPICS, write_encoder

GOOD, BAD = TOPICS[1].split(), TOPICS[2].split()


def texts(number, seed=0):
    """(texts, labels): of 30 words each, three quarters from the words of its label."""
    draw = np.random.default_rng(seed)
    labels = np.arange(number) % 2
    return [
        " ".join(draw.choice(GOOD if draw.random() < 0.25 + label / 2 else BAD) for _ in range(30))
        for label in labels
    ], labels.astype(np.float64)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_table(tmp_path_factory.mktemp("tables") / "plain")


def trained(settings, number=200, link="logistic", scale=1.0):
    shown, labels = texts(number)
    made = settings.made()
    tokens = list(made.tokens(shown, settings.max_tokens))
    return fit_static(settings, made, tokens, labels * scale, link)


def write(model, path):
    path.write_bytes(model.to_bytes())
    return StaticScorer(model=str(path))


def test_it_tells_apart_texts_that_it_has_not_seen(table, tmp_path):
    scorer = write(trained(StaticTraining(table=table)), tmp_path / "m.safetensors")
    unseen, labels = texts(100, seed=1)
    found = scorer.score(unseen)
    assert found.dtype == np.float32
    assert ((found >= 0.5) == labels).mean() > 0.9
    assert ((found > 0) & (found < 1)).all()


def test_the_file_gives_the_scores_of_the_model_that_was_evaluated(table, tmp_path):
    settings = StaticTraining(table=table)
    model = trained(settings)
    unseen, _ = texts(20, seed=1)
    scores = model.score(list(model.table.tokens(unseen, settings.max_tokens)))
    np.testing.assert_array_equal(write(model, tmp_path / "m.safetensors").score(unseen), scores)


def test_grades_are_learned_as_numbers(table, tmp_path):
    model = trained(StaticTraining(table=table), link="identity", scale=5.0)
    unseen, labels = texts(100, seed=1)
    found = write(model, tmp_path / "m.safetensors").score(unseen)
    assert np.mean((found - labels * 5) ** 2) < 2.0, "guessing the mean grade costs 6.25"


def test_the_same_sample_gives_the_same_bytes_and_another_seed_gives_others(table):
    import torch

    settings = StaticTraining(table=table)
    before = torch.get_num_threads()
    first = trained(settings).to_bytes()
    torch.set_num_threads(2)
    torch.rand(3)
    again = trained(settings).to_bytes()
    torch.set_num_threads(before)
    assert first == again
    assert first != trained(StaticTraining(table=table, seed=1)).to_bytes()


def test_training_leaves_the_random_numbers_of_others_alone(table):
    import torch

    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    trained(StaticTraining(table=table))
    assert torch.equal(torch.rand(3), expected)


def test_a_table_from_an_encoder_is_weighted_by_the_sample_and_kept_in_the_file(tmp_path):
    encoder = write_encoder(tmp_path / "encoder")
    settings = StaticTraining(encoder=encoder, dimension=8)
    model = trained(settings)
    raw = settings.made().vectors
    assert raw.shape[1] == 8
    lengths = np.linalg.norm(model.table.vectors, axis=1) / np.linalg.norm(raw, axis=1)
    used = {token for ids in model.table.tokens(texts(200)[0], 64) for token in ids.tolist()}
    assert all((share < 0.1) == (token in used) for token, share in enumerate(lengths))
    scorer = write(model, tmp_path / "m.safetensors")
    for path in (tmp_path / "encoder").iterdir():
        path.unlink()
    unseen, labels = texts(100, seed=1)
    assert ((scorer.score(unseen) >= 0.5) == labels).mean() > 0.9


def test_a_text_without_a_known_token_has_no_score_and_costs_no_other(table, tmp_path):
    scorer = write(trained(StaticTraining(table=table)), tmp_path / "m.safetensors")
    unknown, empty, known = scorer.score(["qqq", "", "theorem"])
    assert np.isnan(unknown)
    assert np.isnan(empty)
    assert known == scorer.score(["theorem"])[0] > 0.5


def test_no_text_with_a_known_token_is_an_error(table):
    settings = StaticTraining(table=table)
    with pytest.raises(ModelError, match="no text has a token"):
        fit_static(settings, settings.made(), [np.zeros(0, np.int32)], np.ones(1), "logistic")


def test_other_files_are_refused(table, tmp_path):
    other = tmp_path / "other.safetensors"
    other.write_bytes(fit_ridge(np.eye(3), np.ones(3), {}).to_bytes())
    with pytest.raises(ModelError, match="not a static model"):
        StaticScorer(model=str(other)).depends_on()
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(trained(StaticTraining(table=table)).to_bytes()[:500])
    with pytest.raises(ModelError, match="not a static model"):
        StaticScorer(model=str(cut)).depends_on()
    with pytest.raises(ModelError, match="does not exist"):
        StaticScorer(model=str(tmp_path / "none")).depends_on()


@pytest.mark.parametrize(
    "wrong",
    [
        {"vectors": np.ones(9, np.float16)},
        {"mean": np.zeros(3, np.float32)},
        {"hidden": np.zeros((4, 3), np.float32)},
        {"output": np.zeros((4, 1), np.float32)},
        {"scale": np.ones(8, np.float32)},
        {"max_tokens": 0},
        {"max_tokens": None},
        {"link": "cubic"},
    ],
)
def test_a_file_whose_parts_do_not_fit_together_is_refused(table, tmp_path, wrong):
    path = tmp_path / "m.safetensors"
    tokenizer = load_table(table).tokenizer
    vectors = np.ones((len(load_table(table).vectors), 8), np.float32)
    head = {
        "mean": np.zeros(8, np.float32),
        "scale": np.ones(1, np.float32),
        "hidden": np.zeros((4, 8), np.float32),
        "hidden_bias": np.zeros(4, np.float32),
        "output": np.zeros(4, np.float32),
        "output_bias": np.zeros(1, np.float32),
    }
    head |= {name: one for name, one in wrong.items() if name in head}
    model = StaticModel(
        StaticTable(wrong.get("vectors", vectors), tokenizer),
        Perceptron(**head, link=wrong.get("link", "logistic")),
        wrong.get("max_tokens", 512),
    )
    path.write_bytes(model.to_bytes())
    with pytest.raises(ModelError, match="not a static model"):
        StaticScorer(model=str(path)).depends_on()


def test_a_table_that_cannot_be_used_is_refused_before_documents_are_read(tmp_path):
    few = write_table(tmp_path / "few", embeddings=np.zeros((3, 2), np.float32))
    with pytest.raises(ModelError, match="has 3 vectors for"):
        StaticTraining(table=few).depends_on()


@pytest.mark.parametrize("given", [{}, {"table": "a", "encoder": "b"}])
def test_there_is_one_table(given):
    with pytest.raises(RecipeError, match="one table of token vectors"):
        StaticTraining(**given)


def test_the_network_learns_what_no_linear_model_can():
    inputs = np.random.default_rng(0).normal(size=(600, 2)).astype(np.float32)
    labels = (inputs[:, 0] * inputs[:, 1] > 0).astype(np.float64)
    model = fit_perceptron(inputs, labels, 32, "logistic", seed=0)
    assert ((model.score(inputs) >= 0.5) == labels).mean() > 0.9


def test_equal_rows_score_the_same_at_any_place_of_a_batch():
    rows = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    model = fit_perceptron(rows, np.tile([0.0, 1.0, 0.0], 3), 32, "logistic", seed=0)
    found = model.score(np.repeat(rows, 7, axis=0)).reshape(9, 7)
    assert (found == found[:, :1]).all()


def test_vectors_of_no_spread_give_a_finite_score():
    same = np.ones((10, 4), np.float32)
    model = fit_perceptron(same, np.tile([0.0, 1.0], 5), 4, "logistic", seed=0)
    assert np.isfinite(model.score(same)).all()
    assert StaticTable(same, "{}").mean(np.array([1], np.int32)).tolist() == [1.0] * 4
