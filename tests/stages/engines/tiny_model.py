"""A random hybrid model of 80 thousand parameters, with a byte-level tokenizer, as a folder.

Any engine loads it. It is made in a second.
"""

from pathlib import Path

CORPUS = [
    "The river rises in the northern hills and reaches the sea after a course of about two hundred "
    "kilometres.",
    "Question: What does the passage say? Answer: It says that bread is made of flour, water, salt "
    "and yeast.",
    "In 1928 the mould was found to kill bacteria; the substance was isolated twelve years later.",
    "Rewritten text: a sentence that is clear, correct and complete. Keep all facts and names, add "
    "none.",
]
TEMPLATE = (
    "{% for turn in messages %}{% if turn.role == 'system' %}<SPECIAL_3>{% else %}<SPECIAL_4>{% "
    "endif %}{{ turn.content }}{% endfor %}"
    "{% if add_generation_prompt %}<SPECIAL_5>{% endif %}"
)
VOCABULARY = 512


def save_tokenizer(folder: Path, chat_template: str | None = TEMPLATE) -> Path:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<pad>", "<s>", "</s>", "<SPECIAL_3>", "<SPECIAL_4>", "<SPECIAL_5>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        chat_template=chat_template,
    )
    fast.add_special_tokens(
        {"additional_special_tokens": ["<SPECIAL_3>", "<SPECIAL_4>", "<SPECIAL_5>"]}
    )
    fast.save_pretrained(folder)
    return folder


def save_model(folder: Path, context: int = 2048, chat_template: str | None = TEMPLATE) -> Path:
    """Random Mamba, FFN and attention blocks.

    Nothing raises the end token's score, so answers mostly run to their limit.
    """
    import torch
    from transformers import NemotronHConfig, NemotronHForCausalLM

    save_tokenizer(folder, chat_template)
    torch.manual_seed(1)
    settings = NemotronHConfig(
        vocab_size=VOCABULARY,
        hidden_size=48,
        layers_block_type=["linear_attention", "mlp", "full_attention", "linear_attention", "mlp"],
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=12,
        intermediate_size=96,
        mamba_num_heads=6,
        mamba_head_dim=16,
        n_groups=2,
        ssm_state_size=16,
        conv_kernel=4,
        chunk_size=16,
        max_position_embeddings=context,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        initializer_range=0.15,
    )
    model = NemotronHForCausalLM(settings)
    for name, parameter in model.named_parameters():
        # The default is zero, which would hide what padding does to the convolution.
        if name.endswith("conv1d.bias"):
            torch.nn.init.normal_(parameter)
    model.save_pretrained(folder)
    return folder
