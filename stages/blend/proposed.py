"""Weights that `mix` proposed, in place of those of the settings."""

from typing import Annotated, TypeVar

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError, RecipeError
from corpusmill.stages.blend.settings import BlendSettings
from pydantic import BaseModel, Field, FiniteFloat, ValidationError, field_validator

PROPOSAL = "proposal.json"

Blend = TypeVar("Blend", bound=BlendSettings)


class _Proposal(BaseModel):
    """What a blend reads of a proposal."""

    weights: dict[str, Annotated[FiniteFloat, Field(ge=0)]]

    @field_validator("weights")
    @classmethod
    def _something_has_weight(cls, weights: dict[str, float]) -> dict[str, float]:
        if not any(weights.values()):
            raise ValueError("no source has a weight above 0")
        return weights


def with_proposed_weights(config: Blend) -> Blend:
    """The settings with the weights of the folder that `weights` names, if it names one.

    Raises InputError if there is no proposal, RecipeError if it is for other sources.
    """
    if config.weights is None:
        return config
    weights = _weights_of(config.weights)
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


def _weights_of(folder: str) -> dict[str, float]:
    """Source -> its weight. Raises InputError if the file is no proposal."""
    try:
        weights = _Proposal.model_validate_json(proposal_of(folder)).weights
    except ValidationError as error:
        found = error.errors()[0]
        place = "".join(f"{name}: " for name in found["loc"])
        raise InputError(
            f"{storage.join(folder, PROPOSAL)} is no proposal of mix ({place}{found['msg']})",
            "name a folder of mix, or run mix again",
        ) from error
    return weights


def proposal_of(folder: str) -> bytes:
    """The file with the proposal. Raises InputError if it is not there."""
    path = storage.join(folder, PROPOSAL)
    if not storage.exists(path):
        raise InputError(f"{folder} holds no {PROPOSAL}", "run mix first, and name its folder")
    return storage.read_bytes(path)
