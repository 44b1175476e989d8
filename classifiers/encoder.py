"""A transformers encoder as frozen features: one vector for each text.

Texts run in batches of about equal length, with padding (`padded_batches`). On a CPU, compute is
float32 on one thread: a worker has one core, and one order of additions gives the same bits on a
busy machine. oneDNN makes the products (`prepacked_linear`). On CUDA, compute is bfloat16, and BERT
and its relatives run without padding (`packed_batches`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
    precision: Literal["plain", "fp8"] = "plain"
    """On CUDA, plain is bfloat16. fp8 has the large products in 8 bits, for BERT and RoBERTa.

    A CPU computes in float32 with both.
    """

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

    loaded = load_encoder(settings, head=False)
    model = loaded.model
    if texts and loaded.packs(settings):
        return loaded.packer(settings, settings.pooling).rows(texts)

    def pooled(inputs: dict[str, Any]) -> Any:
        states = _outputs(model, inputs).last_hidden_state.float()
        if settings.pooling == "cls":
            vectors = states[:, 0]
        else:
            mask = inputs["attention_mask"].unsqueeze(-1).float()
            vectors = (states * mask).sum(1) / mask.sum(1).clamp(min=1.0)
        return torch.nn.functional.normalize(vectors, dim=-1) if settings.normalise else vectors

    return _padded(settings, texts, loaded, pooled, model.config.hidden_size)


def grade(settings: EncoderSettings, texts: Sequence[str]) -> Scores:
    """float32 [len(texts)]: the one logit of a checkpoint for sequence classification.

    FineWeb-Edu's and Nemotron-CC's are such checkpoints.
    """
    loaded = load_encoder(settings, head=True)
    if texts and loaded.packs(settings):
        return loaded.packer(settings, None).rows(texts)[:, 0]

    def logits(inputs: dict[str, Any]) -> Any:
        return _outputs(loaded.model, inputs).logits.float()

    return _padded(settings, texts, loaded, logits, 1)[:, 0]


def _padded(
    settings: EncoderSettings,
    texts: Sequence[str],
    loaded: "LoadedEncoder",
    forward: Callable[[dict[str, Any]], Any],
    width: int,
) -> Embeddings:
    return padded_rows(
        texts,
        loaded.tokenizer,
        forward,
        width,
        max_tokens=settings.max_tokens,
        batch_tokens=settings.batch_tokens or BATCH_TOKENS[loaded.device],
        device=loaded.device,
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


@dataclass
class LoadedEncoder:
    """A model and its tokenizer on a device (cpu or cuda).

    packers: settings -> the model for packed texts. They keep the model and its CUDA graph in
    memory, so they live as long as it.
    """

    model: Any
    tokenizer: Any
    device: str
    packers: "dict[tuple[Any, ...], Packer]" = field(default_factory=dict)

    def packs(self, settings: EncoderSettings) -> bool:
        """Whether texts run packed, on a GPU. If not, they run in padded batches.

        Raises ModelError if the settings want 8 bits, and the GPU has none or the texts cannot run
        packed.
        """
        from corpusmill.classifiers.fp8 import refuse_gpu
        from corpusmill.classifiers.packed_batches import can_pack

        if self.device != "cuda":
            return False
        if settings.precision == "fp8":
            refuse_gpu()
        packs = can_pack(self.model, self.tokenizer, self.device)
        if settings.precision == "fp8" and not packs:
            raise ModelError(
                f"the encoder {settings.encoder} cannot run in 8 bits here: that is for BERT, "
                "RoBERTa and XLM-RoBERTa with a fast tokenizer",
                "set precision to plain",
            )
        return packs

    def packer(self, settings: EncoderSettings, pooling: Pooling | None) -> "Packer":
        """The one for these settings. pooling: None for the grades of the model's own head."""
        from corpusmill.classifiers.packed_batches import Packer

        tokens = settings.batch_tokens or BATCH_TOKENS[self.device]
        key = (pooling, settings.normalise, settings.max_tokens, tokens, settings.precision)
        if key not in self.packers:
            self.packers[key] = Packer(
                self.model,
                self.tokenizer,
                pooling=pooling,
                normalise=settings.normalise,
                max_tokens=settings.max_tokens,
                batch_tokens=tokens,
                device=self.device,
                fp8=settings.precision == "fp8",
            )
        return self.packers[key]


def load_encoder(settings: EncoderSettings, *, head: bool) -> LoadedEncoder:
    """Loaded once per process. Raises ModelError if it cannot be loaded."""
    device = device_of(settings)
    folder = encoder_folder(settings.encoder, settings.revision)
    return _load(folder, head, device, encoder_digest(folder))


# All encoders of an ensemble stay loaded: each batch of texts goes through every one of them.
@lru_cache(maxsize=8)
def _load(folder: str, head: bool, device: str, _digest: str) -> LoadedEncoder:
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
    return LoadedEncoder(model, tokenizer, device)
