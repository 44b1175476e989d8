"""Tables of token vectors: model2vec's folders as they are, and tables made from an encoder."""

import numpy as np
import pytest
from corpusmill.classifiers.encoder import EncoderSettings
from corpusmill.classifiers.static_table import (
    CHARACTERS_PER_TOKEN,
    StaticTable,
    distilled,
    load_table,
    principal_components,
    table_digest,
)
from corpusmill.manifests.errors import ModelError
from safetensors.numpy import load_file

from tests.classifiers.static_tables import write_table
from tests.classifiers.tiny_encoders import WORDS, write_encoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_table(tmp_path_factory.mktemp("tables") / "plain")


def vectors(table, *texts, max_tokens=64):
    return [table.mean(tokens) for tokens in table.tokens(texts, max_tokens)]


def test_a_text_is_the_mean_of_its_tokens_vectors(folder):
    rows = load_file(f"{folder}/model.safetensors")["embeddings"]
    the, cat = (1 + WORDS.index(word) for word in ("the", "cat"))
    (found,) = vectors(load_table(folder), "the cat the")
    np.testing.assert_allclose(found, (2 * rows[the] + rows[cat]) / 3, rtol=1e-6)


def test_unknown_tokens_do_not_count_and_a_text_of_them_has_no_vector(folder):
    known, mixed, unknown, empty = vectors(load_table(folder), "cat", "cat qqq", "qqq zzz", "")
    np.testing.assert_array_equal(known, mixed)
    assert np.isnan(unknown).all()
    assert np.isnan(empty).all()


def test_unigram_tokenizers_have_an_unknown_token_too():
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.Unigram([("cat", -1.0), ("<unk>", -9.0)], unk_id=1))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    table = StaticTable(np.eye(2, dtype=np.float32), tokenizer.to_str())
    assert [ids.tolist() for ids in table.tokens(["cat qq cat"], 8)] == [[0, 0]]


def test_only_the_first_tokens_count_and_only_the_text_that_can_hold_them_is_read(folder):
    table = load_table(folder)
    short, long = vectors(table, "cat dog", "cat dog theorem energy", max_tokens=2)
    np.testing.assert_array_equal(short, long)
    beyond = " " * (2 * CHARACTERS_PER_TOKEN) + "cat"
    assert np.isnan(vectors(table, beyond, max_tokens=2)).all()


def test_a_vector_does_not_depend_on_the_texts_beside_it(folder):
    table = load_table(folder)
    texts = ["the cat", "", "price sale buy now " * 9, "dog"]
    for alone, together in zip(
        [vectors(table, text)[0] for text in texts], vectors(table, *texts), strict=True
    ):
        np.testing.assert_array_equal(alone, together)


def test_model2vecs_weights_and_shared_rows_are_applied(tmp_path):
    tokens = len(WORDS) + 1
    shared = np.arange(6, dtype=np.float32).reshape(3, 2)
    mapping, weights = np.arange(tokens) % 3, np.linspace(1, 2, tokens)
    folder = write_table(tmp_path / "t", embeddings=shared, mapping=mapping, weights=weights)
    found = load_table(folder).vectors
    np.testing.assert_allclose(found, shared[mapping] * weights[:, None], rtol=1e-6)


def test_whole_numbers_as_vectors_are_read_as_numbers(tmp_path):
    rows = np.arange((len(WORDS) + 1) * 2, dtype=np.int8).reshape(-1, 2)
    folder = write_table(tmp_path / "t", embeddings=rows)
    assert load_table(folder).vectors.tolist() == rows.tolist()


def test_vectors_in_bfloat16_are_read(tmp_path):
    import torch
    from safetensors.torch import save_file

    folder = write_table(tmp_path / "t")
    rows = torch.arange((len(WORDS) + 1) * 2).reshape(-1, 2).bfloat16()
    save_file({"embeddings": rows}, f"{folder}/model.safetensors")
    found = load_table(folder).vectors
    assert found.dtype == np.float32
    assert found.tolist() == rows.tolist()


@pytest.mark.parametrize(
    "wrong", [{"weights": np.ones(3)}, {"mapping": np.full(len(WORDS) + 1, 999)}]
)
def test_weights_or_a_mapping_of_another_table_are_refused(tmp_path, wrong):
    with pytest.raises(ModelError, match="do not fit together"):
        load_table(write_table(tmp_path / "t", **wrong))


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_folder_that_lacks_a_file_is_named_with_it(tmp_path, name):
    folder = write_table(tmp_path / "t")
    (tmp_path / "t" / name).unlink()
    with pytest.raises(ModelError, match=f"has no {name}"):
        table_digest(folder)


def test_an_encoder_is_not_a_table(tmp_path):
    with pytest.raises(ModelError, match="has no tensor `embeddings`"):
        load_table(write_encoder(tmp_path / "encoder"))


def test_damaged_files_and_too_few_vectors_are_errors_with_the_folder(tmp_path):
    few = write_table(tmp_path / "few", embeddings=np.zeros((3, 2), np.float32))
    with pytest.raises(ModelError, match=f"{few} has 3 vectors for {len(WORDS) + 1} tokens"):
        load_table(few)
    for name in ("model.safetensors", "tokenizer.json"):
        folder = write_table(tmp_path / name)
        (tmp_path / name / name).write_text("{damage")
        with pytest.raises(ModelError, match="cannot be read"):
            load_table(folder)


def test_a_table_from_an_encoder_has_what_the_encoder_says_of_each_token(tmp_path):
    """All principal components keep all distances between the tokens' own vectors."""
    import torch
    from transformers import AutoModel

    folder = write_encoder(tmp_path / "encoder")
    model = AutoModel.from_pretrained(folder).eval()
    tokens = len(WORDS) + 4
    with torch.inference_mode():  # 2 and 3 are [CLS] and [SEP]
        states = [model(torch.tensor([[2, token, 3]])).last_hidden_state for token in range(tokens)]
    own = torch.cat(states).mean(1).numpy()
    made = distilled(EncoderSettings(encoder=folder, device="cpu"), own.shape[1])
    np.testing.assert_allclose(
        np.linalg.norm(made.vectors[:, None] - made.vectors, axis=2),
        np.linalg.norm(own[:, None] - own, axis=2),
        atol=1e-4,
    )
    assert [ids.tolist() for ids in made.tokens(["the cat"], 8)] == [[4, 6]]


def test_an_encoder_with_another_tokenizer_is_refused(tmp_path):
    from transformers import AutoTokenizer

    folder = write_encoder(tmp_path / "encoder")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["extra"])
    tokenizer.save_pretrained(folder)
    tokens = len(WORDS) + 4
    with pytest.raises(ModelError, match=f"{tokens} token vectors for {tokens + 1} tokens"):
        distilled(EncoderSettings(encoder=folder, device="cpu"), 8)


def test_the_first_components_keep_most_of_the_spread_and_their_signs_are_fixed():
    spread = np.random.default_rng(1).normal(size=(50, 4)) * [9, 1, 5, 0.1]
    rows = spread.astype(np.float32)
    found = principal_components(rows, 2)
    assert found.var(0).sum() > 0.98 * rows[:, [0, 2]].var(0).sum()
    np.testing.assert_allclose(principal_components(rows[::-1], 2)[::-1], found, atol=1e-4)


def test_frequent_tokens_weigh_less(folder):
    table = StaticTable(np.ones((4, 1), np.float32), load_table(folder).tokenizer)
    sample = [np.array([0, 0, 0, 1], np.int32), np.array([0, 2], np.int32)]
    weights = table.weighted(sample).vectors[:, 0]
    shares = np.array([0.625, 0.125, 0.25, 0])  # each text counts alike
    np.testing.assert_allclose(weights, 1e-3 / (1e-3 + shares), rtol=1e-5)
