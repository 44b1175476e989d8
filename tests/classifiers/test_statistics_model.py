"""The text statistics: known values on small texts, any input, and no influence of other texts.

And the scorer over them.
"""

import numpy as np
import pytest
from corpusmill.classifiers import statistics_model
from corpusmill.classifiers.linear import fit_logistic
from corpusmill.classifiers.statistics_model import FEATURES, StatisticsScorer, measure
from corpusmill.manifests.errors import ModelError
from hypothesis import given, settings
from hypothesis import strategies as st


def values(text):
    return dict(zip(FEATURES, measure([text])[0].tolist(), strict=True))


def test_known_values():
    found = values("The cat of A. Dog sat (on you), 42!")
    assert found["upper_share"] == pytest.approx(3 / 20)
    assert found["digit_share"] == pytest.approx(2 / 35)
    assert found["capital_word_share"] == pytest.approx(3 / 9)
    assert found["article_rate"] == pytest.approx(2 / 9)
    assert found["preposition_rate"] == pytest.approx(1 / 9)
    assert found["address_rate"] == pytest.approx(1 / 9)
    assert found["parenthesis_rate"] == pytest.approx(2 / 9)
    assert found["comma_rate"] == pytest.approx(1 / 9)
    assert found["emphasis_rate"] == pytest.approx(1 / 9)
    assert found["word_bytes"] == pytest.approx(22 / 9)
    assert found["words_per_sentence_log"] == pytest.approx(np.log1p(9 / 3))


def test_characters_outside_ascii_count_once():
    assert values("åäö")["non_ascii_share"] == 1.0
    assert values("日本語 x")["non_ascii_share"] == pytest.approx(3 / 5)


def test_marks_outside_ascii_are_no_words():
    assert values("one — “two” • three…")["word_bytes"] == pytest.approx(11 / 3)


def test_menu_marks_and_words_that_pages_say_of_themselves():
    assert values("Home » News © 2024 Read more...")["menu_rate"] == pytest.approx(3 / 5)
    assert values("Click here to subscribe, Comments")["web_rate"] == pytest.approx(3 / 5)


def test_variety_tells_repetition_from_text():
    assert (
        values("spam " * 100)["variety"]
        < 0.5
        < values("each of these words stands here just once")["variety"]
    )


def test_the_same_words_in_other_lines_have_the_same_statistics():
    """Layout does not count: a hard-wrapped text and the same text on one line are equal."""
    text = "Energy is neither made nor lost, it only changes its form. This is the first law."
    assert measure([text]).tolist() == measure([text.replace(" ", "\n")]).tolist()


@settings(max_examples=60)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=8))
def test_every_text_has_finite_numbers_that_do_not_depend_on_its_neighbours(texts):
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    found = measure(texts)
    assert found.shape == (len(texts), len(FEATURES))
    assert np.isfinite(found).all()
    assert found.tolist() == [measure([text])[0].tolist() for text in texts]


def test_the_size_of_a_block_does_not_show(monkeypatch):
    texts = ["", "One text, short.", "Zwei Wörter", "\n\n"] * 50
    whole = measure(texts)
    monkeypatch.setattr(statistics_model, "BLOCK_BYTES", 64)
    assert measure(texts).tolist() == whole.tolist()


def test_no_texts_give_no_rows():
    assert measure([]).shape == (0, len(FEATURES))


def test_the_scorer_applies_the_trained_model(tmp_path):
    prose = [
        f"The law of energy, which is old, was found in {year} by those who worked with heat."
        for year in range(50)
    ]
    menus = [f"Home » Login » Cart © {year} CLICK HERE!! Share..." for year in range(50)]
    x, y = measure(prose + menus), np.repeat([1.0, 0.0], 50)
    path = tmp_path / "statistics.safetensors"
    path.write_bytes(fit_logistic(x, y, {"features": list(FEATURES)}).to_bytes())
    scorer = StatisticsScorer(model=str(path))
    good, bad = scorer.score(
        ["A theory of the heat which is in bodies was given by Carnot.", "Login » Home © Share!!"]
    )
    assert good > 0.9
    assert bad < 0.1
    assert len(scorer.depends_on()) == 64


def test_a_model_over_other_statistics_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    path.write_bytes(
        fit_logistic(np.eye(4), np.array([0, 1.0, 0, 1]), {"features": ["a"]}).to_bytes()
    )
    with pytest.raises(ModelError, match="train it again"):
        StatisticsScorer(model=str(path)).depends_on()
