"""Tokenizers as functions: any folder, the same ids each time, nothing cut.

No special tokens come out of text.
"""

import json

import pytest
from corpusmill.manifests import storage
from corpusmill.manifests.errors import ModelError
from corpusmill.stages.tokenizer import loaded as tokens

from tests.stages.small_corpus import small_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return small_tokenizer(tmp_path_factory.mktemp("tokenizer"))


def change(folder, file, **changes):
    path = folder / file
    path.write_text(
        json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8"
    )


def test_counts_are_lengths_of_encodings_without_bos_and_eos(folder):
    tokenizer = tokens.load(folder)
    texts = ["kanori telmos", "", "17 wöpe\n\n"]
    assert tokenizer.count(texts) == [len(ids) for ids in tokenizer.encode(texts)]
    assert tokenizer.encode([""]) == [[]]
    assert (tokenizer.pad, tokenizer.bos, tokenizer.eos, tokenizer.vocabulary_size) == (
        0,
        1,
        2,
        400,
    )


def test_special_tokens_spelled_in_text_stay_text(folder):
    tokenizer = tokens.load(folder)
    (ids,) = tokenizer.encode(["an end </s> and <SPECIAL_3> more"])
    assert min(ids) > 10
    assert tokenizer.decode(ids) == "an end </s> and <SPECIAL_3> more"


def test_truncation_and_padding_saved_with_a_tokenizer_are_switched_off(tmp_path):
    folder = small_tokenizer(tmp_path / "tokenizer")
    whole = tokens.load(folder).encode(["ka no ri tel mos ab sta pe lin " * 20, "ka"])
    change(
        tmp_path / "tokenizer",
        "tokenizer.json",
        truncation={"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0},
        padding={
            "strategy": "BatchLongest",
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "<pad>",
        },
    )
    assert tokens.load(folder).encode(["ka no ri tel mos ab sta pe lin " * 20, "ka"]) == whole


def test_the_digest_follows_the_files(tmp_path):
    folder = small_tokenizer(tmp_path / "tokenizer")
    before = tokens.load(folder)
    change(tmp_path / "tokenizer", "tokenizer_config.json", eos_token="<SPECIAL_10>")
    after = tokens.load(folder)
    assert before.digest != after.digest
    assert (before.eos, after.eos) == (2, 10)


def test_a_copy_elsewhere_is_the_same_tokenizer(tmp_path, folder):
    for name, data in tokens.portable_files(tokens.load(folder)).items():
        (tmp_path / name).write_bytes(data)
    assert tokens.load(str(tmp_path)).digest == tokens.load(folder).digest


def test_a_tokenizer_may_lie_at_any_fsspec_url(folder):
    for name, data in tokens.portable_files(tokens.load(folder)).items():
        storage.write_bytes(f"memory://bucket/tokenizer/{name}", data)
    assert tokens.load("memory://bucket/tokenizer").encode(["kanori"]) == tokens.load(
        folder
    ).encode(["kanori"])


def test_a_tokenizer_made_of_vocabulary_files_is_given_a_tokenizer_json(tmp_path):
    """A folder like BERT's (vocab.txt) becomes one that every loader takes."""
    bert = tmp_path / "bert"
    bert.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ka", "no", "##ri"]
    (bert / "vocab.txt").write_text("\n".join(words) + "\n")
    (bert / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    files = tokens.portable_files(tokens.load(str(bert)))
    assert {"tokenizer.json", "tokenizer_config.json"} <= set(files)
    copy = tmp_path / "copy"
    copy.mkdir()
    for name, data in files.items():
        (copy / name).write_bytes(data)
    assert (
        tokens.load(str(copy)).encode(["ka nori"])
        == tokens.load(str(bert)).encode(["ka nori"])
        == [[5, 6, 7]]
    )


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([1, 1, 1], [(0, 3)]),
        ([6, 6, 1], [(0, 1), (1, 3)]),
        ([100, 1], [(0, 1), (1, 2)]),
    ],
)
def test_batches_are_bounded_and_lose_nothing(sizes, expected):
    assert tokens.batches(sizes, limit=10) == expected


def test_a_folder_that_is_not_there_is_refused_with_the_mend(tmp_path):
    with pytest.raises(ModelError, match=r"no tokenizer folder .*/missing.*corpusmill tokenizer"):
        tokens.load(str(tmp_path / "missing"))


def test_a_folder_without_tokenizer_is_refused_with_the_mend(tmp_path):
    with pytest.raises(ModelError, match=r"holds no tokenizer.*tokenizer\.json"):
        tokens.load(str(tmp_path))


@pytest.mark.parametrize(
    "content", ["{broken", '{"model": 3}', '{"model": {"type": "BPE"}, "added_tokens": []}']
)
def test_a_broken_tokenizer_is_refused_by_name(tmp_path, content):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ModelError, match="cannot be loaded"):
        tokens.load(str(tmp_path))
