"""Weights that `mix` proposed, in place of those of the settings."""

import json
from typing import TypeVar

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError, RecipeError
from corpusmill.stages.blend.settings import BlendSettings

PROPOSAL = "proposal.json"

Blend = TypeVar("Blend", bound=BlendSettings)


def with_proposed_weights(config: Blend) -> Blend:
    """The settings with the weights of the folder that `weights` names, if it names one.

    Raises InputError if there is no proposal, RecipeError if it is for other sources.
    """
    if config.weights is None:
        return config
    weights = json.loads(proposal_of(config.weights))["weights"]
    odd = sorted(set(weights) ^ set(config.sources))
    if odd:
        whose = "the proposal" if odd[0] in config.sources else "the blend"
        raise RecipeError(
            f"{whose} has no source {odd[0]!r}; the proposal weighs {', '.join(sorted(weights))}",
            "give the blend the sources of the pool that mix read, by the same names",
        )
    sources = {
        name: source.model_copy(update={"weight": weights[name]})
        for name, source in config.sources.items()
    }
    return config.model_copy(update={"sources": sources})


def proposal_of(folder: str) -> bytes:
    """The file with the proposal. Raises InputError if it is not there."""
    path = storage.join(folder, PROPOSAL)
    if not storage.exists(path):
        raise InputError(f"{folder} holds no {PROPOSAL}", "run mix first, and name its folder")
    return storage.read_bytes(path)
