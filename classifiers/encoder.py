"""A transformers encoder as frozen features: one vector for each text.

Texts run in batches of about equal length, with padding (`padded_batches`). On a CPU, compute is
float32 on one thread: a worker has one core, and one order of additions gives the same bits on a
busy machine. oneDNN makes the products (`prepacked_linear`). On CUDA, compute is bfloat16, and BERT
and its relatives run without padding (`packed_batches`).
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from corpusmill.classifiers.encoder_files import encoder_digest, encoder_folder
from corpusmill.classifiers.linear import Embeddings, Scores
from corpusmill.classifiers.padded_batches import padded_rows
from corpusmill.manifests.errors import ModelError
from corpusmill.manifests.settings import Settings
from pydantic import PositiveInt

if TYPE_CHECKING:
    from corpusmill.classifiers.packed_batches import Packer

Pooling = Literal["mean", "cls"]
BATCH_TOKENS = {"cpu": 1024, "cuda": 65536}


class EncoderSettings(Settings):
    """A sentence encoder, and how texts are given to it."""

    encoder: str
    """A local folder, or a name on the Hugging Face hub."""
    revision: str | None = None
    """A commit of the hub's, if the encoder must not move."""
    pooling: Pooling = "mean"
    """`mean` over the tokens, or the first token's vector: `cls`, as Snowflake's arctic-embed."""
    normalise: bool = True
    """Bring vectors to length 1."""
    max_tokens: PositiveInt = 512
    """Tokens of each text's beginning (Nemotron-CC's classifiers: 512)."""
    batch_tokens: PositiveInt | None = None
    """Tokens of one forward pass, padding included.

    Null: 1,024 on a CPU, where small batches stay in its caches, and 65,536 on CUDA.
    """
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: CUDA where there is a GPU, else the CPU."""

    def features(self) -> dict[str, Any]:
        """What a head and its encoder must agree on."""
        return {
            "encoder": encoder_digest(self.encoder, self.revision),
            "pooling": self.pooling,
            "normalise": self.normalise,
            "max_tokens": self.max_tokens,
        }


def embed(settings: EncoderSettings, texts: Sequence[str]) -> Embeddings:
    """float32 [len(texts), width of the encoder]. Raises ModelError if the encoder is unusable."""
    import torch

    model, tokenizer, device = load_encoder(settings, head=False)
    if texts and (packer := _packer(settings, model, tokenizer, device, settings.pooling)):
        return packer.rows(texts)

    def pooled(inputs: dict[str, Any]) -> Any:
        states = _outputs(model, inputs).last_hidden_state.float()
        if settings.pooling == "cls":
            vectors = states[:, 0]
        else:
            mask = inputs["attention_mask"].unsqueeze(-1).float()
            vectors = (states * mask).sum(1) / mask.sum(1).clamp(min=1.0)
        return torch.nn.functional.normalize(vectors, dim=-1) if settings.normalise else vectors

    return _padded(settings, texts, tokenizer, device, pooled, model.config.hidden_size)


def grade(settings: EncoderSettings, texts: Sequence[str]) -> Scores:
    """float32 [len(texts)]: the one logit of a checkpoint for sequence classification.

    FineWeb-Edu's and Nemotron-CC's are such checkpoints.
    """
    model, tokenizer, device = load_encoder(settings, head=True)
    if texts and (packer := _packer(settings, model, tokenizer, device, None)):
        return packer.rows(texts)[:, 0]

    def logits(inputs: dict[str, Any]) -> Any:
        return _outputs(model, inputs).logits.float()

    return _padded(settings, texts, tokenizer, device, logits, 1)[:, 0]


def _padded(
    settings: EncoderSettings,
    texts: Sequence[str],
    tokenizer: Any,
    device: str,
    forward: Callable[[dict[str, Any]], Any],
    width: int,
) -> Embeddings:
    return padded_rows(
        texts,
        tokenizer,
        forward,
        width,
        max_tokens=settings.max_tokens,
        batch_tokens=settings.batch_tokens or BATCH_TOKENS[device],
        device=device,
    )


def _outputs(model: Any, inputs: dict[str, Any]) -> Any:
    """Raises ModelError if a text has more tokens than the model has positions."""
    table = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    if table is not None:
        first = 0 if table.padding_idx is None else table.padding_idx + 1  # as RoBERTa counts
        refuse_positions(inputs["input_ids"].shape[1], table.num_embeddings - first)
    return model(**inputs)


def refuse_positions(tokens: int, positions: int) -> None:
    """Raises ModelError if an encoder with so many positions cannot read so many tokens."""
    if tokens > positions:
        raise ModelError(
            f"texts have up to {tokens} tokens, and the encoder knows {positions} positions",
            f"set max_tokens to {positions} or less",
        )


def _packer(
    settings: EncoderSettings, model: Any, tokenizer: Any, device: str, pooling: Pooling | None
) -> "Packer | None":
    """The model for packed texts on a GPU. None: it runs in padded batches."""
    from corpusmill.classifiers.packed_batches import can_pack

    if device != "cuda" or not can_pack(model, tokenizer, device):
        return None
    tokens = settings.batch_tokens or BATCH_TOKENS[device]
    return _kept_packer(
        model, tokenizer, pooling, settings.normalise, settings.max_tokens, tokens, device
    )


@lru_cache(maxsize=2)
def _kept_packer(
    model: Any,
    tokenizer: Any,
    pooling: Pooling | None,
    normalise: bool,
    max_tokens: int,
    batch_tokens: int,
    device: str,
) -> "Packer":
    from corpusmill.classifiers.packed_batches import Packer

    return Packer(
        model,
        tokenizer,
        pooling=pooling,
        normalise=normalise,
        max_tokens=max_tokens,
        batch_tokens=batch_tokens,
        device=device,
    )


def device_of(settings: EncoderSettings) -> str:
    """cpu or cuda. Raises ModelError if there is no CUDA device and the settings want one."""
    if settings.device == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if settings.device == "cuda":
        raise ModelError("device is cuda but there is no CUDA device here", "set device: auto")
    return "cpu"


def refuse_absent_gpu(settings: EncoderSettings) -> None:
    """Raises ModelError if the settings want a CUDA device and there is none."""
    if settings.device == "cuda":
        device_of(settings)


def rows_at_a_time(settings: EncoderSettings) -> int:
    """Texts that a stage should give to `embed` or a scorer at once.

    A GPU stands still between two calls until the first texts are tokenised. So it gets more: the
    pages of a whole row group, of which there are about 10,000.
    """
    return 16384 if device_of(settings) == "cuda" else 1024


def load_encoder(settings: EncoderSettings, *, head: bool) -> tuple[Any, Any, str]:
    """(model, tokenizer, device), once per process. Raises ModelError if it cannot be loaded."""
    device = device_of(settings)
    folder = encoder_folder(settings.encoder, settings.revision)
    return (*_load(folder, head, device, encoder_digest(folder)), device)


@lru_cache(maxsize=2)
def _load(folder: str, head: bool, device: str, _digest: str) -> tuple[Any, Any]:
    import torch
    from corpusmill.classifiers.prepacked_linear import prepack
    from safetensors import SafetensorError
    from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    kind = AutoModelForSequenceClassification if head else AutoModel
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = kind.from_pretrained(folder, dtype=dtype)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        cause = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ModelError(
            f"the encoder in {folder} cannot be loaded ({cause})",
            "name a folder with config.json, a tokenizer and weights that transformers can load",
        ) from error
    if tokenizer.pad_token is None:
        raise ModelError(
            f"the tokenizer in {folder} has no padding token",
            "set pad_token in its tokenizer_config.json",
        )
    model = model.to(device).eval()
    if device == "cpu":
        prepack(model)
    return model, tokenizer
