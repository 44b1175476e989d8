"""A recipe's `kind` chooses the scorer. Texts come out of Arrow singly, whatever their bytes."""

import pyarrow as pa
import pytest
from corpusmill.classifiers.embedding import EmbeddingScorer
from corpusmill.classifiers.fasttext_model import FastTextScorer
from corpusmill.classifiers.scorer import ScorerConfig, readable_texts
from corpusmill.classifiers.static_model import StaticScorer
from corpusmill.classifiers.statistics_model import StatisticsScorer
from pydantic import TypeAdapter, ValidationError

ADAPTER = TypeAdapter(ScorerConfig)


def test_the_kind_chooses_the_class():
    assert ADAPTER.validate_python({"kind": "fasttext", "model": "m"}) == FastTextScorer(model="m")
    assert ADAPTER.validate_python({"kind": "embedding", "encoder": "e"}) == EmbeddingScorer(
        encoder="e"
    )
    assert ADAPTER.validate_python({"kind": "static", "model": "m"}) == StaticScorer(model="m")
    assert ADAPTER.validate_python({"kind": "statistics", "model": "m"}) == StatisticsScorer(
        model="m"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "m"},
        {"kind": "magic", "model": "m"},
        {"kind": "statistics", "model": "m", "encoder": "e"},
    ],
)
def test_no_kind_an_unknown_kind_and_another_kinds_keys_are_refused(wrong):
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(wrong)


def test_bytes_that_are_not_utf8_cost_only_their_row():
    broken = pa.array([b"good", b"\xff\xfe", None, "ö".encode()], pa.binary()).view(pa.string())
    assert readable_texts(broken) == ["good", None, None, "ö"]
    assert readable_texts(pa.chunked_array([broken])) == ["good", None, None, "ö"]
