"""Ridge and logistic regression in closed form, and the file that holds them."""

import hashlib

import numpy as np
import pytest
from corpusmill.classifiers.evaluation import area_under_curve
from corpusmill.classifiers.linear import LinearModel, fit_logistic, fit_ridge, load_linear
from corpusmill.manifests.errors import ModelError


def sample(documents=400, width=12, noise=0.1, seed=0):
    chosen = np.random.default_rng(seed)
    x = chosen.normal(size=(documents, width)) * chosen.uniform(0.1, 10, width) + chosen.normal(
        size=width
    )
    truth = chosen.normal(size=width) / x.std(axis=0)
    return x, x @ truth + 3 + noise * chosen.normal(size=documents)


def test_ridge_finds_a_linear_relation_whatever_the_scale_of_its_inputs():
    x, y = sample(noise=0.01)
    error = fit_ridge(x[:300], y[:300], {}).score(x[300:]) - y[300:]
    assert np.abs(np.median(np.abs(error))) < 0.05 * y.std()


def test_ridge_takes_a_larger_penalty_where_there_is_nothing_to_learn():
    x, y = sample(noise=0.01)
    noise = np.random.default_rng(1).normal(size=400)
    assert fit_ridge(x, noise, {}).about["penalty"] > fit_ridge(x, y, {}).about["penalty"]


def test_ridge_works_with_fewer_documents_than_inputs_and_with_a_constant_input():
    x, y = sample(documents=10, width=40)
    x[:, 0] = 5
    assert np.isfinite(fit_ridge(x, y, {}).score(x)).all()


def test_logistic_scores_are_calibrated_probabilities():
    chosen = np.random.default_rng(0)
    x = chosen.normal(size=(4000, 3))
    probability = 1 / (1 + np.exp(-(x @ np.array([1.0, -2.0, 0.0]) + 0.5)))
    y = (chosen.uniform(size=4000) < probability).astype(float)
    found = fit_logistic(x, y, {}).score(x)
    assert found.mean() == pytest.approx(y.mean(), abs=0.01)
    assert np.abs(found - probability).mean() < 0.03


def test_logistic_regression_ends_on_labels_that_can_be_separated():
    x = np.arange(100.0)[:, None]
    y = (x[:, 0] >= 50).astype(float)
    found = fit_logistic(x, y, {}).score(x)
    assert area_under_curve(found, y) == 1.0
    assert np.isfinite(found).all()


def test_no_single_outlying_number_decides_a_score():
    x, y = sample()
    model = fit_ridge(x, y, {})
    wild = x[:1].copy()
    wild[0, 3] = 1e12
    assert (
        abs(float(model.score(wild)[0] - model.score(x[:1])[0])) <= 6 * np.abs(model.weights).max()
    )


def test_a_written_model_scores_as_before_and_equal_models_give_equal_bytes(tmp_path):
    x, y = sample()
    model = fit_logistic(x, (y > 3).astype(float), {"features": ["a", "b"], "note": 1})
    (tmp_path / "m.safetensors").write_bytes(model.to_bytes())
    again = load_linear(str(tmp_path / "m.safetensors"))
    assert again.score(x).tolist() == model.score(x).tolist()
    assert dict(again.about) == dict(model.about)
    assert len({hashlib.sha256(item.to_bytes()).hexdigest() for item in (model, again, model)}) == 1


@pytest.mark.parametrize("content", [b"", b"no model at all", b"\x02\0\0\0\0\0\0\0{}"])
def test_another_file_is_refused_with_the_mend(tmp_path, content):
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="classify-train"):
        load_linear(str(tmp_path / "m.safetensors"))


def test_a_safetensors_file_of_something_else_is_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"weights": np.zeros(3)}, tmp_path / "m.safetensors")
    with pytest.raises(ModelError, match="not a linear model"):
        load_linear(str(tmp_path / "m.safetensors"))


def test_the_link_decides_between_grades_and_probabilities():
    one = np.ones(1)
    grade = LinearModel(one, 0 * one, one, 2.0, "identity", {})
    chance = LinearModel(one, 0 * one, one, 2.0, "logistic", {})
    assert grade.score(np.array([[1.0]])).tolist() == [3.0]
    assert chance.score(np.array([[1.0]]))[0] == pytest.approx(0.9526, abs=1e-4)
