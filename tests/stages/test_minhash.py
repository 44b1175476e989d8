"""The MinHash kernels against plain Python: words, shingles, hashes, signatures and bands."""

import json
import random
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stages.dedup.match import text_buffers
from stages.kernels import minhash
from stages.kernels.word_rule import UNSPACED

GOLDEN = Path(__file__).with_name("test_minhash_golden.json")
TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=60)
EASY = st.text(alphabet="aAbß .,-’\n\u3000\u00a0漢字かナไทย𠀀😀ÉéΣ1", max_size=40)


def plain_words(text: str) -> list[str]:
    """The rule of `stages.kernels.word_rule`, the slow way."""
    words: list[str] = []
    for piece in text.split():
        word = ""
        for character in piece:
            code = ord(character)
            lowered = character.lower()
            small = code < 0x10000 and len(lowered) == 1 and ord(lowered) < 0x10000
            if code < 0x10000 and unicodedata.category(character)[0] in "PS":
                continue
            if any(first <= code <= last for first, last in UNSPACED):
                words += [word, character]
                word = ""
            else:
                word += lowered if small else character
        words.append(word)
    return [word for word in words if word]


def plain_shingles(text: str, ngram: int = 5) -> set[tuple[str, ...]]:
    words = plain_words(text)
    if not words:
        return set()
    return {tuple(words[i : i + ngram]) for i in range(max(1, len(words) - ngram + 1))}


def plain_jaccard(left: str, right: str, ngram: int = 5) -> float:
    one, other = plain_shingles(left, ngram), plain_shingles(right, ngram)
    return len(one & other) / len(one | other) if one | other else 0.0


def sets_of(texts: list[str], ngram: int = 5) -> list[np.ndarray]:
    found = minhash.shingle_sets(*text_buffers(pa.chunked_array([pa.array(texts)])), ngram)
    return [found.hashes[start:end] for start, end in zip(found.offsets, found.offsets[1:], strict=False)]


def exact_of(texts: list[str]) -> list[tuple[int, int]]:
    return [tuple(row) for row in minhash.exact_hashes(*text_buffers(pa.chunked_array([pa.array(texts)]))).tolist()]


def signatures_of(texts: list[str], bands: int = 14, rows: int = 8) -> np.ndarray:
    shingles = minhash.shingle_sets(*text_buffers(pa.chunked_array([pa.array(texts)])), 5)
    return minhash.signatures(shingles, minhash.permutations(bands, rows, 1))


@given(st.one_of(TEXTS, EASY), st.one_of(TEXTS, EASY), st.integers(1, 6))
@example("Don't STOP — now!", "dont stop now", 5)
@example("a b c d e f", "a b c d e", 5)
@settings(max_examples=300, deadline=None)
def test_similarity_of_shingle_sets_is_that_of_plain_python(left, right, ngram):
    one, other = sets_of([left, right], ngram)
    assert len(one) == len(plain_shingles(left, ngram))
    assert minhash.jaccard(one, other) == pytest.approx(plain_jaccard(left, right, ngram))


@given(st.one_of(TEXTS, EASY), st.one_of(TEXTS, EASY))
@settings(max_examples=200, deadline=None)
def test_whole_text_hashes_are_equal_exactly_when_texts_differ_in_white_space_only(left, right):
    one, other, spaced = exact_of([left, right, "\n " + "\u3000".join(left.split()) + "\t"])
    assert (one == other) == (left.split() == right.split())
    assert one == spaced


def test_whole_text_hash_sees_case_punctuation_and_where_words_are_cut():
    assert len(set(exact_of(["a b", "A b", "a, b", "ab", "b a", "a b b", ""]))) == 7


def test_case_and_punctuation_do_not_change_shingles():
    one, other = sets_of(["The quick, brown fox -- JUMPS over!", "the Quick brown fox jumps “over”"])
    assert one.tolist() == other.tolist()


def test_text_without_spaces_is_compared_by_its_characters():
    one, other = sets_of(["敏捷的棕色狐狸跳过懒狗", "敏捷的棕色狐狸跳过懒猫"])
    assert len(one) == 7  # eleven characters, five at a time
    assert minhash.jaccard(one, other) == 6 / 8


def test_a_document_shorter_than_the_ngram_has_one_shingle():
    assert [len(found) for found in sets_of(["", " ...", "one", "one two three four", "one two three four five"])] == [
        0,
        0,
        1,
        1,
        1,
    ]


def test_slices_nulls_and_chunks_are_read_in_place():
    texts = ["first text here", None, "second text there", "", "third text anywhere"]
    whole = pa.chunked_array([pa.array(texts)])
    chunks = pa.chunked_array([pa.array(texts[:2]), pa.array(texts[2:], pa.string())])
    expected = minhash.exact_hashes(*text_buffers(whole)).tolist()
    assert minhash.exact_hashes(*text_buffers(chunks)).tolist() == expected
    assert minhash.exact_hashes(*text_buffers(whole.slice(2, 2))).tolist() == expected[2:4]
    assert expected[1] == expected[3]


def test_bytes_that_are_no_utf8_are_read_without_harm():
    data = np.frombuffer(b"caf\xe9 \xff\xfe x\xf0\x9f" + b" y\xe3\x81", np.uint8)
    offsets = np.array([0, 11, len(data)])
    found = minhash.shingle_sets(offsets, data, 5)
    assert np.diff(found.offsets).tolist() == [1, 1]


def test_band_keys_from_text_are_those_of_the_signatures():
    texts = [" ".join(random.Random(seed).choices("abcdefghij", k=40)) for seed in range(5)]
    perms = minhash.permutations(14, 8, 1)
    keys, exact, counts = minhash.band_keys(*text_buffers(pa.chunked_array([pa.array(texts)])), 5, perms)
    assert keys.tolist() == minhash.keys_of_signatures(signatures_of(texts), perms).tolist()
    assert [tuple(row) for row in exact.tolist()] == exact_of(texts)
    assert counts.tolist() == [36] * 5


def test_another_seed_gives_other_permutations_and_other_band_keys():
    text = text_buffers(pa.chunked_array([pa.array(["to be or not to be that is the question"])]))
    one = minhash.band_keys(*text, 5, minhash.permutations(14, 8, 1))[0]
    other = minhash.band_keys(*text, 5, minhash.permutations(14, 8, 2))[0]
    assert not set(one[0].tolist()) & set(other[0].tolist())


@pytest.mark.parametrize("similarity", [0.2, 0.5, 0.8, 0.95])
def test_signatures_estimate_jaccard_without_bias(similarity):
    """Over 400 pairs the mean error stays within four standard errors, and the spread is that of independent permutations."""
    pairs, shingles, k = 400, 300, 112
    shared = round(similarity * shingles)
    truth = shared / shingles
    source = np.random.default_rng(round(100 * similarity))
    alone = (shingles - shared) // 2
    errors = []
    perms = minhash.permutations(14, 8, 1)
    for _ in range(pairs):
        hashes = source.integers(0, 2**64, shared + 2 * alone, dtype=np.uint64)
        left, right = hashes[: shared + alone], np.concatenate([hashes[:shared], hashes[shared + alone :]])
        both = minhash.Shingles(np.concatenate([left, right]), np.array([0, len(left), len(left) + len(right)]))
        one, other = minhash.signatures(both, perms)
        errors.append(float((one == other).mean()) - shared / len(hashes))
    ideal = (truth * (1 - truth) / k) ** 0.5
    assert abs(np.mean(errors)) < 4 * ideal / pairs**0.5
    assert 0.8 * ideal < np.std(errors) < 1.2 * ideal


def test_band_sharing_follows_the_banding_formula():
    """At similarity 0.75 and 14 bands of 8 rows, 77 of 100 pairs share a band."""
    perms, pairs = minhash.permutations(14, 8, 1), 1000
    source, found = np.random.default_rng(3), 0
    for _ in range(pairs):
        hashes = source.integers(0, 2**64, 240, dtype=np.uint64)
        left, right = hashes[:210], np.concatenate([hashes[:180], hashes[210:]])
        both = minhash.Shingles(np.concatenate([left, right]), np.array([0, 210, 420]))
        one, other = minhash.keys_of_signatures(minhash.signatures(both, perms), perms)
        found += bool(np.any(one == other))
    expected = 1 - (1 - 0.75**8) ** 14
    assert abs(found / pairs - expected) < 4 * (expected * (1 - expected) / pairs) ** 0.5


def test_signatures_are_those_of_the_golden_file():
    """Signatures are kept between runs and compared across versions, so they must never change silently."""
    for case in json.loads(GOLDEN.read_text("utf-8")):
        signature = signatures_of([case["text"]], case["bands"], case["rows"])[0]
        assert signature.tolist() == case["signature"]
        assert list(exact_of([case["text"]])[0]) == case["exact"]
