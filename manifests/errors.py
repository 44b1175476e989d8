"""What can go wrong, in the user's words: one exception family, each with the mend in its text."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


class CorpusmillError(Exception):
    """A mistake or a state that the user can mend. The CLI prints it as one line, never as a traceback.

    what: what happened, naming the file, key or address. mend: what to do about it.
    """

    def __init__(self, what: str, mend: str = "") -> None:
        super().__init__(what, mend)
        self.what = what
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.what}; {self.mend}" if self.mend else self.what


class Interrupted(CorpusmillError):
    """The user stopped the run. what: what is finished."""


class RecipeError(CorpusmillError, ValueError):
    """A recipe, a `--set` or a stage's configuration cannot be used. Nothing was started.

    A ValueError too: so pydantic adds where in the settings it was raised.
    """


class InputError(CorpusmillError):
    """One input file or folder cannot be read. Other shards go on; this one is quarantined."""


class ModelError(CorpusmillError):
    """A model, tokenizer or encoder folder cannot be used. The stage stops."""


class EngineError(CorpusmillError):
    """A text-generation engine cannot go on. The stage stops; finished shards stay finished."""


class StorageError(CorpusmillError):
    """The storage refused (disk full, no permission). The run stops; run the same command again after mending."""


def nearest(word: str, known: Iterable[str], listed: str = "there are") -> str:
    """The mend for a word that is not `known`: the one that it comes near to, or all of them behind `listed`."""
    names = list(known)
    close = get_close_matches(word, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"{listed}: {', '.join(names) or 'none'}"


def short(value: Any) -> str:
    """A value of a recipe as a message shows it."""
    text = {"True": "true", "False": "false", "None": "null"}.get(repr(value), repr(value))
    return text if len(text) <= 60 else text[:57] + "..."
