"""Texts in a row without padding get the vectors that each gets on its own."""

import numpy as np
import pytest
import torch
import torch._inductor.config
from corpusmill.classifiers import compiled
from corpusmill.classifiers.encoder import EncoderSettings, embed, grade
from corpusmill.classifiers.packed_batches import Packer, batches, can_pack
from corpusmill.classifiers.packed_encoder import PackedEncoder
from corpusmill.manifests.errors import ModelError
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from tests.classifiers.tiny_encoders import WORDS, write_encoder

TOKENS = 24
TEXTS = [
    "the cat sat on the mat",
    "buy now",
    "",
    " ".join(WORDS * 8),  # longer than what is read
    "theorem and proof of energy " * 3,
    "sale " * 200,
    "dog",
    "the cat sat on the mat",
    "cell " * 22,  # as long as what is read
    f"{'energy' * 20} cat " * 30,  # more characters than the first try reads
    "the [PAD] cat [PAD] [PAD] sat",  # RoBERTa does not count the padding token
] * 3


def packer_of(settings, *, pooling="mean", batch_tokens=100, max_tokens=TOKENS):
    """pooling: None for the model's own head."""
    kind = AutoModel if pooling else AutoModelForSequenceClassification
    model = kind.from_pretrained(settings.encoder).eval()
    tokenizer = AutoTokenizer.from_pretrained(settings.encoder)
    assert can_pack(model, tokenizer, "cpu")
    return Packer(
        model,
        tokenizer,
        pooling=pooling,
        normalise=True,
        max_tokens=max_tokens,
        batch_tokens=batch_tokens,
        device="cpu",
    )


@pytest.fixture(scope="module", params=["bert", "roberta"])
def kind(request):
    return request.param


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("batch_tokens", [1, 100, 10_000])
def test_vectors_of_packed_texts_are_those_of_single_texts(tmp_path, kind, pooling, batch_tokens):
    settings = EncoderSettings(
        encoder=write_encoder(tmp_path, kind=kind), max_tokens=TOKENS, pooling=pooling, device="cpu"
    )
    found = packer_of(settings, pooling=pooling, batch_tokens=batch_tokens).rows(TEXTS)
    for place, text in enumerate(TEXTS):
        np.testing.assert_allclose(found[place], embed(settings, [text])[0], atol=1e-5)


def test_grades_of_packed_texts_are_those_of_single_texts(tmp_path, kind):
    settings = EncoderSettings(
        encoder=write_encoder(tmp_path, kind=kind, outputs=1), max_tokens=TOKENS, device="cpu"
    )
    found = packer_of(settings, pooling=None).rows(TEXTS)[:, 0]
    single = np.concatenate([grade(settings, [text]) for text in TEXTS])
    assert np.ptp(single) > 1e-5  # random weights tell texts apart by little
    np.testing.assert_allclose(found, single, atol=2e-7)


@pytest.mark.parametrize(("gpu", "packs"), [((7, 0), False), ((7, 5), False), ((8, 0), True)])
def test_gpus_without_attention_for_mixed_lengths_get_padded_batches(
    tmp_path, monkeypatch, gpu, packs
):
    settings = EncoderSettings(encoder=write_encoder(tmp_path))
    packer = packer_of(settings)
    tokenizer = AutoTokenizer.from_pretrained(settings.encoder)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: gpu)
    assert can_pack(packer.model, tokenizer, "cuda") == packs


def test_without_a_compiler_the_encoder_runs_uncompiled(tmp_path, monkeypatch, caplog):
    settings = EncoderSettings(encoder=write_encoder(tmp_path))
    packer = packer_of(settings)
    expected = packer.rows(TEXTS)
    monkeypatch.setattr(compiled.Compiled, "fails", False)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "nothing compiled"))
    with torch._inductor.config.patch({"cpp.cxx": ("no-such-compiler",)}):
        packer.encoder = PackedEncoder(packer.model, compiled=True)
        found = packer.rows(TEXTS)
    np.testing.assert_array_equal(found, expected)
    own = [record for record in caplog.records if record.name == compiled.__name__]
    assert [record.getMessage()[:20] for record in own] == ["torch.compile failed"]


def test_more_tokens_than_the_encoder_has_positions_are_refused(tmp_path, kind):
    settings = EncoderSettings(encoder=write_encoder(tmp_path, kind=kind))
    with pytest.raises(ModelError, match=r"set max_tokens to 6[34] or less"):
        packer_of(settings, max_tokens=65)


def test_batches_hold_every_text_once_and_those_of_full_length_come_in_one_shape():
    lengths = np.random.default_rng(0).choice([3, 17, 64], 200, p=[0.2, 0.3, 0.5])
    texts = [(place, np.zeros(length, np.int32)) for place, length in enumerate(lengths)]
    found = list(batches(texts, 64, 256))
    assert sorted(place for batch in found for place, _ in batch) == list(range(200))
    assert all(sum(len(ids) for _, ids in batch) <= 256 for batch in found)
    full = [batch for batch in found if all(len(ids) == 64 for _, ids in batch)]
    assert len(full) >= (lengths == 64).sum() // 4
    assert {len(batch) for batch in full if len(batch) > 3} == {4}
