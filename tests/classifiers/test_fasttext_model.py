"""The fastText scorer: the probability of the positive label of any supervised model.

Training gives the same bytes each time.
"""

import hashlib
import random
import shutil
import struct
from pathlib import Path

import fasttext
import numpy as np
import pytest
from corpusmill.classifiers.fasttext_model import (
    SMALLEST_MATRIX,
    FastTextScorer,
    FastTextTraining,
    one_line,
    trained,
)
from corpusmill.manifests.errors import ModelError, RecipeError

GOOD = ["theorem", "proof", "energy", "cell", "entropy", "lemma", "integral"]
BAD = ["buy", "sale", "price", "cart", "shipping", "offer", "discount"]
# Where a .bin says which kind of model it is: after magic, version and seven other numbers.
KIND_AT, SKIPGRAM, SUPERVISED = 36, 2, 3
SMALL = FastTextTraining(dimension=16, bucket=SMALLEST_MATRIX // 16, epochs=5)


def examples(number=200):
    chosen = random.Random(7)
    for place in range(number):
        positive = place % 2 == 0
        yield " ".join(chosen.choices(GOOD if positive else BAD, k=20)), positive


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("fasttext") / "fasttext.bin"
    with trained(examples(), SMALL) as made:
        shutil.copy(made, path)
    return str(path)


def test_good_text_scores_above_bad_text(model):
    good, bad = FastTextScorer(model=model).score([" ".join(GOOD), " ".join(BAD)])
    assert 1 >= good > 0.9
    assert 0 <= bad < 0.1


def test_training_twice_gives_the_same_bytes_and_another_seed_does_not():
    digests = []
    for seed in (1, 1, 1, 2):
        # Leave memory behind that is not zero.
        np.full(5_000_000, np.nan, np.float32).sum()
        with (
            trained(examples(), SMALL.model_copy(update={"seed": seed})) as path,
            open(path, "rb") as file,
        ):
            digests.append(hashlib.sha256(file.read()).hexdigest())
    assert digests[0] == digests[1] == digests[2] != digests[3]


def test_a_matrix_too_small_to_be_trained_twice_alike_is_refused_with_the_mend():
    with pytest.raises(RecipeError, match="set bucket to 1125000 or more"):
        FastTextTraining(dimension=8, bucket=1000)
    with pytest.raises(RecipeError, match="word_ngrams"):
        FastTextTraining(word_ngrams=1)


def test_a_score_does_not_depend_on_the_texts_beside_it(model):
    scorer = FastTextScorer(model=model)
    texts = [" ".join(GOOD[:3]), " ".join(BAD[:2]), "energy sale"]
    assert scorer.score(texts).tolist() == [scorer.score([text])[0] for text in texts]


@pytest.mark.parametrize("given", ["words", "raw"])
@pytest.mark.parametrize("text", ["theorem\nproof", "theorem\r\n\tproof", "theorem\x0b\x0cproof\n"])
def test_line_ends_of_any_kind_do_not_cut_the_text(model, given, text):
    scorer = FastTextScorer(model=model, text=given)
    assert scorer.score([text]).tolist() == scorer.score(["theorem proof"]).tolist()


def test_the_end_of_line_word_does_not_cut_the_text(model):
    scorer = FastTextScorer(model=model, text="raw")
    assert scorer.score(["theorem </s> proof"]).tolist() == scorer.score(["theorem proof"]).tolist()


def test_models_trained_here_see_words_only(model):
    plain = FastTextScorer(model=model).score(["theorem proof"])
    assert (
        FastTextScorer(model=model).score(["| Theorem - 12 (PROOF) |"]).tolist() == plain.tolist()
    )
    assert (
        FastTextScorer(model=model, text="raw").score(["| Theorem - 12 (PROOF) |"]).tolist()
        != plain.tolist()
    )


def test_a_label_in_the_text_is_a_word_like_any_other():
    assert "__label__" not in one_line("see __label__positive and __label____label__negative")
    with trained([*examples(), (f"{' '.join(BAD)} __label__positive", False)], SMALL) as path:
        assert sorted(fasttext.load_model(path).labels) == [
            "__label__negative",
            "__label__positive",
        ]


def test_a_text_of_which_the_model_knows_no_word_has_no_score_or_a_finite_one(model):
    found = FastTextScorer(model=model).score(["", "   ", "zzz"])
    assert ((found >= 0) & (found <= 1) | np.isnan(found)).all()


def test_only_the_beginning_of_a_long_text_is_read(model):
    scorer = FastTextScorer(model=model, max_chars=14)
    assert (
        scorer.score(["theorem proof " + "sale " * 1000]).tolist()
        == scorer.score(["theorem proof "]).tolist()
    )


def test_the_models_of_others_work_by_the_name_of_their_label(tmp_path, model):
    lines = tmp_path / "lines.txt"
    lines.write_text(
        "".join(f"__label__{'hq' if good else 'cc'} {text}\n" for text, good in examples())
    )
    foreign = fasttext.train_supervised(
        str(lines), dim=8, epoch=20, lr=0.5, bucket=100, thread=10, verbose=0
    )
    path = str(tmp_path / "foreign.bin")
    foreign.save_model(path)
    short, full = (
        FastTextScorer(model=path, positive="hq"),
        FastTextScorer(model=path, positive="__label__hq"),
    )
    assert short.score(["theorem proof"]).tolist() == full.score(["theorem proof"]).tolist()
    assert short.score(["theorem proof"])[0] > 0.9
    assert short.score(["theorem proof"])[0] != short.score(["THEOREM PROOF"])[0], (
        "models of others see the text as it is"
    )
    with pytest.raises(
        ModelError,
        match=r"no label __label__positive; it has __label__\w+, __label__\w+; set `positive`",
    ):
        FastTextScorer(model=path).depends_on()


def test_a_missing_file_a_damaged_one_and_word_vectors_are_refused(tmp_path, model):
    with pytest.raises(ModelError, match="does not exist"):
        FastTextScorer(model=str(tmp_path / "none.bin")).depends_on()
    (tmp_path / "bad.bin").write_bytes(b"not a model")
    with pytest.raises(ModelError, match="not a fastText model"):
        FastTextScorer(model=str(tmp_path / "bad.bin")).depends_on()
    whole = Path(model).read_bytes()
    for missing in (1, len(whole) // 2):  # fastText would read it, and score nothing or nonsense
        (tmp_path / "short.bin").write_bytes(whole[:-missing])
        with pytest.raises(ModelError, match="is cut short; copy or train it again"):
            FastTextScorer(model=str(tmp_path / "short.bin")).depends_on()
    # A model of word vectors by its header. fastText's own training of one on a short text ends in
    # NaN now and then.
    data = bytearray(whole)
    assert struct.unpack_from("<i", data, KIND_AT) == (SUPERVISED,)
    struct.pack_into("<i", data, KIND_AT, SKIPGRAM)
    (tmp_path / "vectors.bin").write_bytes(data)
    with pytest.raises(ModelError, match="word vectors"):
        FastTextScorer(model=str(tmp_path / "vectors.bin")).depends_on()


def test_the_dependency_is_the_digest_of_the_file(model):
    with open(model, "rb") as file:
        assert FastTextScorer(model=model).depends_on() == hashlib.sha256(file.read()).hexdigest()


def test_nothing_to_learn_from_is_an_error_with_the_mend():
    with pytest.raises(ModelError, match="give more text"), trained([], SMALL):
        pass
