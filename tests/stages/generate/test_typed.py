"""Text that appears while the model writes: whole characters, no stop string, little work."""

import pytest
from corpusmill.stages.engines import chat
from corpusmill.stages.generate.typed import Typed

from tests.stages.engines import tiny_model

TEXT = "bread \u2603 flour \U0001f35e\u200d\U0001f525 caf\u00e9\u0301 <end> water"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return chat.load(str(tiny_model.save_tokenizer(tmp_path_factory.mktemp("bytes"))))


def pieces(decode, ids, stop=(), at_once=1):
    """What is printed before the end, and in all."""
    said: list[str] = []
    typed = Typed(decode, stop, said.append)
    for start in range(0, len(ids), at_once):
        typed.hear(0, ids[start : start + at_once])
    before = list(said)
    whole = decode(ids)
    cut = min([whole.find(text) for text in stop if text in whole], default=len(whole))
    typed.finish(whole[:cut])
    return before, "".join(said)


@pytest.mark.parametrize("at_once", [1, 3])
def test_characters_appear_whole(tokenizer, at_once):
    ids = tokenizer.text_ids(TEXT)
    before, said = pieces(tokenizer.decode, ids, at_once=at_once)
    assert said == TEXT + "\n"
    assert "".join(before) == TEXT
    assert len(before) > 5
    assert not any("\ufffd" in piece for piece in before)


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_no_part_of_a_stop_string_appears(tokenizer, at_once):
    ids = tokenizer.text_ids(TEXT)
    assert len(tokenizer.text_ids("<end>")) > 2
    before, said = pieces(tokenizer.decode, ids, ("<end>", "never there"), at_once)
    assert said == TEXT[: TEXT.index("<end>")] + "\n"
    assert "<" not in "".join(before)


def test_half_a_character_at_the_end_appears_as_the_model_left_it(tokenizer):
    ids = tokenizer.text_ids("\u2603")[:1]
    assert pieces(tokenizer.decode, ids) == ([], tokenizer.decode(ids) + "\n")


def test_special_tokens_print_nothing(tokenizer):
    ids = [*tokenizer.text_ids("a b"), 3, 4, *tokenizer.text_ids(" c")]
    assert pieces(tokenizer.decode, ids)[1] == "a b c\n"


def test_spaces_that_depend_on_the_token_before_are_kept(tmp_path):
    """A SentencePiece decoder drops the space of the first token that it gets."""
    from tokenizers import Tokenizer, decoders, models

    words = ["<unk>", "\u2581the", "\u2581sea", "\u2581", "s"]
    spoken = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, "<unk>"))
    spoken.decoder = decoders.Metaspace()
    assert pieces(spoken.decode, [1, 2, 3, 1, 4])[1] == "the sea  thes\n"


def test_a_long_answer_is_not_decoded_again_and_again(tokenizer):
    decoded = 0

    def decode(ids):
        nonlocal decoded
        decoded += len(ids)
        return tokenizer.decode(ids)

    ids = tokenizer.text_ids("bread and water " * 200)
    typed = Typed(decode, ("never there",), lambda text: None)
    for token in ids:
        typed.hear(0, [token])
    assert decoded < 6 * len(ids)
