"""The MinHash kernels against plain Python: words, shingles, hashes, signatures and bands."""

import json
import random
import unicodedata
from pathlib import Path

import datasketch
import numpy as np
import pyarrow as pa
import pytest
from corpusmill.stages.columns.strings import joined
from corpusmill.stages.columns.word_rule import UNSPACED
from corpusmill.stages.dedup.banding import candidate_probability
from corpusmill.stages.dedup.signatures import minhash, shingles
from hypothesis import example, given, settings
from hypothesis import strategies as st

GOLDEN = Path(__file__).with_name("test_minhash_golden.json")
TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=60)
EASY = st.text(alphabet="aAbß .,-’\n\u3000\u00a0漢字かナไทย𠀀😀ÉéΣ1", max_size=40)


def plain_words(text: str) -> list[str]:
    """The rule of `stages.columns.word_rule` in slow, plain Python."""
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
    found = shingles.shingle_sets(*joined(pa.chunked_array([pa.array(texts)])), ngram)
    return [
        found.hashes[start:end]
        for start, end in zip(found.offsets, found.offsets[1:], strict=False)
    ]


def exact_of(texts: list[str]) -> list[tuple[int, int]]:
    return [
        tuple(row)
        for row in shingles.exact_hashes(*joined(pa.chunked_array([pa.array(texts)]))).tolist()
    ]


def signatures_of(
    texts: list[str], bands: int = 14, rows: int = 8, one_permutation: bool = True
) -> np.ndarray:
    found = shingles.shingle_sets(*joined(pa.chunked_array([pa.array(texts)])), 5)
    return minhash.signatures(found, minhash.make_scheme(bands, rows, 1, one_permutation))


@given(st.one_of(TEXTS, EASY), st.one_of(TEXTS, EASY), st.integers(1, 6))
@example("Don't STOP — now!", "dont stop now", 5)
@example("a b c d e f", "a b c d e", 5)
@settings(max_examples=300, deadline=None)
def test_similarity_of_shingle_sets_is_that_of_plain_python(left, right, ngram):
    one, other = sets_of([left, right], ngram)
    assert len(one) == len(plain_shingles(left, ngram))
    assert shingles.jaccard(one, other) == pytest.approx(plain_jaccard(left, right, ngram))


@given(st.one_of(TEXTS, EASY), st.one_of(TEXTS, EASY))
@settings(max_examples=200, deadline=None)
def test_whole_text_hashes_are_equal_exactly_when_texts_differ_in_white_space_only(left, right):
    one, other, spaced = exact_of([left, right, "\n " + "\u3000".join(left.split()) + "\t"])
    assert (one == other) == (left.split() == right.split())
    assert one == spaced


def test_whole_text_hash_sees_case_punctuation_and_where_words_are_cut():
    assert len(set(exact_of(["a b", "A b", "a, b", "ab", "b a", "a b b", ""]))) == 7


def test_chosen_texts_come_in_the_order_asked_for():
    texts = ["one two three four five six", "", "a b c d e f g", "one two"]
    data, offsets = joined(pa.chunked_array([pa.array(texts)]))
    found = shingles.shingle_sets(data, offsets, 5, np.array([2, 0]))
    assert found.offsets.tolist() == [0, 3, 5]
    assert found.hashes.tolist() == [*sets_of(texts)[2], *sets_of(texts)[0]]


def test_case_and_punctuation_do_not_change_shingles():
    one, other = sets_of(
        ["The quick, brown fox -- JUMPS over!", "the Quick brown fox jumps “over”"]
    )
    assert one.tolist() == other.tolist()


def test_text_without_spaces_is_compared_by_its_characters():
    one, other = sets_of(["敏捷的棕色狐狸跳过懒狗", "敏捷的棕色狐狸跳过懒猫"])
    assert len(one) == 7  # eleven characters, five at a time
    assert shingles.jaccard(one, other) == 6 / 8


def test_a_document_shorter_than_the_ngram_has_one_shingle():
    assert [
        len(found)
        for found in sets_of(["", " ...", "one", "one two three four", "one two three four five"])
    ] == [
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
    expected = shingles.exact_hashes(*joined(whole)).tolist()
    assert shingles.exact_hashes(*joined(chunks)).tolist() == expected
    assert shingles.exact_hashes(*joined(whole.slice(2, 2))).tolist() == expected[2:4]
    assert expected[1] == expected[3]


def test_bytes_that_are_no_utf8_are_read_without_harm():
    data = np.frombuffer(b"caf\xe9 \xff\xfe x\xf0\x9f" + b" y\xe3\x81", np.uint8)
    offsets = np.array([0, 11, len(data)])
    found = shingles.shingle_sets(data, offsets, 5)
    assert np.diff(found.offsets).tolist() == [1, 1]


def test_band_keys_from_text_are_those_of_the_signatures():
    texts = [" ".join(random.Random(seed).choices("abcdefghij", k=40)) for seed in range(5)]
    perms = minhash.make_scheme(14, 8, 1)
    keys, exact, counts = minhash.band_keys(*joined(pa.chunked_array([pa.array(texts)])), 5, perms)
    assert keys.tolist() == minhash.keys_of_signatures(signatures_of(texts), perms).tolist()
    assert [tuple(row) for row in exact.tolist()] == exact_of(texts)
    assert counts.tolist() == [36] * 5


def test_another_seed_gives_other_permutations_and_other_band_keys():
    text = joined(pa.chunked_array([pa.array(["to be or not to be that is the question"])]))
    one = minhash.band_keys(*text, 5, minhash.make_scheme(14, 8, 1))[0]
    other = minhash.band_keys(*text, 5, minhash.make_scheme(14, 8, 2))[0]
    assert not set(one[0].tolist()) & set(other[0].tolist())


def pair_of(
    similarity: float, size: int, source: np.random.Generator
) -> tuple[shingles.Shingles, float]:
    """Two random sets of `size` hashes each with about that similarity, and their true
    similarity.
    """
    shared = round(2 * similarity * size / (1 + similarity))
    hashes = source.integers(0, 2**64, 2 * size - shared, dtype=np.uint64)
    left, right = np.sort(hashes[:size]), np.sort(np.concatenate([hashes[:shared], hashes[size:]]))
    both = shingles.Shingles(np.concatenate([left, right]), np.array([0, size, 2 * size]))
    return both, shared / len(hashes)


@pytest.mark.parametrize("one_permutation", [True, False])
@pytest.mark.parametrize("similarity", [0.2, 0.5, 0.8, 0.95])
def test_signatures_estimate_jaccard_without_bias(similarity, one_permutation):
    """Over 400 pairs the mean error stays within four standard errors, and the standard deviation
    is that of independent permutations.
    """
    pairs, k = 400, 112
    source = np.random.default_rng(round(100 * similarity))
    scheme, errors, truth = minhash.make_scheme(14, 8, 1, one_permutation), [], 0.0
    for _ in range(pairs):
        both, truth = pair_of(similarity, 300, source)
        one, other = minhash.signatures(both, scheme)
        errors.append(float((one == other).mean()) - truth)
    ideal = (truth * (1 - truth) / k) ** 0.5
    assert abs(np.mean(errors)) < 4 * ideal / pairs**0.5
    assert 0.75 * ideal < np.std(errors) < 1.2 * ideal


@pytest.mark.parametrize("one_permutation", [True, False])
@pytest.mark.parametrize("size", [5, 12, 40, 112, 240, 1000])
@pytest.mark.parametrize("similarity", [0.67, 0.8])
def test_band_sharing_follows_the_banding_formula(similarity, size, one_permutation):
    """For documents of five shingles, where nearly all bins are empty, and for those of a thousand,
    where none is.
    """
    pairs, source, found, expected = 800, np.random.default_rng(size), 0, 0.0
    scheme = minhash.make_scheme(14, 8, 1, one_permutation)
    for _ in range(pairs):
        both, truth = pair_of(similarity, size, source)
        one, other = minhash.keys_of_signatures(minhash.signatures(both, scheme), scheme)
        found += bool(np.any(one == other))
        expected = candidate_probability(truth, 14, 8)
    assert abs(found / pairs - expected) < 0.03 + 3 * (expected * (1 - expected) / pairs) ** 0.5


def plain_one_permutation(hashes: list[int], k: int, permutation: int) -> list[int]:
    """Bins, smallest values, and rounds of offers from the full bins to the empty ones, as the
    module's docstring describes.
    """
    mask = 2**64 - 1
    values: dict[int, int] = {}
    for hashed in hashes:
        permuted = hashed * permutation & mask
        place = (permuted >> 32) * k >> 32
        values[place] = min(values.get(place, 2**32), permuted & 0xFFFFFFFF)
    full, offer = sorted(values), 0
    while full and len(values) < k:
        offer += 1
        for giver in full:
            drawn = (offer << 32 | giver) * 0xD6E8FEB86659FD93 & mask
            drawn = (drawn ^ drawn >> 32) * 0xFF51AFD7ED558CCD & mask
            values.setdefault((drawn >> 32) * k >> 32, values[giver])
    return [values.get(place, 2**32 - 1) for place in range(k)]


@given(
    st.sets(st.integers(0, 2**64 - 1), max_size=150),
    st.integers(0, 2**64 - 1),
    st.sampled_from([(14, 8), (3, 2)]),
)
@settings(max_examples=150, deadline=None)
def test_one_permutation_signatures_are_those_of_plain_python(hashes, seed, banding):
    scheme = minhash.make_scheme(*banding, seed)
    found = shingles.Shingles(np.array(sorted(hashes), np.uint64), np.array([0, len(hashes)]))
    expected = plain_one_permutation(
        sorted(hashes), banding[0] * banding[1], int(scheme.permutation)
    )
    assert minhash.signatures(found, scheme)[0].tolist() == expected


@pytest.mark.parametrize("banding", [(14, 8), (20, 13), (26, 11)])
def test_classic_signatures_are_datasketchs_bit_for_bit(banding):
    """The same permutations and item hashes give the same hash values."""
    scheme = minhash.make_scheme(*banding, 1, one_permutation=False)
    texts = [
        " ".join(random.Random(seed).choices("abcdefghij", k=5 + 40 * seed)) for seed in range(6)
    ]
    found = shingles.shingle_sets(*joined(pa.chunked_array([pa.array(texts)])), 5)
    ours = minhash.signatures(found, scheme)
    for number, (start, end) in enumerate(zip(found.offsets, found.offsets[1:], strict=False)):
        theirs = datasketch.MinHash(
            num_perm=banding[0] * banding[1],
            hashfunc=int,
            permutations=(scheme.multiplier, scheme.addend),
            scheme="affine32",
        )
        theirs.update_batch((found.hashes[start:end] >> np.uint64(32)).tolist())
        assert ours[number].tolist() == theirs.hashvalues.tolist()


def test_signatures_are_those_of_the_golden_file():
    """Signatures are kept between runs and compared across versions. So they must never change
    silently.
    """
    for case in json.loads(GOLDEN.read_text("utf-8")):
        for name in ("one_permutation", "classic"):
            signature = signatures_of(
                [case["text"]], case["bands"], case["rows"], name == "one_permutation"
            )[0]
            assert signature.tolist() == case[name]
        assert list(exact_of([case["text"]])[0]) == case["exact"]
