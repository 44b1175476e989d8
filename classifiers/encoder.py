"""A transformers encoder as frozen features: one vector for each text.

Texts are tokenised, sorted by length, and run in batches of about equal token counts, to save
padding. On a CPU, compute is float32 on one thread: a worker has one core, and one order of
additions gives the same bits on a busy machine. oneDNN makes the products (`prepacked_linear`). On
CUDA, compute is bfloat16, and BERT and its relatives run without padding (`packed_encoder`).
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from corpusmill.manifests import model_files
from corpusmill.manifests.errors import ModelError
from corpusmill.manifests.settings import Settings
from pydantic import PositiveInt

if TYPE_CHECKING:
    from corpusmill.classifiers.packed_batches import Packer

Embeddings = npt.NDArray[np.float32]
Pooling = Literal["mean", "cls"]

# Text beyond max_tokens times this is not tokenised. Real text has fewer characters a token.
CHARACTERS_PER_TOKEN = 32
_BLOCK = 512  # texts tokenised at a time
_BATCH_TOKENS = {"cpu": 1024, "cuda": 65536}
_TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
_WEIGHT_SUFFIXES = (".safetensors", ".bin")
ENCODER = model_files.Kind(
    noun="encoder",
    patterns=("*.json", "*.txt", "*.model", "*.safetensors"),
    mend="name a local folder or a hub name such as ORG/NAME",
)


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

    return run_batches(settings, texts, tokenizer, device, pooled, model.config.hidden_size)


def grade(settings: EncoderSettings, texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """float32 [len(texts)]: the one logit of a checkpoint for sequence classification.

    FineWeb-Edu's and Nemotron-CC's are such checkpoints.
    """
    model, tokenizer, device = load_encoder(settings, head=True)
    if texts and (packer := _packer(settings, model, tokenizer, device, None)):
        return packer.rows(texts)[:, 0]

    def logits(inputs: dict[str, Any]) -> Any:
        return _outputs(model, inputs).logits.float()

    return run_batches(settings, texts, tokenizer, device, logits, 1)[:, 0]


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
    tokens = settings.batch_tokens or _BATCH_TOKENS[device]
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


def run_batches(
    settings: EncoderSettings,
    texts: Sequence[str],
    tokenizer: Any,
    device: str,
    forward: Any,
    width: int,
) -> Embeddings:
    """Run `forward` over batches sorted by length; return its rows in the order of `texts`."""
    import torch

    found = np.empty((len(texts), width), dtype=np.float32)
    with torch.inference_mode(), one_thread(device):
        for first in range(0, len(texts), _BLOCK):
            cut = [
                text[: settings.max_tokens * CHARACTERS_PER_TOKEN]
                for text in texts[first : first + _BLOCK]
            ]
            tokens = tokenizer(cut, truncation=True, max_length=settings.max_tokens)["input_ids"]
            order = sorted(range(len(tokens)), key=lambda place: (len(tokens[place]), place))
            for batch in _batches(order, tokens, settings.batch_tokens or _BATCH_TOKENS[device]):
                padded = tokenizer.pad(
                    {"input_ids": [tokens[place] for place in batch]}, return_tensors="pt"
                )
                inputs = {key: padded[key].to(device) for key in ("input_ids", "attention_mask")}
                found[[first + place for place in batch]] = forward(inputs).cpu().numpy()
    return found


def _batches(order: list[int], tokens: list[list[int]], batch_tokens: int) -> Iterator[list[int]]:
    batch: list[int] = []
    for place in order:  # lengths ascend, so the newest text is the longest
        if batch and (len(batch) + 1) * len(tokens[place]) > batch_tokens:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


@contextmanager
def one_thread(device: str) -> Iterator[None]:
    """Compute on one CPU thread inside the block."""
    import torch

    before = torch.get_num_threads()
    if device == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def encoder_folder(encoder: str, revision: str | None = None) -> str:
    """The local folder of an encoder. One on the hub is fetched, or found in the local cache.

    Raises ModelError.
    """
    return model_files.folder(encoder, ENCODER, revision)


def encoder_digest(encoder: str, revision: str | None = None) -> str:
    """One digest over the encoder's configuration, tokenizer and weights.

    Raises ModelError, which names what is missing.
    """
    folder = encoder_folder(encoder, revision)
    names = sorted(
        name for name in os.listdir(folder) if os.path.isfile(os.path.join(folder, name))
    )
    if "config.json" not in names:
        raise ModelError(
            f"{folder} has no config.json, so it is not an encoder",
            "name the folder of a transformers model",
        )
    if not any(name in names for name in _TOKENIZER_FILES):
        raise ModelError(
            f"{folder} has no tokenizer", "save the encoder's tokenizer there (tokenizer.json)"
        )
    weights = [name for name in names if name.endswith(_WEIGHT_SUFFIXES)]
    if not weights:
        raise ModelError(f"{folder} has no weights", "save the encoder's model.safetensors there")
    read = [
        name
        for name in names
        if name in weights or name.endswith((".txt", ".model")) or _is_setting(name)
    ]
    # The last line end is left out: heads have held this digest since the first release.
    return hashlib.sha256(model_files.listing(folder, read).rstrip("\n").encode()).hexdigest()


def has_classification_head(folder: str) -> bool:
    """Whether the checkpoint classifies sequences with one output.

    Raises ModelError if its config.json is unreadable.
    """
    path = os.path.join(folder, "config.json")
    try:
        with open(path, encoding="utf-8") as file:
            described = json.load(file)
    except ValueError as error:
        raise ModelError(f"{path} is not readable JSON", "save the model again") from error
    labels = described.get("num_labels", len(described.get("id2label") or ("", "")))
    architectures = described.get("architectures") or []
    return labels == 1 and any(
        str(name).endswith("ForSequenceClassification") for name in architectures
    )


def _is_setting(name: str) -> bool:
    return name in (
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "vocab.json",
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
        raise ModelError(
            f"the encoder in {folder} cannot be loaded "
            f"({str(error).strip().splitlines()[0][:200]})",
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
