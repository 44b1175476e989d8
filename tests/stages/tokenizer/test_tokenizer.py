"""The trained tokenizer: every text survives, and digits stand alone.

The result depends on the documents and the settings alone.
"""

import json

import pytest
from corpusmill.manifests.errors import CorpusmillError, RecipeError
from corpusmill.manifests.looking.verify import verify
from corpusmill.stages.tokenizer.bpe import CHAT_TEMPLATE, RESERVED, piece_splitter, train_bpe
from corpusmill.stages.tokenizer.stage import Tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stages.small_corpus import bytes_of, documents, run, small_tokenizer, text, write_shard


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(small_tokenizer(tmp_path_factory.mktemp("tokenizer")))


def ids(loaded, text):
    return loaded(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]


def plain(loaded, tokens):
    return loaded.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False)


@given(st.text())
@settings(max_examples=300, deadline=None)
def test_any_text_survives_a_round_trip(loaded, text):
    assert plain(loaded, ids(loaded, text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "e\u0301 is not \u00e9, nor is \u212b \u00c5",  # no normalisation
        "👩\u200d👩\u200d👧\u200d👦 🏳️\u200d🌈",
        "\u202eright to left\u202c \u200b\ufeff",
        "a\u0300\u0301\u0302\u0303" * 20,
        "\x00\x01\x1b[31m\x7f\x85\u2028",
        " leading,  double \t tabs \r\n\r\n   lines \n trailing  ",
        "def f(x):\n    return x  # indented\n\n\n        deeper",
        "<s></s><pad><SPECIAL_3>",
        "\U0010ffff\U00010000\ue000",
        "don't l’été rock 'n' roll ''quoted''",
        "日本語とภาษาไทยและ العربية हिन्दी",
        "٣٤٥ ½ Ⅷ 1234567890",
        " " * 5000 + "\n" * 5000 + "x" * 5000,
    ],
)
def test_nasty_text_survives_a_round_trip(loaded, text):
    assert plain(loaded, ids(loaded, text)) == text


def test_every_digit_is_a_token_of_its_own(loaded):
    pieces = loaded.convert_ids_to_tokens(ids(loaded, "in 1789 or 17"))
    assert [piece for piece in pieces if any(sign.isdigit() for sign in piece)] == list("178917")


def test_special_tokens_have_the_first_ids_and_roles(loaded):
    assert loaded.convert_tokens_to_ids(["<pad>", "<s>", "</s>", *RESERVED]) == list(range(11))
    assert (loaded.pad_token_id, loaded.bos_token_id, loaded.eos_token_id) == (0, 1, 2)
    assert len(loaded) == 400


def test_the_chat_template_marks_turns_and_ends_answers(loaded):
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "ka?"},
        {"role": "assistant", "content": "no."},
        {"role": "user", "content": " ri "},
    ]
    text = loaded.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == "<SPECIAL_3>be brief<SPECIAL_4>ka?<SPECIAL_5>no.</s><SPECIAL_4> ri <SPECIAL_5>"
    tokens = loaded.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)[
        "input_ids"
    ]
    assert (tokens[0], tokens[-1], tokens.count(2)) == (3, 5, 1)


def test_a_role_that_the_template_does_not_know_is_refused(loaded):
    from jinja2 import TemplateError

    with pytest.raises(TemplateError, match="not tool"):
        loaded.apply_chat_template([{"role": "tool", "content": "x"}], tokenize=False)


def train(folder, *inputs, **changes):
    return run("tokenizer", {"vocab_size": 400, **changes}, folder, *inputs)


def test_order_and_cut_of_the_documents_do_not_matter(tmp_path):
    rows = documents("doc", 300)
    whole = write_shard(tmp_path / "whole.parquet", rows)
    first = write_shard(tmp_path / "cut/z.parquet", rows[200:])
    second = write_shard(tmp_path / "cut/a.parquet", rows[:200][::-1])
    train(tmp_path / "one", whole, sample_bytes=20_000)
    train(tmp_path / "two", first, second, sample_bytes=20_000)
    assert len(bytes_of(tmp_path / "one", "tokenizer")) == 3
    assert bytes_of(tmp_path / "one", "tokenizer") == bytes_of(tmp_path / "two", "tokenizer")
    assert (tmp_path / "one/training.json").read_bytes() == (
        tmp_path / "two/training.json"
    ).read_bytes()


def test_the_sample_is_bounded_in_bytes(tmp_path):
    rows = documents("doc", 300)
    manifest = train(
        tmp_path / "out", write_shard(tmp_path / "in.parquet", rows), sample_bytes=20_000
    )
    report = json.loads((tmp_path / "out/training.json").read_text())
    longest = max(len(row["text"].encode()) for row in rows)
    assert 20_000 - longest < report["text_bytes"] <= 20_000
    assert report["documents"] == manifest.totals[0].kept < 300
    assert report["vocabulary_size"] == 400
    assert 1 < report["bytes_per_token"] < 8
    assert verify(str(tmp_path / "out")).problems == []


def test_raw_text_can_be_trained_on(tmp_path):
    raw = tmp_path / "raw/notes.jsonl"
    raw.parent.mkdir()
    raw.write_text(
        "".join(json.dumps({"text": row["text"]}) + "\n" for row in documents("doc", 100)),
        encoding="utf-8",
    )
    train(tmp_path / "out", str(raw))
    assert (tmp_path / "out/tokenizer/tokenizer.json").exists()


@pytest.mark.parametrize("letter", ["x", "\n"])
def test_training_cuts_a_text_without_spaces_into_pieces(letter):
    pieces = piece_splitter().pre_tokenize_str(letter * 600)
    assert [len(piece) for piece, _ in pieces] == [256, 256, 88]


def test_the_trained_tokenizer_cuts_no_word():
    tokenizer = train_bpe(iter([text(1, 4000), "x" * 600]), Tokenizer(vocab_size=400))
    assert "x" * 512 not in tokenizer.get_vocab()
    assert tokenizer.pre_tokenizer.pre_tokenize_str("x" * 999) == [("x" * 999, (0, 999))]


def test_too_little_text_for_the_vocabulary_is_refused_with_the_mend(tmp_path):
    path = write_shard(tmp_path / "in.parquet", documents("doc", 5))
    with pytest.raises(
        CorpusmillError, match=r"vocabulary of .* only, 4000 were asked for.*smaller vocab_size"
    ):
        train(tmp_path / "out", path, vocab_size=4000)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 256}, "no room for 256 bytes.*at least 267"),
        ({"special_tokens": ("<pad>", "<s>")}, "pad, bos and eos first"),
        ({"special_tokens": ("<pad>", "<s>", "<s>")}, "no token twice"),
        ({"special_tokens": ("<pad>", "<s>", "</s>")}, "template uses <SPECIAL_3>"),
        ({"sample_bytes": 0}, "sample_bytes is 0; wanted: int of at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(RecipeError, match=message):
        Tokenizer(**changes)


def test_the_template_may_be_replaced_and_then_the_reserved_tokens_may_go():
    three = ("<pad>", "<s>", "</s>")
    assert (
        Tokenizer(special_tokens=three, chat_template="{{ messages[0].content }}").special_tokens
        == three
    )
    assert Tokenizer().chat_template == CHAT_TEMPLATE
