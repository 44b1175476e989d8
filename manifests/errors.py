"""The exceptions for users. Each says what happened and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


class CorpusmillError(Exception):
    """An error that the user can mend. The CLI prints it as one line, without a traceback.

    what: what happened. It names the file, key or address. mend: what to do.
    """

    def __init__(self, what: str, mend: str = "") -> None:
        super().__init__(what, mend)
        self.what = what
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.what}; {self.mend}" if self.mend else self.what


class Interrupted(CorpusmillError):
    """The user stopped the run. what: what is finished."""


class TimeUp(Interrupted):
    """The run stopped by itself between two shards, after `--max-hours`."""


class RecipeError(CorpusmillError, ValueError):
    """A recipe, a `--set` or a stage's settings cannot be used. Nothing was started.

    It is a ValueError too, so that pydantic adds the place in the settings.
    """


class InputError(CorpusmillError):
    """One input file or folder cannot be read. Other shards go on; this one is quarantined."""


class ModelError(CorpusmillError):
    """A model, tokenizer or encoder folder cannot be used. The stage stops."""


class EngineError(CorpusmillError):
    """A text-generation engine cannot go on. The stage stops; finished shards stay finished."""


class StorageError(CorpusmillError):
    """The storage refused (disk full, no permission). The same command resumes the run."""


class ReadFailed(StorageError, OSError):
    """A store failed while a file was read. Another attempt may succeed.

    It is an OSError too, as for a local file.
    """


def nearest(word: str, known: Iterable[str], listed: str = "there are") -> str:
    """What to do about an unknown `word`: use the nearest `known` one.

    If none is near, all known words are listed after `listed`.
    """
    names = list(known)
    close = get_close_matches(word, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"{listed}: {', '.join(names) or 'none'}"


def short(value: Any) -> str:
    """A value of a recipe for a message: in YAML's words, at most 60 characters."""
    text = {"True": "true", "False": "false", "None": "null"}.get(repr(value), repr(value))
    return text if len(text) <= 60 else text[:57] + "..."
