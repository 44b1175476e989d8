"""Licences that a recipe names."""

from collections.abc import Iterable

from corpusmill.manifests.errors import RecipeError
from corpusmill.stages.licences.expressions import JOINED, named


def names_none(setting: str, said: str, instead: str = "no licence") -> RecipeError:
    """The error of a setting that does not name a licence. instead: what it names."""
    return RecipeError(
        f"{setting} is {said!r}, which names {instead}",
        "name it by its SPDX identifier, or leave it out",
    )


def single_licences(setting: str, asked: Iterable[str]) -> tuple[str, ...]:
    """Each as `named` spells it. Raises RecipeError for what is no licence, or an expression."""
    found = []
    for said in asked:
        name = named(said)
        if name is None:
            raise names_none(setting, said)
        if JOINED.search(name):
            raise names_none(setting, said, f"several ({name}): list each of them alone")
        found.append(name)
    return tuple(found)
