"""A table with one vector for each token: the meaning of a text without running a network.

A text's vector is the mean over its tokens. A table comes from one of two places. It is a folder
that model2vec saved. Or it is distilled here from a sentence encoder, in model2vec's way: the
encoder embeds each token of its vocabulary on its own, and principal components make the vectors
short. Frequent tokens then weigh less (SIF: Arora, Liang and Ma, ICLR 2017, equation 2).
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from corpusmill.classifiers.encoder import EncoderSettings, load_encoder
from corpusmill.classifiers.linear import Embeddings
from corpusmill.classifiers.one_thread import one_thread
from corpusmill.manifests import model_files
from corpusmill.manifests.errors import ModelError

# Text beyond max_tokens times this is not tokenised. Real text has fewer characters a token.
CHARACTERS_PER_TOKEN = 8
SMOOTHING = 1e-3  # SIF's a: a token that is this share of all tokens counts half
TABLE = model_files.Kind(
    noun="table of token vectors",
    patterns=("*.json", "*.safetensors"),
    mend="name the folder or the hub name of a model2vec model",
)
_FILES = ("model.safetensors", "tokenizer.json")
_BLOCK = 1024  # tokens embedded at a time
_NO_VECTORS = np.zeros((0, 0), dtype=np.float32)
Tokens = npt.NDArray[np.int32]


@dataclass(frozen=True)
class StaticTable:
    """vectors: float32 [tokens, width]. tokenizer: the text of a tokenizer.json."""

    vectors: Embeddings
    tokenizer: str

    @cached_property
    def _loaded_tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        # Every core already has a worker. Threads inside each worker would only slow them down.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        tokenizer = Tokenizer.from_str(self.tokenizer)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    @cached_property
    def _unknown(self) -> int:
        """The id of unknown tokens, -1 if there is none. They say nothing, so no mean has them."""
        model = json.loads(self.tokenizer)["model"]
        found = model.get("unk_id")  # Unigram has an id, the other kinds have a token
        if model.get("unk_token") is not None:
            found = self._loaded_tokenizer.token_to_id(model["unk_token"])
        return -1 if found is None else int(found)

    def ids(self) -> int:
        """One more than the highest id that the tokenizer gives."""
        return 1 + max(self._loaded_tokenizer.get_vocab().values(), default=-1)

    def tokens(self, texts: Sequence[str], max_tokens: int) -> Iterator[Tokens]:
        """The known tokens among the first `max_tokens` of each text."""
        cut = [text[: max_tokens * CHARACTERS_PER_TOKEN] for text in texts]
        for found in self._loaded_tokenizer.encode_batch_fast(cut, add_special_tokens=False):
            ids = np.array(found.ids[:max_tokens], dtype=np.int32)
            yield ids[ids != self._unknown]

    def mean(self, tokens: Tokens) -> npt.NDArray[np.float32]:
        """The mean vector, float32 [width]. NaN if there is no token."""
        if not len(tokens):
            return np.full(self.vectors.shape[1], np.nan, dtype=np.float32)
        return self.vectors[tokens].mean(axis=0)

    def weighted(self, sample: Sequence[Tokens]) -> "StaticTable":
        """The table with SIF weights from the tokens of a sample. Each text counts alike."""
        shares = np.zeros(len(self.vectors))
        for tokens in sample:
            np.add.at(shares, tokens, 1 / len(tokens) if len(tokens) else 0.0)
        weights = SMOOTHING / (SMOOTHING + shares / max(len(sample), 1))
        return replace(self, vectors=(self.vectors * weights[:, None]).astype(np.float32))


def table_digest(name: str) -> str:
    """The digest of a model2vec folder. Raises ModelError, which names what is missing."""
    folder = model_files.folder(name, TABLE)
    for wanted in _FILES:
        if not os.path.isfile(os.path.join(folder, wanted)):
            raise ModelError(f"{folder} has no {wanted}", TABLE.mend)
    return model_files.folder_digest(folder, _FILES)


def load_table(name: str) -> StaticTable:
    """The table of a model2vec folder, with its token weights and its mapping to shared rows.

    Raises ModelError if the folder holds something else.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file  # numpy has no bfloat16

    table_digest(name)
    folder = model_files.folder(name, TABLE)
    try:
        tensors = {
            key: (tensor.float() if tensor.is_floating_point() else tensor).numpy()
            for key, tensor in load_file(os.path.join(folder, "model.safetensors")).items()
        }
        with open(os.path.join(folder, "tokenizer.json"), encoding="utf-8") as file:
            tokenizer = file.read()
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(f"{folder} cannot be read ({error})", TABLE.mend) from error
    rows = tensors.get("embeddings", tensors.get("embedding.weight"))
    if rows is None or rows.ndim != 2:
        raise ModelError(f"{folder} has no tensor `embeddings`", TABLE.mend)
    try:
        vectors = _unfolded(rows, tensors)
    except (IndexError, ValueError) as error:
        raise ModelError(
            f"the vectors, weights and mapping in {folder} do not fit together", TABLE.mend
        ) from error
    return checked(StaticTable(vectors, tokenizer), folder)


def _unfolded(rows: npt.NDArray[Any], tensors: dict[str, npt.NDArray[Any]]) -> Embeddings:
    """One row for each token, float32. Tokens can share rows, and can have weights."""
    vectors = rows.astype(np.float32)
    if "mapping" in tensors:
        vectors = vectors[tensors["mapping"]]
    if "weights" in tensors:
        vectors = vectors * tensors["weights"].astype(np.float32)[:, None]
    return vectors


def checked(table: StaticTable, where: str) -> StaticTable:
    """The same table. Raises ModelError if its tokenizer cannot be used with its vectors."""
    try:
        tokens = table.ids()
    except Exception as error:  # tokenizers raises nothing narrower
        raise ModelError(
            f"the tokenizer in {where} cannot be read ({error})", TABLE.mend
        ) from error
    if tokens > len(table.vectors):
        raise ModelError(
            f"{where} has {len(table.vectors)} vectors for {tokens} tokens", TABLE.mend
        )
    return table


def distilled(encoder: EncoderSettings, dimension: int) -> StaticTable:
    """A table with a vector for each token of the encoder's vocabulary, without weights.

    dimension: numbers of a vector, at most the encoder's width. Raises ModelError if the encoder
    cannot be used, or has no fast tokenizer.
    """
    import torch

    loaded = load_encoder(encoder, head=False)
    model, tokenizer, device = loaded.model, loaded.tokenizer, loaded.device
    if not tokenizer.is_fast:
        raise ModelError(
            f"the tokenizer of {encoder.encoder} has no tokenizer.json",
            "save it with transformers as a fast tokenizer",
        )
    made = StaticTable(_NO_VECTORS, tokenizer.backend_tokenizer.to_str())
    rows = model.get_input_embeddings().num_embeddings
    if made.ids() > rows:
        raise ModelError(
            f"{encoder.encoder} has {rows} token vectors for {made.ids()} tokens",
            "use the tokenizer that the encoder was trained with",
        )
    before, after = _frame(tokenizer)
    found = np.empty((made.ids(), model.config.hidden_size), dtype=np.float32)
    with torch.inference_mode(), one_thread(device):
        for first in range(0, len(found), _BLOCK):
            tokens = range(first, min(first + _BLOCK, len(found)))
            ids = torch.tensor([[*before, token, *after] for token in tokens], device=device)
            states = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
            found[first : first + _BLOCK] = states.float().mean(1).cpu().numpy()
    return replace(made, vectors=principal_components(found, dimension))


def _frame(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The special tokens that the encoder expects before and after a text."""
    coded = tokenizer("a", return_special_tokens_mask=True)
    special = coded["special_tokens_mask"]
    first, last = special.index(0), len(special) - special[::-1].index(0)
    return coded["input_ids"][:first], coded["input_ids"][last:]


def principal_components(vectors: Embeddings, dimension: int) -> Embeddings:
    """The vectors [N, D] on their first `dimension` principal axes, float32 [N, dimension].

    The sign of an axis is free. Here the largest number of each axis is positive.
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :dimension]
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]
    return (centred @ (axes * np.sign(largest))).astype(np.float32)
