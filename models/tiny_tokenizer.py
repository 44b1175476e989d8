"""The tokenizer of the small rephrasing model: byte-level BPE with 4,096 entries, trained on the clean text and its noise.

Names follow Nemotron-H's tokenizer: `<SPECIAL_n>` mark the turns of a chat. The template costs one token a turn:

    <s> <SPECIAL_3> system text <SPECIAL_4> user text <SPECIAL_5> answer </s>

Digits are tokens of their own, so that numbers are copied digit by digit.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

VOCABULARY = 4096
PAD, BEGIN, END = "<pad>", "<s>", "</s>"
TURNS = {"system": "<SPECIAL_3>", "user": "<SPECIAL_4>", "assistant": "<SPECIAL_5>"}
SPECIAL_TOKENS = (PAD, BEGIN, END, *(f"<SPECIAL_{number}>" for number in range(3, 11)))
LONGEST = 4096  # tokens

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}<SPECIAL_3>{{ message['content'] }}"
    "{% elif message['role'] == 'user' %}<SPECIAL_4>{{ message['content'] }}"
    "{% else %}<SPECIAL_5>{{ message['content'] }}{{ eos_token }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<SPECIAL_5>{% endif %}"
)


def train(texts: Iterable[str]) -> "Tokenizer":
    """A byte-level BPE tokenizer of `VOCABULARY` entries, the special ones first (<pad> is 0, <s> 1, </s> 2)."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def for_transformers(tokenizer: "Tokenizer") -> "PreTrainedTokenizerFast":
    """The same tokenizer as transformers loads it, with its chat template."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        model_max_length=LONGEST,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )


def load(folder: Path) -> "Tokenizer":
    """The plain tokenizer in a folder that `for_transformers(...).save_pretrained` wrote."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def chat_text(messages: Iterable[dict[str, str]]) -> str:
    """What the chat template makes of messages that wait for an answer."""
    return BEGIN + "".join(TURNS[message["role"]] + message["content"] for message in messages) + TURNS["assistant"]
