"""Train a byte-level BPE and describe it as `AutoTokenizer` and vLLM load it.

Digits stand alone, so numbers are read digit by digit. Special tokens are laid out as Nemotron-H's:
`<pad>` 0, `<s>` 1, `</s>` 2, then reserved `<SPECIAL_n>`. Three of these open the turns of the chat
template.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from corpusmill.manifests.errors import RecipeError

if TYPE_CHECKING:
    from corpusmill.stages.tokenizer.stage import Tokenizer

RESERVED = tuple(f"<SPECIAL_{number}>" for number in range(3, 11))

# One of: a word with its leading space and an inner apostrophe; one digit; marks; line ends with
# the blanks before them; other blanks, without the last one, which belongs to the word that
# follows. Every character falls into one of them.
WORDS = r" ?\p{L}[\p{L}\p{M}]*(?:['’]\p{L}+)?|\p{N}| ?[^\s\p{L}\p{N}]+|\s*[\r\n]+|\s+(?!\S)|\s+"
LONGEST_WORD = 256  # characters; training cuts longer ones, as its time grows with their square

SPECIAL_TOKENS = ("<pad>", "<s>", "</s>", *RESERVED)
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message.role == 'system' %}{{ '<SPECIAL_3>' + message.content }}"
    "{% elif message.role == 'user' %}{{ '<SPECIAL_4>' + message.content }}"
    "{% elif message.role == 'assistant' %}{{ '<SPECIAL_5>' + message.content + eos_token }}"
    "{% else %}"
    "{{ raise_exception('the roles are system, user and assistant, not ' + message.role) }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<SPECIAL_5>' }}{% endif %}"
)


def train_bpe(texts: Iterator[str], settings: "Tokenizer") -> Any:
    """A trained `tokenizers.Tokenizer`.

    Raises RecipeError if the text is too little for the vocabulary.
    """
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers, trainers

    words = pre_tokenizers.Split(tokenizers.Regex(WORDS), "isolated")
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, piece_splitter(), as_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocab_size,
        min_frequency=settings.min_frequency,
        special_tokens=list(settings.special_tokens),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    with _all_cores():
        tokenizer.train_from_iterator(texts, trainer)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, as_bytes])
    if tokenizer.get_vocab_size() < settings.vocab_size:
        raise RecipeError(
            f"the text gives a vocabulary of {tokenizer.get_vocab_size()} only, "
            f"{settings.vocab_size} were asked for",
            "give more text, a smaller vocab_size, or min_frequency 1",
        )
    return tokenizer


def piece_splitter() -> Any:
    """A pre-tokenizer that cuts a word into pieces of at most `LONGEST_WORD` characters."""
    import tokenizers

    pattern = tokenizers.Regex(f"(?m:.{{1,{LONGEST_WORD}}})")
    return tokenizers.pre_tokenizers.Split(pattern, "isolated")


def tokenizer_files(tokenizer: Any, settings: "Tokenizer") -> dict[str, bytes]:
    """File name -> bytes of the folder that `AutoTokenizer` and vLLM load."""
    pad, bos, eos, *more = settings.special_tokens
    names = {"pad_token": pad, "bos_token": bos, "eos_token": eos}
    described = {
        "lstrip": False,
        "normalized": False,
        "rstrip": False,
        "single_word": False,
        "special": True,
    }
    tokenizer_config = {
        **names,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "added_tokens_decoder": {
            str(tokenizer.token_to_id(token)): {"content": token, **described}
            for token in settings.special_tokens
        },
        "additional_special_tokens": more,
        "clean_up_tokenization_spaces": False,
        "model_max_length": settings.model_max_length,
        "chat_template": settings.chat_template,
    }
    return {
        "tokenizer.json": tokenizer.to_str(pretty=True).encode(),
        "tokenizer_config.json": as_json(tokenizer_config),
        "special_tokens_map.json": as_json({**names, "additional_special_tokens": more}),
    }


def as_json(record: dict[str, Any]) -> bytes:
    return (json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


@contextmanager
def _all_cores() -> Iterator[None]:
    """Let the library use every core, because the pass has only this task.

    The library's switch is an environment variable.
    """
    before = os.environ.get("TOKENIZERS_PARALLELISM")
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ["TOKENIZERS_PARALLELISM"]
        else:
            os.environ["TOKENIZERS_PARALLELISM"] = before
