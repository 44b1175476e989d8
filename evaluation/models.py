"""A folder as a model that scores tokens: by the trainer's own model, or by transformers.

The trainer's model (`evaluation.hybrid`) reads checkpoints and NemotronHForCausalLM folders.
transformers loads all others; there a context that several continuations share is read once, if
the model's only state is its attention cache.
"""

import functools
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from corpusmill.evaluation.hybrid import HybridScorer
from corpusmill.evaluation.scoring import Model, likelihoods
from corpusmill.manifests.errors import CorpusmillError, ModelError
from corpusmill.trainer.ranks import compute_dtype
from torch import Tensor

Runtime = Literal["auto", "trainer", "transformers"]
STATE = "state.json"  # of a checkpoint
CONFIG = "config.json"


@dataclass(frozen=True)
class Place:
    """Where and how a model computes. dtype: of activations and products."""

    device: str = "auto"
    dtype: str = "auto"

    def resolved(self) -> tuple[torch.device, torch.dtype]:
        """Raises ModelError if there is no such device."""
        name = self.device
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cuda" and not torch.cuda.is_available():
            raise ModelError("there is no GPU here", "set evaluate.device to cpu or auto")
        device = torch.device(name)
        return device, compute_dtype(self.dtype, device)


class TransformersScorer:
    """Any causal language model of transformers."""

    def __init__(self, model: Any) -> None:
        self.model = model
        text = getattr(model.config, "text_config", None) or model.config
        self.context: int | None = getattr(text, "max_position_embeddings", None)
        self.vocabulary: int = text.vocab_size
        self.positions = _table_of_positions(model, self.context)
        self._shares: bool | None = None
        self._keeps = "logits_to_keep" in inspect.signature(model.forward).parameters

    @property
    def device(self) -> torch.device:
        device: torch.device = self.model.device
        return device

    def token_scores(
        self, tokens_BT: Tensor, rows_N: Tensor, places_N: Tensor, targets_N: Tensor
    ) -> tuple[Tensor, Tensor]:
        first, last = int(places_N.min()), int(places_N.max())
        if not self._keeps:
            logits_BTV = self.model(tokens_BT, use_cache=False).logits
            return likelihoods(logits_BTV[rows_N, places_N], targets_N)
        kept = torch.arange(first, last + 1, device=tokens_BT.device)
        logits_BTV = self.model(tokens_BT, logits_to_keep=kept, use_cache=False).logits
        return likelihoods(logits_BTV[rows_N, places_N - first], targets_N)

    def shared_scores(
        self,
        contexts: Sequence[tuple[int, ...]],
        continuations: Sequence[Sequence[tuple[int, ...]]],
    ) -> tuple[Tensor, Tensor] | None:
        if self._shares is False or not self._keeps:
            return None
        # Contexts are padded on the left, so that each cache ends with its last token.
        longest = max(map(len, contexts))
        tokens_BT, mask_BT = _padded(contexts, longest, on_left=True)
        tokens_BT, mask_BT = tokens_BT.to(self.device), mask_BT.to(self.device)
        output = self.model(
            tokens_BT,
            attention_mask=mask_BT,
            position_ids=(mask_BT.cumsum(-1) - 1).clamp(min=0),
            logits_to_keep=1,
            use_cache=True,
        )
        self._shares = _only_attention(output.past_key_values)
        if not self._shares:
            return None
        owners = [row for row, group in enumerate(continuations) for _ in group]
        every = [continuation for group in continuations for continuation in group]
        owner_B = torch.tensor(owners, device=self.device)
        firsts_BV = output.logits[:, -1][owner_B]
        found, greedy = likelihoods(
            firsts_BV, torch.tensor([ids[0] for ids in every], device=self.device)
        )
        rest = [ids[:-1] for ids in every]
        width = max(map(len, rest))
        if not width:
            return found, greedy
        cache = output.past_key_values
        cache.batch_select_indices(owner_B)
        more_BT, more_mask_BT = _padded(rest, width, on_left=False)
        lengths_B = mask_BT.sum(-1)[owner_B]
        logits_BTV = self.model(
            more_BT.to(self.device),
            attention_mask=torch.cat([mask_BT[owner_B], more_mask_BT.to(self.device)], dim=1),
            position_ids=lengths_B[:, None] + torch.arange(width, device=self.device),
            past_key_values=cache,
            use_cache=True,
        ).logits
        rows = [row for row, ids in enumerate(rest) for _ in ids]
        places = [place for ids in rest for place in range(len(ids))]
        targets = torch.tensor([token for ids in every for token in ids[1:]], device=self.device)
        later, later_greedy = likelihoods(logits_BTV[rows, places], targets)
        sizes = [len(ids) for ids in rest]
        return _interleaved(found, later, sizes), _interleaved(greedy, later_greedy, sizes)


def _table_of_positions(model: Any, declared: int | None) -> int | None:
    """`declared`, if the model has a weight for each place in a text, as GPT-2: it reads no more.
    None: it has none, as with rotary embeddings.
    """
    tables = (one for one in model.modules() if isinstance(one, torch.nn.Embedding))
    sizes = {one.num_embeddings for one in tables if one is not model.get_input_embeddings()}
    # OPT's table has two rows more.
    return declared if declared and sizes & {declared, declared + 2} else None


def _padded(rows: Sequence[tuple[int, ...]], width: int, on_left: bool) -> tuple[Tensor, Tensor]:
    """Ids and their mask, (B, width)."""
    tokens_BT = torch.zeros(len(rows), width, dtype=torch.long)
    mask_BT = torch.zeros_like(tokens_BT)
    for row, ids in enumerate(rows):
        place = slice(width - len(ids), width) if on_left else slice(0, len(ids))
        tokens_BT[row, place] = torch.tensor(ids, dtype=torch.long)
        mask_BT[row, place] = 1
    return tokens_BT, mask_BT


def _interleaved(firsts_B: Tensor, later_N: Tensor, sizes: Sequence[int]) -> Tensor:
    """Of each row its first, then its later values."""
    parts = zip(firsts_B.split(1), later_N.split(list(sizes)), strict=True)
    return torch.cat([part for pair in parts for part in pair])


def _only_attention(cache: Any) -> bool:
    """Whether a cache holds nothing but keys and values of all tokens."""
    from transformers.cache_utils import DynamicCache, DynamicLayer

    return isinstance(cache, DynamicCache) and all(
        type(layer) is DynamicLayer for layer in cache.layers
    )


@functools.lru_cache(maxsize=1)
def load(folder: Path, runtime: Runtime, place: Place) -> Model:
    """The model in a folder: a checkpoint, an export, or any that transformers loads. A process
    holds one.

    Raises ModelError if the folder holds no model, or none that the runtime can read.
    """
    from corpusmill.trainer.importing import read_shape

    device, dtype = place.resolved()
    if (folder / STATE).exists():
        if runtime == "transformers":
            raise ModelError(
                f"{folder} is a checkpoint, which transformers cannot read",
                "export it, or set evaluate.runtime to trainer",
            )
        return _checkpoint(folder, device, dtype)
    if not (folder / CONFIG).exists():
        raise ModelError(
            f"{folder} holds neither a checkpoint nor a model ({CONFIG})",
            "name the output folder of train or export, or a folder of save_pretrained",
        )
    if runtime != "transformers":
        try:
            read_shape(folder)
        except CorpusmillError:
            if runtime == "trainer":
                raise
        else:
            return _imported(folder, device, dtype)
    return _from_transformers(folder, device, dtype)


def _checkpoint(folder: Path, device: torch.device, dtype: torch.dtype) -> HybridScorer:
    from corpusmill.trainer.checkpoint import load_model

    model, config = load_model(folder)
    model.compute_dtype = dtype
    return HybridScorer(model.to(device).eval(), config.sequence_length)


def _imported(folder: Path, device: torch.device, dtype: torch.dtype) -> HybridScorer:
    from corpusmill.trainer.importing import load_folder

    model = load_folder(folder, dtype)
    return HybridScorer(model.to(device).eval(), declared_context(folder))


def declared_context(folder: Path) -> int | None:
    """The longest input that a folder's config.json declares. None: it names no limit."""
    import json

    found = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    declared = found.get("text_config", found).get("max_position_embeddings")
    return int(declared) if declared else None


def _from_transformers(
    folder: Path, device: torch.device, dtype: torch.dtype
) -> TransformersScorer:
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(str(folder), dtype=dtype)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"the model in {folder} cannot be loaded ({str(error).splitlines()[0]})",
            "check its files and that this version of transformers knows it",
        ) from error
    return TransformersScorer(model.to(device).eval())
