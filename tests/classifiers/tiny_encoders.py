"""Real encoders, small enough to make in a test: a one-layer BERT with its own word tokenizer."""

from pathlib import Path

TOPICS = (
    "the a cat dog sat ran on mat",
    "theorem proof energy of and is cell",
    "price sale buy now",
)
WORDS = [word for topic in TOPICS for word in topic.split()]


def write_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {
        word: place for place, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])
    }
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(folder)


def write_encoder(
    folder: Path,
    *,
    outputs: int | None = None,
    bias: float = 0.0,
    seed: int = 0,
    kind: str = "bert",
    spread: float = 0.02,
    layers: int = 1,
) -> str:
    """A random model of width 16. kind: bert or roberta.

    outputs: with a classification head of so many outputs, shifted by `bias`. spread: standard
    deviation of the weights. With BERT's own, 0.02, texts have nearly the same vectors.
    """
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

    torch.manual_seed(seed)
    shape = AutoConfig.for_model(
        kind,
        vocab_size=len(WORDS) + 4,
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        pad_token_id=0,
        initializer_range=spread,
    )
    shape.num_labels = outputs or 2
    if outputs is None:
        AutoModel.from_config(shape).save_pretrained(folder)
    else:
        model = AutoModelForSequenceClassification.from_config(shape)
        last = model.classifier if kind == "bert" else model.classifier.out_proj
        torch.nn.init.constant_(last.bias, bias)
        model.save_pretrained(folder)
    write_tokenizer(folder)
    return str(folder)
