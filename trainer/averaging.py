"""Average a trained model with what it was before, so that it loses less of what it knew.

Wortsman et al. 2022 (arXiv 2109.01903) average a model's weights before and after its fine-tuning:
on what it knew before, the average comes close to the first, and on the new task to the second.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from corpusmill.manifests.errors import ModelError
from corpusmill.manifests.model_files import TOKENIZER
from corpusmill.trainer.importing import load_pretrained, refuse_other_shape
from corpusmill.trainer.model import HybridModel, text_parameters


@dataclass(frozen=True)
class Earlier:
    """folder: the language model before. share: its part of each weight, between 0 and 1. mend:
    what to do if it does not fit.
    """

    folder: Path
    share: float
    mend: str = ""


@torch.no_grad()
def average(model: HybridModel, earlier: Earlier, tokenizer_folder: Path) -> None:
    """Make each weight of the language model (1 - share) * weight + share * the earlier one.

    What the earlier model has not keeps its weights: the rows of tokens that are new since, and the
    image parts. tokenizer_folder: of the model now. Raises ModelError if the folder holds no model
    of the same shape, or one of another tokenizer.
    """
    try:
        refuse_other_shape(earlier.folder, model.config)
    except ModelError as error:
        raise ModelError(error.what, earlier.mend) from error
    _refuse_other_tokenizer(earlier, tokenizer_folder)
    with torch.device("meta"):
        before = HybridModel(model.config)
    before.to_empty(device="cpu")
    now, weights = text_parameters(model), text_parameters(before)
    for name, parameter in now.items():
        weights[name].copy_(parameter)  # rows of new tokens stay so
    load_pretrained(earlier.folder, before)
    for name, parameter in now.items():
        parameter.lerp_(weights[name], earlier.share)


def _refuse_other_tokenizer(earlier: Earlier, now: Path) -> None:
    """Raises ModelError if a token of the model before has another id now, if both folders tell."""
    from tokenizers import Tokenizer

    files = [folder / TOKENIZER for folder in (earlier.folder, now)]
    if not all(file.exists() for file in files):
        return
    old, new = (Tokenizer.from_file(str(file)).get_vocab() for file in files)
    moved = [token for token, number in old.items() if new.get(token) != number]
    if moved:
        raise ModelError(
            f"the model in {earlier.folder} has another tokenizer than {now}: {len(moved)} tokens "
            f"have another id or none, {min(moved)!r} among them",
            earlier.mend,
        )
